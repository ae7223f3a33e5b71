"""An activation as an operation of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnngen.operations.hyperparameters import Activation
from cnngen.operations.operation import Colour, Operation
from cnngen.operations.shapes import Shape

if TYPE_CHECKING:
    from cnngen.operations.arrays import Array
    from cnngen.operations.random_signal import Signal


@dataclass(frozen=True, slots=True)
class Activate(Operation):
    """An activation alone, such as behind a sum."""

    stem = "activate"
    colour = Colour("#dceaf5", "#0072b2")

    activation: Activation = "relu"

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        from cnngen.operations.arrays import ACTIVATIONS

        return ACTIVATIONS[self.activation](inputs[0])

    def pass_signal(
        self, inputs: Sequence[Signal], shapes: Sequence[Shape]
    ) -> tuple[Signal, float]:
        from cnngen.operations.random_signal import activated

        return activated(inputs[0], self.activation)
