"""The store of trainings: a folder of runs, each a folder that appears whole or not at all.

A run's folder is named by its record's key and holds the resolved description `model.cnn`, the
source that was trained `model_<backend>.py`, `model.svg` and `model.png`, `adjacency.json` and
`record.json`, and the trained weights `weights.safetensors` and those of the best epoch
`best.safetensors` if they were kept. A network that no description stands for has no `model.cnn`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from cnngen.errors import CnnGenError, StoreError, counted, printable
from cnngen.runs.kept_weights import BEST, WEIGHTS, read_weights, trained_model, weights_file
from cnngen.runs.record import COLUMNS, KEY, Record, best_first
from cnngen.runs.run_folder import (
    DESCRIPTION,
    RECORD,
    find_run,
    load_network,
    load_run,
    read_record,
    run_files,
    run_paths,
    source_name,
)
from cnngen.system import markup
from cnngen.system.files import write_folder, writing
from cnngen.system.untrusted import refuse_links

if TYPE_CHECKING:
    import pandas as pd

    from cnngen.backend.model_access import Weights
    from cnngen.network import Network

BROKEN = ".broken"
MOST_SHOWN = 20
"""Most runs that a notebook shows."""


def save(
    folder: str | Path,
    record: Record,
    network: Network,
    source: str,
    *,
    weights: Weights | None = None,
    best_weights: Weights | None = None,
    overwrite: bool = False,
) -> Path:
    """Save a training, with its weights if they are given; return the folder of its run.

    The run is written elsewhere in the folder, forced to the disk and then renamed, so that
    a crash at any moment leaves no half of one. Pictures are left out where the network is
    too large to be drawn. Raises `StoreError` where the run is there already and `overwrite`
    is not set, or where it cannot be written.
    """
    _check(record, network)
    files = _files(record, network, source)
    if weights is not None:
        files[WEIGHTS] = weights_file(weights, network)
    if best_weights is not None:
        files[BEST] = weights_file(best_weights, network)
    return write_folder(folder, record.key, files, overwrite=overwrite)


def adopt(folder: str | Path, run: str | Path) -> Path:
    """Copy a run from another folder, as `save` would have written it here.

    Raises `StoreError` as `save` does, and where the run is not whole.
    """
    return write_folder(folder, load_run(run).key, run_files(run))


def set_aside(run: str | Path) -> Path:
    """Move a run that cannot be read out of the way of a new one; return its new path.

    Raises `StoreError` where it cannot be moved.
    """
    run = Path(run)
    place = run.parent / BROKEN / f"{run.name}.{secrets.token_hex(4)}"
    with writing(place):
        refuse_links(place.parent, run.parent)
        place.parent.mkdir(exist_ok=True)
        run.rename(place)
    return place


@dataclass(frozen=True, repr=False)
class Run:
    """One run of a folder: its record, its network and its trained model."""

    path: Path
    record: Record

    def __repr__(self) -> str:
        return f"<Run {self.record!r} in {printable(str(self.path.parent))}>"

    @cached_property
    def network(self) -> Network:
        """The network. Raises `StoreError` where its description is missing or another's."""
        network = load_network(self.path, self.record)
        if network is None:
            raise StoreError(f"{self.path} has no description")
        return network

    @cached_property
    def weights(self) -> Weights:
        """The trained weights by operation. Raises `StoreError` where they were not kept."""
        return read_weights(self.path / WEIGHTS, self.network, root=self.path.parent)

    @cached_property
    def best_weights(self) -> Weights:
        """The weights of the best epoch by validation. Raises `StoreError` where they were not
        kept, as a protocol with `keep = "best"` does."""
        return read_weights(
            self.path / BEST,
            self.network,
            root=self.path.parent,
            remedy="Train with --keep best to keep them.",
        )

    def model(self, backend: str | None = None, *, best: bool = False) -> Any:
        """The trained model: an `nn.Module`, a `keras.Model` or an `nnx.Module`, ready to predict.

        `backend` is by default that of the training; another one gets the same weights. `best`
        takes those of the best epoch by validation. Raises `StoreError` where they were not kept,
        and `BackendError` where the framework is missing.
        """
        weights = self.best_weights if best else self.weights
        return trained_model(self.network, backend or self.record.backend, weights)


class Runs(Sequence[Record]):
    """The records of a folder, in the order of their keys. They are read when one is asked
    for; the table comes from the folder's index where that is up to date. The first characters of
    a key, as in `runs["0f3a"]`, give a `Run`, which has the trained model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    @overload
    def __getitem__(self, index: str) -> Run: ...
    def __getitem__(self, index: int | slice | str) -> Record | list[Record] | Run:
        if isinstance(index, str):
            run = find_run(index, [self.folder])
            return Run(run, load_run(run))
        return self._read[0][index]

    def __len__(self) -> int:
        return len(self._read[0])

    def __repr__(self) -> str:
        broken = f", {len(self.broken)} broken" if self.broken else ""
        return f"<{counted(len(self), 'run')} of {printable(str(self.folder))}{broken}>"

    def _repr_html_(self) -> str:
        rows = [[*record.cells(), record.status] for record in best_first(self)[:MOST_SHOWN]]
        more = f"<p>… and {len(self) - MOST_SHOWN:,} more</p>" if len(self) > MOST_SHOWN else ""
        table = markup.notebook_table((*COLUMNS, "status"), rows)
        return f"<p>{markup.text(repr(self)[1:-1])}</p>{table}{more}"

    @property
    def broken(self) -> list[tuple[Path, str]]:
        """The runs that cannot be read, each with the reason."""
        return self._read[1]

    def path(self, record: Record) -> Path:
        """The folder of a record's run."""
        return self.folder / record.key

    def to_pandas(self) -> pd.DataFrame:
        """One row a record, indexed by its key; the same columns and types for any records.

        Nested fields become columns such as `protocol_epochs`; the epochs' history is left
        out. `docs/records.md` lists the columns.
        """
        from cnngen.runs.parquet_index import read_index
        from cnngen.runs.table import table

        indexed = read_index(self.folder)
        return table(self) if indexed is None else indexed

    @cached_property
    def _read(self) -> tuple[list[Record], list[tuple[Path, str]]]:
        records: list[Record] = []
        broken: list[tuple[Path, str]] = []
        for run in run_paths(self.folder):
            try:
                records.append(read_record(run))
            except StoreError as error:
                broken.append((run, error.message))
        return records, broken


def load(folder: str | Path) -> Runs:
    """All runs of a folder. A run that cannot be read does not hide the others.

    Raises `StoreError` where the folder itself cannot be read.
    """
    run_paths(folder)
    return Runs(Path(folder))


def _check(record: Record, network: Network) -> None:
    """Refuse what would not be a run: nothing that cannot be read again is written."""
    if not re.fullmatch(KEY, record.key):
        raise StoreError(f"a record of backend '{record.backend}' cannot be stored")
    if record.id != network.id:
        raise StoreError(f"record {record.key} is not of network {network.id}")
    try:
        Record.from_json(record.to_json())
    except StoreError as error:
        raise StoreError(f"record {record.key} is not valid: {error.message}") from None


def _files(record: Record, network: Network, source: str) -> dict[str, bytes]:
    """Name and content of each file of a run."""
    from cnngen.language.formatter import format
    from cnngen.network.adjacency import graph
    from cnngen.network.picture import to_png, to_svg

    files = {
        source_name(record): source.encode(),
        "adjacency.json": (graph(network).to_json() + "\n").encode(),
        RECORD: record.to_json().encode(),
    }
    if network.is_described:
        files[DESCRIPTION] = format(network.description, long=True).encode()
    with suppress(CnnGenError):  # too large to be drawn
        files["model.svg"] = to_svg(network).encode()
        files["model.png"] = to_png(network)
    return files
