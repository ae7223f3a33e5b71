"""The arithmetic of spatial sizes: the one set of rules that every stage follows.

Sizes and windows are counts of pixels along one axis. The rules are TensorFlow's
(https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2), which PyTorch can
follow exactly with explicit padding.
"""

from __future__ import annotations

from typing import Literal

Shape = tuple[int, ...]
"""(height, width, channels) of a feature map, or (features,) of a vector."""

Padding = Literal["same", "valid"]


WindowNumbers = tuple[int, int, int, int, Padding]
"""Height and width of a window and of its step, and the padding."""


def output_size(size: int, window: int, stride: int, padding: Padding) -> int:
    """Pixels after a window slides over `size` pixels; below 1 where it does not fit.

    same: ceil(size / stride). valid: floor((size - window) / stride) + 1.
    """
    if padding == "same":
        return -(-size // stride)
    return (size - window) // stride + 1


def dilated_extent(window: int, dilation: int) -> int:
    """Pixels from the first to the last that a window sees whose numbers lie so far apart."""
    return (window - 1) * dilation + 1


def same_padding(size: int, window: int, stride: int) -> tuple[int, int]:
    """Pixels that `same` adds before and after; the odd one goes after."""
    total = max(0, (output_size(size, window, stride, "same") - 1) * stride + window - size)
    return total // 2, total - total // 2


def text(shape: Shape) -> str:
    """A shape as the language writes it: `32x32x3`, or `120` for a vector."""
    return "x".join(map(str, shape))
