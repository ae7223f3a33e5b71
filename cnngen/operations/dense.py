"""The dense layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnngen.operations.hyperparameters import Activation
from cnngen.operations.operation import Colour, Operation, Weight
from cnngen.operations.shapes import Shape

if TYPE_CHECKING:
    from cnngen.operations.arrays import Array
    from cnngen.operations.random_signal import Signal


@dataclass(frozen=True, slots=True)
class Dense(Operation):
    """Matrix product, bias, activation. Glorot-uniform weights, zero biases."""

    stem = "dense"
    colour = Colour("#8fd3bb", "#007a5a")
    reads_map = False
    learns_kernel = True
    gives_logits = True

    units: int
    activation: Activation = "linear"

    def output_shape(self, *inputs: Shape) -> Shape:
        return (self.units,)

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        kernel = Weight("kernel", (inputs[0][-1], self.units), "glorot")
        return kernel, Weight("bias", (self.units,), "zeros")

    def multiply_adds(self, *inputs: Shape) -> int:
        return self.units * inputs[0][0]

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        from cnngen.operations.arrays import ACTIVATIONS

        return ACTIVATIONS[self.activation](inputs[0] @ weights["kernel"] + weights["bias"])

    def pass_signal(
        self, inputs: Sequence[Signal], shapes: Sequence[Shape]
    ) -> tuple[Signal, float]:
        from cnngen.operations.random_signal import activated

        read = shapes[0][0]
        fans = 2 / (read + self.units)
        signal, slope = activated(inputs[0].scaled(fans * read), self.activation)
        return signal, slope * fans * self.units
