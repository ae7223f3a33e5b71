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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, overload

from cnngen.errors import CnnGenError, StoreError
from cnngen.record import KEY, Record

if TYPE_CHECKING:
    import pandas as pd

    from cnngen.network import Network

PARTIAL = ".partial"
RECORD = "record.json"
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
    target = folder / record.key
    files = _files(record, network, source)
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
        new, old = (partial / f"{record.key}.{kind}.{token}" for kind in ("new", "old"))
        try:
            new.mkdir()
            for name, content in files.items():
                _write(new / name, content)
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
    """The records of a folder, in the order of their keys.

    `broken` are the runs that cannot be read, each with the reason.
    """

    def __init__(
        self, folder: Path, records: Sequence[Record], broken: Sequence[tuple[Path, str]] = ()
    ) -> None:
        self.folder = folder
        self.broken = list(broken)
        self._records = list(records)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        return self._records[index]

    def __len__(self) -> int:
        return len(self._records)

    def __repr__(self) -> str:
        broken = f", {len(self.broken)} broken" if self.broken else ""
        return f"<{len(self)} runs of {self.folder}{broken}>"

    def path(self, record: Record) -> Path:
        """The folder of a record's run."""
        return self.folder / record.key

    def to_pandas(self) -> pd.DataFrame:
        """One row a record, indexed by its key; the same columns and types for any records.

        Nested fields become columns such as `protocol_epochs`; the epochs' history is left
        out. `docs/records.md` lists the columns.
        """
        from cnngen.table import table

        return table(self._records)


def load(folder: str | Path) -> Runs:
    """All runs of a folder. A run that cannot be read does not hide the others.

    Raises `StoreError` where the folder itself cannot be read.
    """
    folder = Path(folder)
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be read: {error.strerror}",
            hint="Name the folder that runs were saved into.",
        ) from None
    records: list[Record] = []
    broken: list[tuple[Path, str]] = []
    for name in names:
        if re.fullmatch(KEY, name):
            try:
                records.append(_read(folder / name))
            except StoreError as error:
                broken.append((folder / name, error.message))
    return Runs(folder, records, broken)


def load_run(run: str | Path) -> Record:
    """The record of one run's folder. Raises `StoreError` where there is none."""
    try:
        return _read(Path(run))
    except StoreError as error:
        raise StoreError(f"{run}: {error.message}") from None


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
        name = re.fullmatch(rf"({KEY})\.(new|old)\.[0-9a-f]+", left.name)
        with suppress(OSError):  # another process may be sweeping, too
            if name is None or time.time() - left.lstat().st_mtime < STALE:
                continue
            if name[2] == "old":
                _settle(left, Path(folder) / name[1])
            else:
                shutil.rmtree(left)


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
        "model.cnn": format(network.description, long=True).encode(),
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
