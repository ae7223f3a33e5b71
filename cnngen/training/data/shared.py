"""Shares a data set between processes through memory-mapped files."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

import numpy as np

from cnngen.errors import DataError
from cnngen.system.machine import inherits_files
from cnngen.training.data import Dataset


@dataclass(frozen=True, slots=True)
class SharedData:
    """A handle on a shared data set, and the properties that its arrays do not tell.

    `file` is the descriptor of an open file, which child processes inherit. The file has no
    name, so nobody can delete it, and it vanishes when the last process that has it ends. Where
    processes do not inherit files, it is a path.
    """

    file: int | str
    digest: str
    shape: tuple[int, int, int, int]
    name: str
    class_names: tuple[str, ...]
    test_start: int | None
    prepared: str | None

    @property
    def files(self) -> list[int]:
        """The open files that a worker is to inherit."""
        return [self.file] if isinstance(self.file, int) else []

    def open(self) -> Dataset:
        """Open the data set, with its pixels in memory that all processes share."""
        return _open(self)


@contextmanager
def shared(data: Dataset) -> Iterator[SharedData]:
    """Write a data set to a temporary file that worker processes can map into memory.

    Raises `DataError` if the folder for temporary files has no room.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(_temporary_file())
            file.write(np.ascontiguousarray(data.labels).data)
            file.write(np.ascontiguousarray(data.images).data)
            file.flush()
        except OSError as error:
            raise DataError(
                f"{data.name} cannot be written to the folder for temporary files: {error.strerror}",
                hint="Set TMPDIR to another folder.",
            ) from None
        yield SharedData(
            file.fileno() if inherits_files() else file.name,
            data.digest,
            (len(data.images), *data.input_shape),
            data.name,
            data.class_names,
            data.test_start,
            data.prepared,
        )


@contextmanager
def _temporary_file() -> Iterator[IO[bytes]]:
    if inherits_files():
        with tempfile.TemporaryFile(prefix="cnngen-") as unnamed:
            yield unnamed
        return
    with (
        tempfile.TemporaryDirectory(prefix="cnngen-", ignore_cleanup_errors=True) as folder,
        open(Path(folder, "data"), "wb") as file,
    ):
        yield file


@cache
def _open(data: SharedData) -> Dataset:
    # A private map shares all pages that are not written to, which none is. A read-only map would
    # make PyTorch warn.
    with open(data.file, "rb", closefd=isinstance(data.file, str)) as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    labels = np.frombuffer(memory, np.int64, data.shape[0])
    images = np.frombuffer(memory, np.uint8, offset=labels.nbytes).reshape(data.shape)
    return Dataset(data.name, images, labels, data.class_names, data.test_start, data.prepared)
