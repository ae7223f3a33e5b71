"""Dropout."""

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
class Dropout(Operation):
    """Sets a share of the values to zero in training and scales the rest to match."""

    stem = "dropout"
    colour = Colour("#eeeeee", "#8a8a8a")
    reads_map = False

    rate: float = 0.5

    def deterministic(self) -> Dropout:
        return Dropout(0.0)

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return inputs[0]

    def pass_signal(
        self, inputs: Sequence[Signal], shapes: Sequence[Shape]
    ) -> tuple[Signal, float]:
        from cnngen.operations.random_signal import Signal

        (x,) = inputs
        keep = max(1 - self.rate, 1e-3)
        added = x.moment / keep - x.moment
        return Signal(x.moment / keep, x.distance + added, x.noise + added), 1 / keep
