"""Saved predictors: a zip of one JSON text and NumPy arrays, nothing of which can run."""

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
"""Most bytes of the JSON text, and of all arrays together, that are read."""

KINDS = "biuf"
MAX_ITEM = 8
"""Arrays are of numbers, of at most so many bytes: all of them fit a float64."""


@dataclass(frozen=True, slots=True)
class State:
    """What a predictor has learnt: values that JSON knows, and arrays of numbers.

    Names of arrays are paths such as `members/0/weights`.
    """

    values: Mapping[str, object] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)

    def inside(self, prefix: str) -> Mapping[str, NDArray[np.generic]]:
        """The arrays below a path, by the rest of their names."""
        start = f"{prefix}/"
        return {
            name.removeprefix(start): array
            for name, array in self.arrays.items()
            if name.startswith(start)
        }


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved predictor as it was read: nothing in it has been checked but its sizes."""

    name: str
    params: Mapping[str, object]
    target: str
    state: State


def write(path: Path, name: str, params: Mapping[str, object], target: str, state: State) -> None:
    """Write a predictor whole or not at all. Raises `StoreError` where that cannot be done."""
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
            # A fixed time of writing: equal predictors give equal files.
            archive.writestr(zipfile.ZipInfo(HEAD), json.dumps(head), zipfile.ZIP_DEFLATED)
            for array_name, array in state.arrays.items():
                member = zipfile.ZipInfo(f"{array_name}.npy")
                member.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(member, "w") as stream:
                    np.lib.format.write_array(stream, np.asarray(array), allow_pickle=False)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from None


def read(path: Path) -> Saved:
    """Read what `write` wrote; sizes are checked before memory is taken.

    Raises `StoreError` for a file that is no saved predictor.
    """
    try:
        with opened_archive(path, MAX_JSON + MAX_ARRAYS) as archive:
            head = _head(archive)
            arrays = _arrays(archive)
            if head["format"] != FORMAT:
                raise ValueError(
                    f"it has the format {head['format']!r:.20}, this CNNGen reads {FORMAT}"
                )
            name, target = head["predictor"], head["target"]
            params, values = head["params"], head["values"]
            if not (isinstance(name, str) and isinstance(target, str)):
                raise ValueError("its name or its target is no text")
            if not (isinstance(params, dict) and isinstance(values, dict)):
                raise ValueError("its hyper-parameters or its values are no object")
    except FileNotFoundError:
        raise StoreError(f"there is no {path}") from None
    except OSError as error:
        raise StoreError(f"{path} {error.strerror}") from None
    except ValueError as error:
        raise StoreError(f"{path} is no saved predictor: {error}") from None
    return Saved(name, params, target, State(values, arrays))


@contextmanager
def restoring(what: str) -> Iterator[None]:
    """Turn whatever is made of a stranger's values into `CnnGenError`: classes that restore
    themselves need not foresee all that JSON can hold."""
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
        raise ValueError("its JSON is no object")
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
            raise ValueError(f"{member} is no array of numbers")
        room -= array.nbytes
        arrays[member.removesuffix(".npy")] = array
    return arrays


def check_arrays(
    arrays: Mapping[str, NDArray[np.generic]], shapes: Mapping[str, tuple[int | None, ...]]
) -> None:
    """Raise `CnnGenError` unless arrays of these shapes are there, all of finite numbers.

    None stands for any length.
    """
    for name, shape in shapes.items():
        array = arrays.get(name)
        if array is None:
            raise CnnGenError(f"a saved predictor lacks its array '{name}'")
        fits = array.ndim == len(shape) and all(
            want in (None, have) for want, have in zip(shape, array.shape, strict=True)
        )
        if not fits:
            raise CnnGenError(f"the array '{name}' of a saved predictor has shape {array.shape}")
        if not np.isfinite(array).all():
            raise CnnGenError(f"the array '{name}' of a saved predictor is not finite")
