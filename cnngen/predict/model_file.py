"""Read and write saved predictors: a zip of one JSON file and NumPy arrays, without code."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from cnngen.errors import CnnGenError, StoreError
from cnngen.system.archives import archive as opened_archive
from cnngen.system.archives import read_array
from cnngen.system.files import replacing

FORMAT = 1
HEAD = "predictor.json"
MAX_JSON = 2**24
MAX_ARRAYS = 2**28
"""Largest JSON file, and largest total of all arrays, that are read, in bytes."""

KINDS = "biuf"
MAX_ITEM = 8
"""The accepted kinds of numbers, and their largest size in bytes; all fit a float64."""


@dataclass(frozen=True, slots=True)
class State:
    """The learnt part of a predictor: JSON-compatible values, and arrays of numbers.

    Arrays are named by paths such as `members/0/weights`.
    """

    values: Mapping[str, object] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)

    def inside(self, prefix: str) -> Mapping[str, NDArray[np.generic]]:
        """Return the arrays below a path, by their names relative to it."""
        start = f"{prefix}/"
        return {
            name.removeprefix(start): array
            for name, array in self.arrays.items()
            if name.startswith(start)
        }


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved predictor as read: only its sizes have been checked."""

    name: str
    params: Mapping[str, object]
    target: str
    state: State


def write(path: Path, name: str, params: Mapping[str, object], target: str, state: State) -> None:
    """Write a predictor file atomically. Raises `StoreError` if it cannot be written."""
    head = {
        "format": FORMAT,
        "predictor": name,
        "params": params,
        "target": target,
        "values": state.values,
    }
    try:
        with (
            replacing(path) as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        ):
            # ZipInfo has a fixed time stamp, so equal predictors give equal files.
            archive.writestr(zipfile.ZipInfo(HEAD), json.dumps(head), zipfile.ZIP_DEFLATED)
            for array_name, array in state.arrays.items():
                member = zipfile.ZipInfo(f"{array_name}.npy")
                member.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(member, "w") as stream:
                    np.lib.format.write_array(stream, np.asarray(array), allow_pickle=False)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from None


def read(path: Path) -> Saved:
    """Read a predictor file, checking sizes before allocating memory.

    Raises `StoreError` if the file cannot be read or is not a saved predictor.
    """
    try:
        with opened_archive(path, MAX_JSON + MAX_ARRAYS) as archive:
            head = _head(archive)
            arrays = _arrays(archive)
            if head["format"] != FORMAT:
                raise ValueError(
                    f"its format is {head['format']!r:.20}, this version reads {FORMAT}"
                )
            name, target = head["predictor"], head["target"]
            params, values = head["params"], head["values"]
            if not (isinstance(name, str) and isinstance(target, str)):
                raise ValueError("its name or its target is not text")
            if not (isinstance(params, dict) and isinstance(values, dict)):
                raise ValueError("its hyper-parameters or its values are not an object")
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist") from None
    except OSError as error:
        raise StoreError(f"{path} {error.strerror}") from None
    except ValueError as error:
        raise StoreError(f"{path} is not a saved predictor: {error}") from None
    return Saved(name, params, target, State(values, arrays))


@contextmanager
def restoring(what: str) -> Iterator[None]:
    """Turn any exception into `CnnGenError`.

    Classes that restore themselves from untrusted files then need not check every value.
    """
    try:
        yield
    except CnnGenError:
        raise
    except Exception as error:
        raise CnnGenError(f"{what} cannot be restored: {error!r:.160}") from None


def _head(archive: zipfile.ZipFile) -> dict[str, object]:
    with archive.open(HEAD) as file:
        content = file.read(MAX_JSON + 1)
    if len(content) > MAX_JSON:
        raise ValueError("its JSON is too large")
    head = json.loads(content)
    if not isinstance(head, dict):
        raise ValueError("its JSON is not an object")
    return cast("dict[str, object]", head)


def _arrays(archive: zipfile.ZipFile) -> dict[str, NDArray[np.generic]]:
    arrays: dict[str, NDArray[np.generic]] = {}
    room = MAX_ARRAYS
    for member in archive.namelist():
        if not member.endswith(".npy"):
            continue
        with archive.open(member) as file:
            array = read_array(file, room)
        if array.dtype.kind not in KINDS or array.dtype.itemsize > MAX_ITEM:
            raise ValueError(f"{member} is not an array of numbers")
        room -= array.nbytes
        arrays[member.removesuffix(".npy")] = array
    return arrays


def check_arrays(
    arrays: Mapping[str, NDArray[np.generic]], shapes: Mapping[str, tuple[int | None, ...]]
) -> None:
    """Raise `CnnGenError` unless all arrays are present, finite, and of the given shapes.

    None in a shape stands for any length.
    """
    for name, shape in shapes.items():
        array = arrays.get(name)
        if array is None:
            raise CnnGenError(f"not a valid predictor file: its array '{name}' is missing")
        fits = array.ndim == len(shape) and all(
            want in (None, have) for want, have in zip(shape, array.shape, strict=True)
        )
        if not fits:
            raise CnnGenError(
                f"not a valid predictor file: its array '{name}' has shape {array.shape}"
            )
        if not np.isfinite(array).all():
            raise CnnGenError(f"not a valid predictor file: its array '{name}' is not finite")
