"""Where trainings are kept: a folder of runs, each a folder that appears whole or not at all.

A run's folder is named by its record's key and holds the resolved description `model.cnn`,
the source that was trained `<backend>.py`, `model.svg` and `model.png`, `adjacency.json` and
`record.json`. Runs being written lie in the sub-folder `.partial`.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, overload

from cnngen.errors import CnnGenError, StoreError, shorten
from cnngen.record import KEY, Record

if TYPE_CHECKING:
    import pandas as pd

    from cnngen.network import Network

PARTIAL = ".partial"
BROKEN = ".broken"
RECORD = "record.json"
DESCRIPTION = "model.cnn"
MAX_RECORD = 2**26
"""Most bytes of a record that are read."""

STALE = 600.0
"""Seconds after which a run that is still being written counts as a dead writer's. Writing
one takes a second."""


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
    folder = Path(folder)
    _check(record, network)
    files = _files(record, network, source)

    def fill(new: Path) -> None:
        for name, content in files.items():
            _write(new / name, content)

    return _install(folder, record.key, fill, overwrite=overwrite)


def adopt(folder: str | Path, run: str | Path) -> Path:
    """Copy a run from another folder, as `save` would have written it here.

    Raises `StoreError` as `save` does, and where the run is not whole.
    """
    run = Path(run)
    record = load_run(run)

    def fill(new: Path) -> None:
        for file in sorted(run.iterdir()):
            if file.is_file() and not file.is_symlink():
                _write(new / file.name, file.read_bytes())

    return _install(Path(folder), record.key, fill)


def set_aside(run: str | Path) -> Path:
    """Move a run that cannot be read out of the way of a new one; gives its new place.

    Raises `StoreError` where it cannot be moved.
    """
    run = Path(run)
    place = run.parent / BROKEN / f"{run.name}.{secrets.token_hex(4)}"
    with _writing(place):
        place.parent.mkdir(exist_ok=True)
        run.rename(place)
    return place


def write_file(folder: str | Path, name: str, content: bytes) -> Path:
    """Write a file into a store's folder, or a sub-folder of it, whole or not at all.

    Raises `StoreError` where that cannot be done.
    """
    path = Path(folder) / name
    partial = Path(folder) / PARTIAL / f"{path.name}.file.{secrets.token_hex(4)}"
    with _writing(path):
        for place in (partial.parent, path.parent):
            place.mkdir(parents=True, exist_ok=True)
        try:
            _write(partial, content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        _sync(path.parent)
    return path


def _install(
    folder: Path, key: str, fill: Callable[[Path], None], *, overwrite: bool = False
) -> Path:
    """Let a run be filled elsewhere, and give it its name when it is whole."""
    target = folder / key
    with _writing(target):
        partial = folder / PARTIAL
        partial.mkdir(parents=True, exist_ok=True)
        for path in (partial, target):
            if path.is_symlink():
                raise StoreError(f"{path} is a symbolic link", hint="Remove it.")
        sweep(folder)
        if target.exists() and not overwrite:
            raise FileExistsError(errno.EEXIST, "exists")
        token = secrets.token_hex(4)
        new, old = (partial / f"{key}.{kind}.{token}" for kind in ("new", "old"))
        try:
            new.mkdir()
            fill(new)
            _sync(new)
            if target.exists() and overwrite:
                os.utime(target)  # so that nobody takes it for a leftover
                target.rename(old)
            new.rename(target)
            _sync(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)
            _settle(old, target)
    return target


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
        return f"<{len(self)} runs of {self.folder}{broken}>"

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
        from cnngen.index import read_index
        from cnngen.table import table

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
        raise StoreError(f"{run}: {error.message}") from None


def is_run(path: Path) -> bool:
    """Whether a folder is that of a run, whole or broken."""
    return re.fullmatch(KEY, path.absolute().name) is not None and path.is_dir()


def find_run(start: str, folders: Sequence[Path]) -> Path:
    """The one run in some folders whose key starts so. Raises `StoreError` for none or more."""
    runs = [run for folder in folders if folder.is_dir() for run in run_paths(folder)]
    found = [run for run in runs if run.name.startswith(start)]
    if len(found) == 1:
        return found[0]
    where = " and ".join(map(str, folders[:1])) or "here"
    if not found:
        raise StoreError(f"no run in {where} starts with '{shorten(start)}'")
    some = ", ".join(run.name for run in found[:4])
    raise StoreError(
        f"{len(found):,} runs start with '{start}': {some}", hint="Name more of its digits."
    )


def _read(run: Path) -> Record:
    """The record of a run. Raises `StoreError` with the reason alone."""
    path = run / RECORD
    if run.is_symlink() or path.is_symlink():
        raise StoreError("is a symbolic link")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_RECORD + 1)
    except OSError as error:
        raise StoreError(f"{RECORD} cannot be read: {error.strerror}") from None
    if len(content) > MAX_RECORD:
        raise StoreError(f"{RECORD} is larger than any record")
    record = Record.from_json(content)
    if record.key != run.absolute().name:
        raise StoreError(f"{RECORD} is that of another run, {record.key}")
    return record


def sweep(folder: str | Path) -> None:
    """Clear away what killed writers left in a folder; undo replacements they were amid."""
    partial = Path(folder) / PARTIAL
    for left in partial.iterdir() if partial.is_dir() else ():
        name = re.fullmatch(
            rf"({KEY}|[a-z.]+)\.(new|old|file)\.[0-9a-f]+", left.name, re.IGNORECASE
        )
        with suppress(OSError):  # another process may be sweeping, too
            if name is None or time.time() - left.lstat().st_mtime < STALE:
                continue
            match name[2]:
                case "old":
                    _settle(left, Path(folder) / name[1])
                case "new":
                    shutil.rmtree(left)
                case _:
                    left.unlink()


def _settle(old: Path, target: Path) -> None:
    """End the replacement of a run: drop the old one, or put it back where none took its
    place."""
    if old.exists() and not target.exists():
        old.rename(target)
    shutil.rmtree(old, ignore_errors=True)


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
    from cnngen.adjacency import graph
    from cnngen.language.formatter import format
    from cnngen.picture import to_png, to_svg

    files = {
        DESCRIPTION: format(network.description, long=True).encode(),
        f"{record.backend}.py": source.encode(),
        "adjacency.json": (graph(network).to_json() + "\n").encode(),
        RECORD: record.to_json().encode(),
    }
    with suppress(CnnGenError):  # too large to be drawn
        files["model.svg"] = to_svg(network).encode()
        files["model.png"] = to_png(network)
    return files


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Force a folder's names to the disk, where the system offers it."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Turn the system's refusals into `StoreError`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY) and target.exists():
            raise StoreError(
                f"{target} is there already",
                hint="Equal networks trained alike have one run; ask to overwrite it.",
            ) from None
        reason = error.strerror or str(error)
        raise StoreError(
            f"{target} cannot be written: {reason}",
            hint="Runs need a folder, with room in it, that you may write to.",
        ) from None
