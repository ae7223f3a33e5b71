"""Trainings to study or to learn from: a folder of runs, or a Parquet file of such a table."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cnngen.errors import CnnGenError, StoreError
from cnngen.network import Network
from cnngen.runs.run_folder import load_network
from cnngen.runs.store import load
from cnngen.runs.table import cells, read_rows

if TYPE_CHECKING:
    import pandas as pd

DESCRIPTIONS = ("description", "text")
"""Columns of resolved descriptions: in a shipped data set, and in a folder's index."""

NETWORK = (*DESCRIPTIONS, "id", "name", "data_shape", "data_classes")
"""Columns that say what a row's network is."""

MAX_TEXT = 72 * 2**20
"""Most characters of a description that are read: as long a text as the language takes."""


@dataclass(frozen=True, slots=True)
class Training:
    """One training: its figures by the names of columns, and its network.

    `origin` names the row or run in messages; `run` is the folder of a run.
    """

    origin: str
    row: Mapping[str, object]
    network: Network
    run: Path | None = None


class Trainings(ABC):
    """Trainings that are read once, however often they are asked for.

    Iteration gives runs in the order of their keys, rows in that of the file. Cells of
    NAS-Bench-101, which have no description, are known by their names. A run that cannot be
    read, or whose description is not that of its record, is left out, and listed in `broken`
    with the reason once the iteration has ended. Raises `StoreError` for a row without a
    resolved description, or with that of another network than its `id`.
    """

    def __init__(self, source: Path) -> None:
        self.source = source
        self.broken: list[tuple[Path, str]] = []

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __iter__(self) -> Iterator[Training]: ...

    @abstractmethod
    def to_pandas(self) -> pd.DataFrame:
        """A row for each training, indexed by its key if that was read."""


def read_trainings(source: str | Path, names: Sequence[str]) -> Trainings:
    """Open a folder of runs, or a Parquet file, of which only the columns in `names` are read.

    Raises `StoreError` where it cannot be read, or has a figure that no record could have.
    """
    source = Path(source)
    return _Folder(source) if source.is_dir() else _File(source, names)


class _Folder(Trainings):
    def __init__(self, source: Path) -> None:
        super().__init__(source)
        self._runs = load(source)

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Training]:
        self.broken = list(self._runs.broken)
        for record in self._runs:
            run = self._runs.path(record)
            try:
                row = cells(record)
                network = load_network(run, record) or _cell(row, str(run))
            except CnnGenError as error:
                self.broken.append((run, error.message))
            else:
                yield Training(str(run), row, network, run)

    def to_pandas(self) -> pd.DataFrame:
        return self._runs.to_pandas()


class _File(Trainings):
    def __init__(self, source: Path, names: Sequence[str]) -> None:
        super().__init__(source)
        self._rows = read_rows(source, list(dict.fromkeys(names)))

    def __len__(self) -> int:
        return int(self._rows.num_rows)

    def __iter__(self) -> Iterator[Training]:
        named = [name for name in DESCRIPTIONS if name in self._rows.column_names]
        if not named:
            raise StoreError(f"{self.source} has no column 'description'")
        for number, row in enumerate(self._rows.to_pylist(), 1):
            origin = f"{self.source}, row {number}"
            text = row[named[0]]
            network = _described(text, origin) if text else _cell(row, origin)
            if text and row.get("id") not in (None, network.id):
                raise StoreError(f"{origin}: the description is of another network, {network.id}")
            yield Training(origin, row, network)

    def to_pandas(self) -> pd.DataFrame:
        shown = [name for name in self._rows.column_names if name not in DESCRIPTIONS]
        frame: pd.DataFrame = self._rows.select(shown).to_pandas()
        return frame.set_index("key") if "key" in frame else frame


def _described(text: object, origin: str) -> Network:
    from cnngen.language import parse
    from cnngen.space.resolution import resolve

    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise StoreError(f"{origin}: the description is not text, or too long")
    description = parse(text, origin)
    network = resolve(description)
    if network.description != description:
        raise StoreError(
            f"{origin}: the description leaves something open, so it does not say what was trained",
            hint="Give the resolved description, as records and `cnngen sample` write it.",
        )
    return network


def _cell(row: Mapping[str, object], origin: str) -> Network:
    """The network of a cell that a record names; its ends are the data's."""
    from cnngen.space.nasbench101 import Cell, cell_network

    shape = re.fullmatch(r"(\d{1,6})x(\d{1,6})x(\d{1,6})", str(row.get("data_shape")))
    classes = row.get("data_classes")
    name = row.get("name")
    if shape is None or not isinstance(classes, int) or not isinstance(name, str):
        raise StoreError(f"{origin}: there is no description")
    cell, stem = Cell.from_name(name)
    height, width, channels = map(int, shape.groups())
    return cell_network(cell, input_shape=(height, width, channels), classes=classes, stem=stem)
