"""Shares a data set between processes through memory-mapped files."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import numpy as np

from cnngen.errors import DataError
from cnngen.training.data import Dataset


@dataclass(frozen=True, slots=True)
class SharedData:
    """A handle on a shared data set, and the properties that its arrays do not tell.

    `file` is the descriptor of an open file, which child processes inherit. The file has no
    name, so nobody can delete it, and it vanishes when the last process that has it ends.
    """

    file: int
    digest: str
    shape: tuple[int, int, int, int]
    name: str
    class_names: tuple[str, ...]
    test_start: int | None
    prepared: str | None

    def open(self) -> Dataset:
        """Open the data set, with its pixels in memory that all processes share."""
        return _open(self)


@contextmanager
def shared(data: Dataset) -> Iterator[SharedData]:
    """Write a data set to an unnamed file that worker processes can map into memory.

    Raises `DataError` if the folder for temporary files has no room.
    """
    try:
        file = tempfile.TemporaryFile(prefix="cnngen-")  # noqa: SIM115
        file.write(np.ascontiguousarray(data.labels).data)
        file.write(np.ascontiguousarray(data.images).data)
        file.flush()
    except OSError as error:
        raise DataError(
            f"{data.name} cannot be written to the folder for temporary files: {error.strerror}",
            hint="Set TMPDIR to another folder.",
        ) from None
    with file:
        yield SharedData(
            file.fileno(),
            data.digest,
            (len(data.images), *data.input_shape),
            data.name,
            data.class_names,
            data.test_start,
            data.prepared,
        )


@cache
def _open(data: SharedData) -> Dataset:
    # A private map shares all pages that are not written to, which none is. A read-only map would
    # make PyTorch warn.
    memory = mmap.mmap(data.file, 0, access=mmap.ACCESS_COPY)
    labels = np.frombuffer(memory, np.int64, data.shape[0])
    images = np.frombuffer(memory, np.uint8, offset=labels.nbytes).reshape(data.shape)
    return Dataset(data.name, images, labels, data.class_names, data.test_start, data.prepared)
