"""Arrays in zip files that may be a stranger's: data sets as npz, and saved predictors.

NumPy reads the header of an array as Python's syntax, and takes the memory that it asks for;
here a header is matched, not parsed, and memory is taken for what is really there.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from cnngen.errors import CnnGenError
from cnngen.system.untrusted import opened

MAX_HEADER = 10_000
"""Most bytes of an array's own header."""
MAX_AXES = 32
CHUNK = 2**20

MAGIC = b"\x93NUMPY"
LENGTHS = {(1, 0): 2, (2, 0): 4, (3, 0): 4}
"""Bytes of a header's length, by the version of the format."""

ENTRY = re.compile(
    r"""\s*(['"])(?:
        descr\1\s*:\s*(['"])(?P<descr>[<>|=]?[a-zA-Z]\d{0,9}(?:\[\w{1,9}\])?)\2
        | fortran_order\1\s*:\s*(?P<fortran>True|False)
        | shape\1\s*:\s*\((?P<shape>[\dL,\ ]{0,1000})\)
    )\s*,?""",
    re.VERBOSE,
)
LENGTH = re.compile(r"(\d{1,18})L?")


@dataclass(frozen=True, slots=True)
class Header:
    """The type and shape that an array states. `size` is in bytes."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    is_fortran: bool

    @property
    def size(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


@contextmanager
def archive(path: str | Path, most: int) -> Iterator[zipfile.ZipFile]:
    """A zip of at most `most` bytes.

    Whatever a reader makes of a broken file comes out as ValueError, but for `CnnGenError` and
    what the system says of a file that cannot be opened (OSError).
    """
    with opened(path, most) as file:
        try:
            with zipfile.ZipFile(file) as found:
                yield found
        except CnnGenError:
            raise
        # There is no list of what zipfile, zlib, lzma and NumPy raise over broken bytes.
        except Exception as error:
            raise ValueError(str(error) or type(error).__name__) from None


def read_header(file: IO[bytes]) -> Header:
    """Read the header of an array in NumPy's format. Raises ValueError if it is not valid."""
    start = file.read(len(MAGIC) + 2)
    width = LENGTHS.get((start[-2], start[-1])) if len(start) == len(MAGIC) + 2 else None
    if width is None or not start.startswith(MAGIC):
        raise ValueError("an array in it is not in NumPy's format")
    length = int.from_bytes(file.read(width), "little")
    if length > MAX_HEADER:
        raise ValueError("the header of an array in it is too long")
    text = file.read(length).decode("latin-1").strip()
    found: dict[str, str] = {}
    at = 1
    while (entry := ENTRY.match(text, at, len(text) - 1)) is not None:
        found |= {name: value for name, value in entry.groupdict().items() if value is not None}
        at = entry.end()
    if not text.startswith("{") or text[at:].strip() != "}" or len(found) != 3:
        raise ValueError(f"the header of an array in it is {text!r:.80}")
    lengths = [part.strip() for part in found["shape"].split(",") if part.strip()]
    matches = [LENGTH.fullmatch(part) for part in lengths]
    shape = tuple(int(match[1]) for match in matches if match is not None)
    if len(shape) < len(lengths) or len(shape) > MAX_AXES:
        raise ValueError(f"an array in it has the shape ({found['shape']:.80})")
    dtype = np.dtype(found["descr"])
    if not dtype.itemsize:
        raise ValueError(f"an array in it holds {found['descr']!r}, which takes no memory")
    return Header(dtype, shape, found["fortran"] == "True")


def read_array(file: IO[bytes], most: int) -> NDArray[np.generic]:
    """An array in NumPy's format, of at most `most` bytes.

    Raises ValueError if it is not in that format, is larger or shorter than its header says,
    or holds Python objects, which may run code when they are read.
    """
    header = read_header(file)
    if header.dtype.hasobject:
        raise ValueError("an array in it holds Python objects")
    if header.size > most:
        raise ValueError(f"an array in it takes {header.size:,} bytes")
    content = bytearray()
    while len(content) < header.size:
        chunk = file.read(min(CHUNK, header.size - len(content)))
        if not chunk:
            raise ValueError(f"an array in it is shorter than its shape {header.shape} says")
        content += chunk
    array = np.frombuffer(content, np.uint8 if header.dtype.kind == "b" else header.dtype)
    if header.dtype.kind == "b":
        array = array != 0  # other bytes would be neither True nor False
    return array.reshape(header.shape, order="F" if header.is_fortran else "C")
