"""Convolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from cnngen.operations.hyperparameters import Activation
from cnngen.operations.operation import Colour, Weight, Windowed
from cnngen.operations.shapes import Padding, Shape

if TYPE_CHECKING:
    from cnngen.operations.arrays import Array
    from cnngen.operations.random_signal import Signal


@dataclass(frozen=True, slots=True)
class Conv2d(Windowed):
    """Convolution followed by its activation. Glorot-uniform weights, zero biases."""

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

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*Windowed.output_shape(self, *inputs)[:2], self.filters)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        kernel = Weight("kernel", (*self.kernel, inputs[0][2], self.filters), "glorot")
        return (kernel, Weight("bias", (self.filters,), "zeros")) if self.bias else (kernel,)

    def multiply_adds(self, *inputs: Shape) -> int:
        return prod(self.output_shape(*inputs)) * prod(self.kernel) * inputs[0][2]

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        import numpy as np

        from cnngen.operations.arrays import ACTIVATIONS, slide

        kernel = weights["kernel"]
        y = slide(
            self.window(),
            inputs[0],
            self.filters,
            lambda pixels, rows, columns: np.tensordot(pixels, kernel[rows, columns], 3),
        )
        return ACTIVATIONS[self.activation](y + weights.get("bias", 0.0))

    def pass_signal(
        self, inputs: Sequence[Signal], shapes: Sequence[Shape]
    ) -> tuple[Signal, float]:
        from cnngen.operations.random_signal import activated, real_share

        (height, width, channels), area = shapes[0], prod(self.kernel)
        fans = 2 / (area * (channels + self.filters))
        real = real_share(self.window(), shapes[0])
        signal, slope = activated(inputs[0].scaled(fans * area * channels * real), self.activation)
        rows, columns, _ = self.output_shape(*shapes)
        reached = rows * columns * area * real / (height * width)
        return signal, slope * fans * self.filters * reached
