"""Files and folders that appear whole or not at all, whatever dies in between.

What is being written lies in the sub-folder `.partial` of its folder, is forced to the disk
and then renamed, which is one step.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from cnngen.errors import StoreError
from cnngen.system.untrusted import refuse_links

PARTIAL = ".partial"

STALE = 600.0
"""Seconds after which what is still being written counts as a dead writer's. Writing a run
takes a second."""


def write_folder(
    folder: str | Path, name: str, files: Mapping[str, bytes], *, overwrite: bool = False
) -> Path:
    """Write a sub-folder with files into a folder, and clear away what killed writers left.

    Raises `StoreError` where it is there already and `overwrite` is not set, or where it
    cannot be written.
    """
    folder = Path(folder)
    target = folder / name
    with writing(target):
        partial = folder / PARTIAL
        partial.mkdir(parents=True, exist_ok=True)
        for path in (partial, target):
            _refuse_links(path, folder)
        sweep(folder)
        if target.exists() and not overwrite:
            raise FileExistsError(errno.EEXIST, "exists")
        token = secrets.token_hex(4)
        new, old = (partial / f"{name}.{kind}.{token}" for kind in ("new", "old"))
        try:
            new.mkdir()
            for file, content in files.items():
                _write(new / file, content)
            _sync(new)
            if target.exists() and overwrite:
                os.utime(target)  # so that no sweep takes it for a leftover
                target.rename(old)
            new.rename(target)
            _sync(folder)
        finally:
            shutil.rmtree(new, ignore_errors=True)
            _settle(old, target)
    return target


def write_file(folder: str | Path, name: str, content: bytes) -> Path:
    """Write a file into a folder, or a sub-folder of it.

    Raises `StoreError` where that cannot be done, and where a sub-folder is a link.
    """
    path = Path(folder) / name
    partial = Path(folder) / PARTIAL / f"{path.name}.file.{secrets.token_hex(4)}"
    with writing(path):
        for place in (partial.parent, path.parent):
            _refuse_links(place, folder)
            place.mkdir(parents=True, exist_ok=True)
        try:
            _write(partial, content)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        _sync(path.parent)
    return path


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write into, which takes the place of the one at `path` when the block ends well.

    A link stays and its target changes; the mode stays; what is not a regular file, such as a
    device, is written to. Raises OSError where that cannot be done, and leaves nothing.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with partial.open("xb") as file:
            yield file
        if path.exists():
            shutil.copymode(path, partial)
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink()


def sweep(folder: str | Path) -> None:
    """Clear away what killed writers left in a folder; undo replacements they were amid."""
    partial = Path(folder) / PARTIAL
    for left in partial.iterdir() if partial.is_dir() and not partial.is_symlink() else ():
        name = re.fullmatch(r"(\w[\w.-]*)\.(new|old|file)\.[0-9a-f]+", left.name)
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


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn errors of the file system into `StoreError`."""
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


def _refuse_links(path: Path, folder: str | Path) -> None:
    try:
        refuse_links(path, folder)
    except OSError as error:
        raise StoreError(f"{error.filename} {error.strerror}", hint="Remove it.") from None


def _settle(old: Path, target: Path) -> None:
    """End the replacement of a run: drop the old one, or put it back where none took its
    place."""
    if old.exists() and not target.exists():
        old.rename(target)
    shutil.rmtree(old, ignore_errors=True)


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
