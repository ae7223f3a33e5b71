"""Building blocks for the definitions of operations, in plain NumPy.

They are slow and plainly right: nothing is padded, and each window is cut out of the pixels
that are there. Maps are (batch, height, width, channels).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnngen.operations.shapes import Padding, WindowNumbers

Array = NDArray[np.floating[Any]]


def slide(
    window: WindowNumbers,
    x: Array,
    channels: int,
    of_window: Callable[[Array, slice, slice], Array],
) -> Array:
    """A map with `channels` channels, a pixel of it from each window over a map.

    `of_window` gets the window's real pixels (batch, height, width, channels) and the rows
    and columns of the kernel that lie over them; it returns (batch, channels).
    """
    kh, kw, sh, sw, padding = window
    rows = list(_windows(x.shape[1], kh, sh, padding))
    columns = list(_windows(x.shape[2], kw, sw, padding))
    y = np.zeros((len(x), len(rows), len(columns), channels))
    for row, (down, ky) in enumerate(rows):
        for column, (right, kx) in enumerate(columns):
            y[:, row, column] = of_window(x[:, down, right], ky, kx)
    return y


def pooled(x: Array, pooling: str) -> Array:
    """Maximum or mean of each channel: (batch, channels)."""
    values: Array = x.max(axis=(1, 2)) if pooling == "max" else x.mean(axis=(1, 2))
    return values


def _windows(
    size: int, window: int, stride: int, padding: Padding
) -> Iterator[tuple[slice, slice]]:
    """For each window along an axis: its real pixels, and the part of the kernel over them.

    `same` is TensorFlow's: https://www.tensorflow.org/api_docs/python/tf/nn, "Notes on padding".
    """
    first, count = 0, (size - window) // stride + 1
    if padding == "same":
        count = math.ceil(size / stride)
        first = -(max((count - 1) * stride + window - size, 0) // 2)
    for start in range(first, first + count * stride, stride):
        low, high = max(start, 0), min(start + window, size)
        yield slice(low, high), slice(low - start, high - start)


def _gelu(x: Array) -> Array:
    erf: Array = np.vectorize(math.erf, otypes=[np.float64])(x / math.sqrt(2))
    return x * (1 + erf) / 2


def _selu(x: Array) -> Array:
    # The constants of Klambauer et al. (2017), section 2.
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return scale * np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0)) - 1))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "selu": _selu,
    "tanh": np.tanh,
    "gelu": _gelu,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "hardsigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
    "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
}
