"""A data set that many processes read from the same memory."""

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
    """Where a data set lies, and what its arrays do not tell.

    `file` is the number of an open file, the same in processes that get it from this one. It
    has no name that anybody could delete, and goes when the last process that has it ends.
    """

    file: int
    digest: str
    shape: tuple[int, int, int, int]
    name: str
    class_names: tuple[str, ...]
    test_start: int | None

    def open(self) -> Dataset:
        """The data set, its pixels in memory that all processes share."""
        return _open(self)


@contextmanager
def shared(data: Dataset) -> Iterator[SharedData]:
    """Put a data set where worker processes that get its file can map it into their memory.

    Raises `DataError` where the folder for temporary files has no room.
    """
    try:
        file = tempfile.TemporaryFile(prefix="cnngen-")  # noqa: SIM115
        file.write(np.ascontiguousarray(data.labels).data)
        file.write(np.ascontiguousarray(data.images).data)
        file.flush()
    except OSError as error:
        raise DataError(
            f"{data.name} cannot be shared in the folder for temporary files: {error.strerror}",
            hint="Name another one in TMPDIR.",
        ) from None
    with file:
        yield SharedData(
            file.fileno(),
            data.digest,
            (len(data.images), *data.input_shape),
            data.name,
            data.class_names,
            data.test_start,
        )


@cache
def _open(data: SharedData) -> Dataset:
    # A private map shares pages until they are written to, which nothing does; PyTorch warns of
    # arrays that cannot be written to.
    memory = mmap.mmap(data.file, 0, access=mmap.ACCESS_COPY)
    labels = np.frombuffer(memory, np.int64, data.shape[0])
    images = np.frombuffer(memory, np.uint8, offset=labels.nbytes).reshape(data.shape)
    return Dataset(data.name, images, labels, data.class_names, data.test_start)
