"""Files that may be a stranger's: regular, of bounded size, and reached by no link.

Every file of a folder of runs, of a campaign or a comparison is opened here, and so is each
predictor, archive and Parquet file that a user names. What is in them is still to be checked.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)  # to open a pipe would wait for its other end
)


@contextmanager
def opened(path: str | Path, most: int, *, root: str | Path | None = None) -> Iterator[BinaryIO]:
    """A regular file of at most `most` bytes, open for reading and seeking.

    Give `root`, the folder that the user named, for a file inside a folder: then neither the
    file nor any folder between may be a link. Without it the user named the file itself, and
    links to it are followed, as to the files of a download cache. Pass what comes out to
    `zipfile.ZipFile`, `numpy.load` or `pyarrow.parquet.ParquetFile` in place of a path; they
    may read no more than is there, but may still make much of it: look at the sizes that they
    declare before anything is unpacked.

    Raises OSError whose `strerror` goes on from the file's name: "is a symbolic link", "is not
    a regular file", "has more than 10 bytes", or what the system says.
    """
    path = Path(path)
    try:
        if root is not None:
            refuse_links(path, root)
        _check(os.stat(path), path, most)  # before a device is opened
        descriptor = os.open(path, FLAGS | (0 if root is None else getattr(os, "O_NOFOLLOW", 0)))
    except ValueError:  # a NUL in the name
        raise OSError(errno.EINVAL, "is not the path of a file", str(path)) from None
    with open(descriptor, "rb") as file:
        _check(os.fstat(descriptor), path, most)
        yield file


def read_bytes(path: str | Path, most: int, *, root: str | Path | None = None) -> bytes:
    """The content of a file. Raises OSError as `opened` does."""
    with opened(path, most, root=root) as file:
        content = file.read(most + 1)
    if len(content) > most:  # it grew, or its size was not told
        raise _too_large(path, most)
    return content


def read_text(path: str | Path, most: int, *, root: str | Path | None = None) -> str:
    """The content of a file of text, UTF-8, of at most `most` bytes.

    Raises OSError as `opened` does, and where it is not UTF-8.
    """
    try:
        return read_bytes(path, most, root=root).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise OSError(errno.EILSEQ, "is not text in UTF-8", str(path)) from None


def refuse_links(path: str | Path, root: str | Path) -> None:
    """Raise OSError where a file or folder is reached from `root` by a link, which may lead
    out of it. A path that does not exist passes."""
    place = Path(root)
    for part in Path(path).relative_to(place).parts:
        place /= part
        if part == ".." or place.is_symlink():
            raise OSError(errno.ELOOP, "is a symbolic link", str(place))


def _check(status: os.stat_result, path: Path, most: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    if status.st_size > most:
        raise _too_large(path, most)


def _too_large(path: str | Path, most: int) -> OSError:
    return OSError(errno.EFBIG, f"has more than {most:,} bytes", str(path))
