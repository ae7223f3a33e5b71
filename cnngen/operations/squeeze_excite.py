"""Squeeze-and-excitation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from cnngen.operations.hyperparameters import Activation, Gate
from cnngen.operations.operation import Colour, Operation, Weight
from cnngen.operations.shapes import Shape

if TYPE_CHECKING:
    from cnngen.operations.arrays import Array
    from cnngen.operations.random_signal import Signal


@dataclass(frozen=True, slots=True)
class SqueezeExcite(Operation):
    """Scales each channel by a gate that the means of all channels decide.

    The means pass a dense layer of `squeezed` units, its activation, and a dense layer back to a
    gate for each channel (Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018, equation 3).
    Glorot-uniform weights, zero biases.
    """

    stem = "squeeze"
    colour = Colour("#d3e8b4", "#5f8a00")
    learns_kernel = True

    squeezed: int
    activation: Activation = "relu"
    gate: Gate = "sigmoid"

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        channels = inputs[0][2]
        return (
            Weight("kernel", (channels, self.squeezed), "glorot"),
            Weight("bias", (self.squeezed,), "zeros"),
            Weight("kernel2", (self.squeezed, channels), "glorot"),
            Weight("bias2", (channels,), "zeros"),
        )

    def multiply_adds(self, *inputs: Shape) -> int:
        """Those of the two dense layers; as elsewhere, means and scaling do not count."""
        return 2 * inputs[0][2] * self.squeezed

    def work(self, *inputs: Shape) -> int:
        """Multiply-adds, and the numbers that are scaled, which are most of its time."""
        return self.multiply_adds(*inputs) + prod(inputs[0])

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        from cnngen.operations.arrays import ACTIVATIONS, pooled

        (maps,) = inputs
        means = pooled(maps, "avg")
        small = ACTIVATIONS[self.activation](means @ weights["kernel"] + weights["bias"])
        gates = ACTIVATIONS[self.gate](small @ weights["kernel2"] + weights["bias2"])
        return maps * gates[:, None, None]

    def pass_signal(
        self, inputs: Sequence[Signal], shapes: Sequence[Shape]
    ) -> tuple[Signal, float]:
        from cnngen.operations.random_signal import Signal, activated, averaged

        ((height, width, channels),) = shapes
        (x,) = inputs
        fans = 2 / (channels + self.squeezed)
        means = averaged(x, height * width)
        small, slope = activated(means.scaled(fans * channels), self.activation)
        gate, steepness = activated(small.scaled(fans * self.squeezed), self.gate)

        def apart(own: float, gates: float) -> float:
            # Of products whose factors do not depend on each other.
            return gate.moment * own + x.moment * gates - own * gates

        signal = Signal(
            x.moment * gate.moment,
            apart(x.distance, gate.distance),
            apart(x.noise, gate.noise),
        )
        # By the numbers that are scaled, and by their mean through both dense layers.
        through = steepness * fans * channels * slope * fans * self.squeezed
        return signal, gate.moment + x.moment * through / (height * width)
