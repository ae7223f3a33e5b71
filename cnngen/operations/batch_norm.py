"""Batch normalisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnngen.operations.operation import Colour, Operation, Weight
from cnngen.operations.shapes import Shape

if TYPE_CHECKING:
    from cnngen.operations.arrays import Array
    from cnngen.operations.random_signal import Signal

BATCH_NORM_MOMENTUM = 0.9
"""Share of the running statistics kept at each step (PyTorch's convention is 1 - this)."""


@dataclass(frozen=True, slots=True)
class BatchNorm(Operation):
    """Batch normalisation with a learnt scale and shift for each channel."""

    stem = "norm"
    colour = Colour("#fbf3b9", "#a89b00")

    epsilon: float = 1e-3

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        channels = (inputs[0][-1],)
        return (
            Weight("scale", channels, "ones"),
            Weight("shift", channels, "zeros"),
            Weight("mean", channels, "zeros", trained=False),
            Weight("variance", channels, "ones", trained=False),
        )

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        import numpy as np

        normal = (inputs[0] - weights["mean"]) / np.sqrt(weights["variance"] + self.epsilon)
        scaled: Array = normal * weights["scale"] + weights["shift"]
        return scaled

    def statistics(self, inputs: Sequence[Array]) -> dict[str, Array]:
        """`mean` and `variance`, the biased one, of each channel of a batch of maps."""
        (maps,) = inputs
        return {"mean": maps.mean((0, 1, 2)), "variance": maps.var((0, 1, 2))}

    def pass_signal(
        self, inputs: Sequence[Signal], shapes: Sequence[Shape]
    ) -> tuple[Signal, float]:
        from cnngen.operations.random_signal import LARGEST, Signal

        (x,) = inputs
        by = min(1 / (x.distance + self.epsilon), LARGEST)
        return Signal(x.distance * by, x.distance * by, x.noise * by), by
