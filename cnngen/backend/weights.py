"""Arrays and a few figures as bytes, to go from one process to another: .npz without pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt

from cnngen.backend.model_access import Array, Weights

Arrays = Mapping[str, npt.NDArray[Any]]

TOLD = "told"
"""The name under which the figures stand among the arrays."""


def pack(arrays: Arrays, told: object = None) -> bytes:
    """Arrays by name, and what JSON can hold. Raises `ValueError` for arrays of objects."""
    file = BytesIO()
    np.savez(file, allow_pickle=False, **arrays, **{TOLD: np.array(json.dumps(told))})
    return file.getvalue()


def unpack(packed: bytes) -> tuple[dict[str, npt.NDArray[Any]], Any]:
    """Return the arrays and the message that `pack` was given."""
    with np.load(BytesIO(packed), allow_pickle=False) as file:
        arrays = dict(file)
    return arrays, json.loads(str(arrays.pop(TOLD)))


def flat(weights: Weights) -> dict[str, Array]:
    """Weights as one level of arrays, `conv1.kernel` and so on."""
    return {f"{name}.{own}": array for name, all in weights.items() for own, array in all.items()}


def by_operation(arrays: Mapping[str, Array]) -> Weights:
    """The weights that `flat` was given."""
    weights: dict[str, dict[str, Array]] = {}
    for key, array in arrays.items():
        name, own = key.split(".")
        weights.setdefault(name, {})[own] = array
    return weights
