"""A data set that many processes read from the same memory."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from cnngen.data import Dataset
from cnngen.errors import DataError

PREFIX = f"cnngen-{os.getuid()}-"
LOCK = "lock"
YOUNG = 60.0
"""Seconds in which a folder may still be getting its lock."""


@dataclass(frozen=True, slots=True)
class SharedData:
    """Where a data set lies, and what its arrays do not tell."""

    folder: Path
    name: str
    class_names: tuple[str, ...]
    test_start: int | None

    def open(self) -> Dataset:
        """The data set, its pixels in memory that all processes share."""
        return _open(self)


@contextmanager
def shared(data: Dataset) -> Iterator[SharedData]:
    """Put a data set where other processes can map it into their memory; it goes at the end.

    What killed processes left behind is cleared away first. Raises `DataError` where the
    folder for temporary files has no room.
    """
    clear()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        with (folder / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # until this process ends, however it ends
            try:
                np.save(folder / "images.npy", data.images)
                np.save(folder / "labels.npy", data.labels)
            except OSError as error:
                raise DataError(
                    f"{data.name} cannot be shared in {folder.parent}: {error.strerror}",
                    hint="Name another folder for temporary files in TMPDIR.",
                ) from None
            yield SharedData(folder, data.name, data.class_names, data.test_start)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear() -> None:
    """Remove the shared data sets whose processes have ended."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            status = folder.lstat()
            if status.st_uid != os.getuid() or folder.is_symlink():
                continue
            lock = folder / LOCK
            if not lock.exists():
                if time.time() - status.st_mtime > YOUNG:
                    shutil.rmtree(folder)
                continue
            with lock.open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while its owner lives
                shutil.rmtree(folder)


@cache
def _open(data: SharedData) -> Dataset:
    # Mode `c` shares pages until they are written to, which nothing does; PyTorch warns of
    # arrays that cannot be written to.
    images, labels = (
        np.asarray(np.load(data.folder / f"{name}.npy", mmap_mode="c"))
        for name in ("images", "labels")
    )
    return Dataset(data.name, images, labels, data.class_names, data.test_start)
