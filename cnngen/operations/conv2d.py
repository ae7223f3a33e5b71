"""Convolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal

from cnngen.errors import CnnGenError
from cnngen.operations.hyperparameters import DEPTHWISE, Activation
from cnngen.operations.operation import Colour, Weight, Windowed
from cnngen.operations.shapes import Padding, Shape, WindowNumbers, dilated_extent

if TYPE_CHECKING:
    from cnngen.operations.arrays import Array
    from cnngen.operations.random_signal import Signal


@dataclass(frozen=True, slots=True)
class Conv2d(Windowed):
    """Convolution followed by its activation. Glorot-uniform weights, zero biases.

    Channels are split into `groups`, each of which a share of the filters reads; `depthwise` has a
    group for each channel. The kernel's numbers lie `dilation` pixels apart; a dilated
    convolution has stride 1. Raises `CnnGenError` for a dilation with a stride.
    """

    stem = "conv"
    colour = Colour("#a9d3f0", "#0072b2")
    window_name = "kernel"
    learns_kernel = True

    filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: Padding = "same"
    activation: Activation = "linear"
    bias: bool = True
    groups: int | Literal["depthwise"] = 1
    dilation: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        Windowed.__post_init__(self)
        if self.dilation != (1, 1) != self.stride:
            raise CnnGenError(
                "a dilated convolution has stride 1", hint="Give it stride=1, or no dilation."
            )

    def window(self) -> WindowNumbers:
        (height, width), (down, across) = self.kernel, self.dilation
        return (
            dilated_extent(height, down),
            dilated_extent(width, across),
            *self.stride,
            self.padding,
        )

    def group_count(self, shape: Shape) -> int:
        """The number of groups, given the shape of the input.

        Raises `CnnGenError` where channels or filters cannot be shared out among them.
        """
        channels = shape[2]
        groups = channels if self.groups == DEPTHWISE else int(self.groups)
        for what, number in (("channels", channels), ("filters", self.filters)):
            if number % groups:
                raise CnnGenError(
                    f"{number:,} {what} cannot be shared out among {groups:,} groups",
                    hint="Give a number of groups that divides both, or groups=depthwise.",
                )
        return groups

    def output_shape(self, *inputs: Shape) -> Shape:
        self.group_count(inputs[0])
        return (*Windowed.output_shape(self, *inputs)[:2], self.filters)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        each = inputs[0][2] // self.group_count(inputs[0])
        kernel = Weight("kernel", (*self.kernel, each, self.filters), "glorot")
        return (kernel, Weight("bias", (self.filters,), "zeros")) if self.bias else (kernel,)

    def multiply_adds(self, *inputs: Shape) -> int:
        each = inputs[0][2] // self.group_count(inputs[0])
        return prod(self.output_shape(*inputs)) * prod(self.kernel) * each

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        import numpy as np

        from cnngen.operations.arrays import ACTIVATIONS, slide

        groups = self.group_count(inputs[0].shape[1:])
        down, across = self.dilation

        def by_group(array: Array) -> Array:
            """The groups, which share out the last axis, as the first axis."""
            return np.moveaxis(array.reshape(*array.shape[:-1], groups, -1), -2, 0)

        kernel = by_group(weights["kernel"])

        def of_window(pixels: Array, rows: slice, columns: slice) -> Array:
            (ys, kernel_rows), (xs, kernel_columns) = _met(rows, down), _met(columns, across)
            seen = by_group(pixels[:, ys, xs]).reshape(groups, len(pixels), -1)
            numbers = kernel[:, kernel_rows, kernel_columns].reshape(groups, seen.shape[2], -1)
            return np.moveaxis(seen @ numbers, 0, 1).reshape(len(pixels), self.filters)

        y = slide(self.window(), inputs[0], self.filters, of_window)
        return ACTIVATIONS[self.activation](y + weights.get("bias", 0.0))

    def pass_signal(
        self, inputs: Sequence[Signal], shapes: Sequence[Shape]
    ) -> tuple[Signal, float]:
        from cnngen.operations.random_signal import activated, real_share

        (height, width, channels), area = shapes[0], prod(self.kernel)
        groups = self.group_count(shapes[0])
        channels //= groups
        fans = 2 / (area * (channels + self.filters))
        real = real_share(self.window(), shapes[0])
        signal, slope = activated(inputs[0].scaled(fans * area * channels * real), self.activation)
        rows, columns, _ = self.output_shape(*shapes)
        reached = rows * columns * area * real / (height * width)
        return signal, slope * fans * self.filters / groups * reached


def _met(covered: slice, apart: int) -> tuple[slice, slice]:
    """Of the pixels that a part of a window covers, those that the kernel's numbers meet, and these."""
    first, end = covered.start, covered.stop
    return slice(-first % apart, None, apart), slice(-(-first // apart), -(-end // apart))
