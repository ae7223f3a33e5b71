"""The operations that join the columns of a merge."""

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
class Add(Operation):
    """Sum of two or more feature maps of one shape."""

    stem = "add"
    colour = Colour("#ead3e2", "#9c4a7c")
    sign = "+"
    joined = "added"

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        import numpy as np

        summed: Array = np.sum(inputs, axis=0)
        return summed

    def pass_signal(
        self, inputs: Sequence[Signal], shapes: Sequence[Shape]
    ) -> tuple[Signal, float]:
        from cnngen.operations.random_signal import weighed

        return weighed(inputs, [1.0] * len(inputs)), 1.0


@dataclass(frozen=True, slots=True)
class Concat(Operation):
    """Two or more feature maps of one height and width, the left one's channels first."""

    stem = "concat"
    colour = Colour("#ead3e2", "#9c4a7c")
    sign = "‖"
    joined = "concatenated"

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*inputs[0][:2], sum(channels for _, _, channels in inputs))

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        import numpy as np

        return np.concatenate(inputs, axis=-1)

    def pass_signal(
        self, inputs: Sequence[Signal], shapes: Sequence[Shape]
    ) -> tuple[Signal, float]:
        from cnngen.operations.random_signal import weighed

        channels = self.output_shape(*shapes)[2]
        return weighed(inputs, [shape[2] / channels for shape in shapes]), 1.0
