"""Where trainings are kept: a folder of runs, each a folder that appears whole or not at all.

A run's folder is named by its record's key and holds the resolved description `model.cnn`,
the source that was trained `<backend>.py`, `model.svg` and `model.png`, `adjacency.json` and
`record.json`. There is no `model.cnn` of a network that no sentence stands for.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, overload

from cnngen.errors import CnnGenError, Source, StoreError, counted, printable, shorten
from cnngen.network import id_of_text
from cnngen.runs.record import KEY, Record
from cnngen.system.files import write_folder, writing
from cnngen.system.untrusted import read_bytes, read_text, refuse_links

if TYPE_CHECKING:
    import pandas as pd

    from cnngen.network import Network

BROKEN = ".broken"
RECORD = "record.json"
DESCRIPTION = "model.cnn"
MAX_RECORD = 2**26
"""Most bytes of a record that are read."""
MAX_TEXT = 2**25
"""Most bytes of a description that are read."""
MAX_FILES = 2**28
"""Most bytes of a run's files together that are copied."""


def save(
    folder: str | Path,
    record: Record,
    network: Network,
    source: str,
    *,
    overwrite: bool = False,
) -> Path:
    """Keep a training; gives the folder of its run.

    The run is written elsewhere in the folder, forced to the disk and then renamed, so that
    a crash at any moment leaves no half of one. Pictures are left out where the network is
    too large to be drawn. Raises `StoreError` where the run is there already and `overwrite`
    is not set, or where it cannot be written.
    """
    _check(record, network)
    files = _files(record, network, source)
    return write_folder(folder, record.key, files, overwrite=overwrite)


def adopt(folder: str | Path, run: str | Path) -> Path:
    """Copy a run from another folder, as `save` would have written it here.

    Raises `StoreError` as `save` does, and where the run is not whole.
    """
    return write_folder(folder, load_run(run).key, run_files(run))


def run_files(run: str | Path) -> dict[str, bytes]:
    """Name and content of each file of a run; links and whatever else is no file are left out.

    Raises `StoreError` where one cannot be read, or they are larger together than runs are.
    """
    run = Path(run)
    files: dict[str, bytes] = {}
    room = MAX_FILES
    try:
        for entry in sorted(os.scandir(run), key=lambda entry: entry.name):
            if entry.is_file(follow_symlinks=False):
                files[entry.name] = read_bytes(run / entry.name, room, root=run)
                room -= len(files[entry.name])
    except OSError as error:
        raise StoreError(f"{run} cannot be read: {error.strerror}") from None
    return files


def set_aside(run: str | Path) -> Path:
    """Move a run that cannot be read out of the way of a new one; gives its new place.

    Raises `StoreError` where it cannot be moved.
    """
    run = Path(run)
    place = run.parent / BROKEN / f"{run.name}.{secrets.token_hex(4)}"
    with writing(place):
        refuse_links(place.parent, run.parent)
        place.parent.mkdir(exist_ok=True)
        run.rename(place)
    return place


class Runs(Sequence[Record]):
    """The records of a folder, in the order of their keys. They are read when one is asked
    for; the table comes from the folder's index where that is up to date."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        return self._read[0][index]

    def __len__(self) -> int:
        return len(self._read[0])

    def __repr__(self) -> str:
        broken = f", {len(self.broken)} broken" if self.broken else ""
        return f"<{counted(len(self), 'run')} of {printable(str(self.folder))}{broken}>"

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
                records.append(_read(run))
            except StoreError as error:
                broken.append((run, error.message))
        return records, broken


def load(folder: str | Path) -> Runs:
    """All runs of a folder. A run that cannot be read does not hide the others.

    Raises `StoreError` where the folder itself cannot be read.
    """
    run_paths(folder)
    return Runs(Path(folder))


def run_paths(folder: str | Path) -> list[Path]:
    """The folders of all runs, whole or broken, in the order of their keys.

    Raises `StoreError` where the folder cannot be read.
    """
    folder = Path(folder)
    try:
        names = sorted(name for name in os.listdir(folder) if re.fullmatch(KEY, name))
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be read: {error.strerror}",
            hint="Name the folder that runs were saved into.",
        ) from None
    return [folder / name for name in names]


def load_run(run: str | Path) -> Record:
    """The record of one run's folder. Raises `StoreError` where there is none."""
    try:
        return _read(Path(run))
    except StoreError as error:
        raise StoreError(error.message, source=Source("", str(run))) from None


def load_network(run: str | Path, record: Record) -> Network | None:
    """The network of a run, from its description; None where it has none.

    Raises `StoreError` where the description cannot be read, or is of another network than
    the record.
    """
    from cnngen.language import parse
    from cnngen.space.resolution import resolve

    text = _text(Path(run))
    if text is None:
        return None
    try:
        network = resolve(parse(text, DESCRIPTION))
    except CnnGenError as error:
        raise StoreError(f"{DESCRIPTION} is not a description: {error.message}") from None
    if network.id != record.id:
        raise StoreError(f"{DESCRIPTION} is that of another network, {network.id}")
    return network


def is_run(path: Path) -> bool:
    """Whether a folder is that of a run, whole or broken."""
    return re.fullmatch(KEY, path.absolute().name) is not None and path.is_dir()


def find_run(start: str, folders: Sequence[Path]) -> Path:
    """The one run in some folders whose key starts so. Raises `StoreError` for none or more."""
    found = []
    for folder in folders:
        with suppress(StoreError) if len(folders) > 1 else nullcontext():
            found += [run for run in run_paths(folder) if run.name.startswith(start)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise StoreError(f"no run in {folders[0]} starts with '{shorten(start)}'")
    some = ", ".join(run.name for run in found[:4])
    raise StoreError(
        f"{len(found):,} runs start with '{start}': {some}", hint="Name more of its digits."
    )


def _read(run: Path) -> Record:
    """The record of a run. Raises `StoreError` with the reason alone."""
    run = run.absolute()
    try:
        content = read_bytes(run / RECORD, MAX_RECORD, root=run.parent)
    except OSError as error:
        raise StoreError(f"{RECORD} cannot be read: {error.strerror}") from None
    record = Record.from_json(content)
    if record.key != run.name:
        raise StoreError(f"{RECORD} is that of another run, {record.key}")
    text = _text(run)
    if text is not None and id_of_text(text) != record.id:
        load_network(run, record)
    return record


def _text(run: Path) -> str | None:
    """The description of a run, if it has one."""
    run = run.absolute()
    try:
        return read_text(run / DESCRIPTION, MAX_TEXT, root=run.parent)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{DESCRIPTION} cannot be read: {error.strerror}") from None


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
        f"{record.backend}.py": source.encode(),
        "adjacency.json": (graph(network).to_json() + "\n").encode(),
        RECORD: record.to_json().encode(),
    }
    if network.is_described:
        files[DESCRIPTION] = format(network.description, long=True).encode()
    with suppress(CnnGenError):  # too large to be drawn
        files["model.svg"] = to_svg(network).encode()
        files["model.png"] = to_png(network)
    return files
