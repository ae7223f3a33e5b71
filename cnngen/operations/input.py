"""The image that a network reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnngen.operations.operation import Colour, Operation
from cnngen.operations.shapes import Shape

if TYPE_CHECKING:
    from cnngen.operations.arrays import Array
    from cnngen.operations.random_signal import Signal


@dataclass(frozen=True, slots=True)
class Input(Operation):
    """The image."""

    stem = "input"
    colour = Colour("#ffffff", "#404040")

    shape: tuple[int, int, int]

    def output_shape(self, *inputs: Shape) -> Shape:
        return self.shape

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        """The images themselves, given as the only input."""
        return inputs[0]

    def pass_signal(
        self, inputs: Sequence[Signal], shapes: Sequence[Shape]
    ) -> tuple[Signal, float]:
        from cnngen.operations.random_signal import IMAGE, Signal

        return Signal(*IMAGE, 0.0), 1.0
