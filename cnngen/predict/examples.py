"""Examples to learn from: networks, and what their trainings gave."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Literal

from cnngen.errors import CnnGenError, StoreError, shorten
from cnngen.network import Network

Target = Literal["accuracy", "time", "energy", "trainability"]

TARGETS: Mapping[Target, str] = {
    "accuracy": "test_accuracy",
    "time": "train_seconds",
    "energy": "energy_total_energy",
    "trainability": "trainability",
}
"""What can be predicted, and the column of a table of records that holds it: a share from 0
to 1, seconds, kWh, and 1 or 0 for a training that did or did not end above chance."""

DESCRIPTIONS = ("description", "text")
"""Columns of resolved descriptions: in a shipped data set, and in a folder's index."""

SETTING = ("backend", "protocol_name", "hardware_cpu")

MAX_TEXT = 2**22
"""Most characters of a description that are read."""


@dataclass(frozen=True, slots=True)
class Example:
    """A network that was trained. A target is None where the training did not reach it.

    `data` names the data set, `status` says how the training ended, `setting` with what, how
    and on which machine it was done.
    """

    network: Network
    targets: Mapping[Target, float | None]
    data: str
    status: str = "ok"
    setting: str = ""


def examples(
    source: str | Path, on_progress: Callable[[int, int], None] | None = None
) -> list[Example]:
    """The examples of a folder of runs, or of a Parquet file with resolved descriptions.

    Cells of NAS-Bench-101, which have no description, are known by their names. A run whose
    record cannot be read is left out. Rows come in the order of the file, runs in that of
    their keys. `on_progress` is told how many of how many are read. Raises `StoreError` where
    the source cannot be read, and `CnnGenError` for a description that is none.
    """
    source = Path(source)
    read = []
    count, rows = _folder(source) if source.is_dir() else _parquet(source)
    for number, example in enumerate(rows, 1):
        read.append(example)
        if on_progress is not None:
            on_progress(number, count)
    return read


def trainability(status: str, accuracy: float | None, classes: int, tested: float) -> float:
    """1 for a training that ended well and above chance on `tested` images, else 0.

    Chance is `cnngen.protocol.chance` for classes of equal size. A training stopped for its
    time is judged by the accuracy that it reached.
    """
    from cnngen.protocol import chance

    if accuracy is None or status not in ("ok", "time_budget"):
        return 0.0
    each = max(1, round(tested / classes))
    return float(accuracy > chance([each] * classes))


def _folder(folder: Path) -> tuple[int, Iterator[Example]]:
    from cnngen.store import DESCRIPTION, load
    from cnngen.table import cells

    runs = load(folder)

    def rows() -> Iterator[Example]:
        for record in runs:
            path = runs.path(record) / DESCRIPTION
            text = _text(path) if path.exists() else None
            yield _example(text, str(path), cells(record))

    return len(runs), rows()


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(MAX_TEXT + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from None


def _parquet(file: Path) -> tuple[int, Iterator[Example]]:
    from cnngen.table import read_rows

    table = read_rows(file)
    named = [name for name in DESCRIPTIONS if name in table.column_names]
    if not named:
        raise StoreError(f"{file} has no column 'description'")

    def rows() -> Iterator[Example]:
        for number, row in enumerate(table.to_pylist(), 1):
            yield _example(row[named[0]], f"{file}, row {number}", row)

    return table.num_rows, rows()


def _example(text: object, origin: str, row: Mapping[str, object]) -> Example:
    """One example. `text` is resolved, so that it says the ends of the network itself."""
    network = _network(text, origin) if text else _cell(row, origin)
    if network.classes is None:
        raise CnnGenError(f"{origin}: is a backbone, which nobody can have trained")
    status = _word(row.get("status")) or "ok"
    targets = {target: _number(row.get(column)) for target, column in TARGETS.items()}
    if targets["trainability"] is None:
        share = _number(row.get("protocol_test_share")) or 0.2
        images = _number(row.get("data_images")) or 1000.0
        targets["trainability"] = trainability(
            status, targets["accuracy"], network.classes, share * images
        )
    data = _word(row.get("data_name")) or "unknown data"
    words = [_word(row.get(name)) for name in SETTING]
    setting = f"{data}, {', '.join(filter(None, words))}"
    return Example(network, targets, data, status, setting)


def _network(text: object, origin: str) -> Network:
    from cnngen.language import parse
    from cnngen.resolution import resolve

    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise StoreError(f"{origin}: is no description")
    return resolve(parse(text, origin))


def _cell(row: Mapping[str, object], origin: str) -> Network:
    """The network of a cell that a record names; its ends are the data's."""
    from cnngen.nasbench import Cell, cell_network

    shape = re.fullmatch(r"(\d{1,6})x(\d{1,6})x(\d{1,6})", str(row.get("data_shape")))
    classes = row.get("data_classes")
    if shape is None or not isinstance(classes, int):
        raise StoreError(f"{origin}: there is no description")
    cell, stem = Cell.from_name(str(row.get("name")))
    height, width, channels = map(int, shape.groups())
    return cell_network(cell, input_shape=(height, width, channels), classes=classes, stem=stem)


def _word(value: object) -> str:
    return shorten(str(value)) if value else ""


def _number(value: object) -> float | None:
    if isinstance(value, (bool, int, float)) and isfinite(value):
        return float(value)
    return None
