"""The operations that only select or reorder numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from cnngen.operations.operation import Colour, Operation
from cnngen.operations.shapes import Shape

if TYPE_CHECKING:
    from cnngen.operations.arrays import Array
    from cnngen.operations.random_signal import Signal


@dataclass(frozen=True, slots=True)
class Flatten(Operation):
    """A feature map as a vector, channels running fastest (the order of NHWC)."""

    stem = "flatten"
    colour = Colour("#ffffff", "#8a8a8a")

    def output_shape(self, *inputs: Shape) -> Shape:
        return (prod(inputs[0]),)

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        import numpy as np

        return np.stack([image.ravel() for image in inputs[0]])

    def pass_signal(
        self, inputs: Sequence[Signal], shapes: Sequence[Shape]
    ) -> tuple[Signal, float]:
        return inputs[0], 1.0


@dataclass(frozen=True, slots=True)
class Truncate(Operation):
    """The first channels of a feature map; it has no word."""

    stem = "truncate"
    colour = Colour("#ffffff", "#8a8a8a")

    channels: int

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*inputs[0][:2], self.channels)

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return inputs[0][..., : self.channels]

    def pass_signal(
        self, inputs: Sequence[Signal], shapes: Sequence[Shape]
    ) -> tuple[Signal, float]:
        return inputs[0], 1.0
