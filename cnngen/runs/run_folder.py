"""One run of a folder: its record and its network, read as a stranger's."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cnngen.errors import CnnGenError, Source, StoreError, shorten
from cnngen.network.network import id_of_text
from cnngen.runs.record import KEY, Record
from cnngen.system.untrusted import read_bytes, read_text

if TYPE_CHECKING:
    from cnngen.network import Network

RECORD = "record.json"
DESCRIPTION = "model.cnn"
MAX_RECORD = 2**26
"""Most bytes of a record that are read."""
MAX_TEXT = 72 * 2**20
"""Most bytes of a description that are read: as long a text as the language takes."""
MAX_FILES = 2**28
"""Most bytes of a run's files together that are copied."""


def source_name(record: Record) -> str:
    """The name of the file of a run's source, which hides no framework from `import`."""
    return f"model_{record.backend}.py"


def source_path(run: Path, record: Record) -> Path:
    """The file of a run's source; older versions named it after the backend alone."""
    path = run / source_name(record)
    return path if path.exists() else run / f"{record.backend}.py"


def run_files(run: str | Path) -> dict[str, bytes]:
    """Read the files of a run by their names, leaving out links and other special files.

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


def run_paths(folder: str | Path) -> list[Path]:
    """The folders of all runs, whole or broken, in the order of their keys.

    Raises `StoreError` where the folder cannot be read.
    """
    return [Path(folder, name) for name in _names(folder) if re.fullmatch(KEY, name)]


def folders_of_runs(folder: str | Path) -> dict[Path, int]:
    """The sub-folders of a folder that hold runs, and how many each holds, by name.

    Those that cannot be read are left out. Raises `StoreError` where the folder itself cannot be.
    """
    found = {}
    for name in _names(folder):
        path = Path(folder, name)
        if (
            name.startswith(".")
            or re.fullmatch(KEY, name)
            or path.is_symlink()
            or not path.is_dir()
        ):
            continue
        with suppress(StoreError):
            if held := len(run_paths(path)):
                found[path] = held
    return found


def _names(folder: str | Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be read: {error.strerror}",
            hint="Name the folder that runs were saved into.",
        ) from None


def load_run(run: str | Path) -> Record:
    """The record of one run's folder. Raises `StoreError` where there is none."""
    try:
        return read_record(Path(run))
    except StoreError as error:
        raise StoreError(error.message, source=Source("", str(run))) from None


def load_network(run: str | Path, record: Record) -> Network | None:
    """The network of a run, from its description; None where it has none.

    Raises `StoreError` where the description cannot be read, is of another network than the
    record, or has other counts than the record says.
    """
    text = _text(Path(run))
    return None if text is None else _network(text, record)


def _network(text: str, record: Record) -> Network:
    """The network of a description, held against the record."""
    from cnngen.language import parse
    from cnngen.space.resolution import resolve

    try:
        network = resolve(parse(text, DESCRIPTION))
    except CnnGenError as error:
        raise StoreError(f"{DESCRIPTION} is not a description: {error.message}") from None
    if network.id != record.id:
        raise StoreError(f"{DESCRIPTION} is that of another network, {network.id}")
    for name in ("layers", "parameters", "multiply_adds", "flops"):
        told, counted = getattr(record, name), getattr(network.cost, name)
        if told != counted:
            raise StoreError(f"{RECORD} says {told:,} {name}, its network has {counted:,}")
    return network


def is_run(path: Path) -> bool:
    """Return whether a folder is that of a run, complete or broken."""
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


def read_record(run: Path) -> Record:
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
        _network(text, record)
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
