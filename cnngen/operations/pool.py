"""Pooling: of each window, or of the whole map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal

from cnngen.operations.operation import Colour, Operation, Windowed
from cnngen.operations.shapes import Padding, Shape

if TYPE_CHECKING:
    from cnngen.operations.arrays import Array
    from cnngen.operations.random_signal import Signal


@dataclass(frozen=True, slots=True)
class Pool(Windowed):
    """Maximum or mean of each window; padding counts for neither."""

    stem = "pool"
    colour = Colour("#f7c99a", "#d55e00")
    window_name = "size"

    pooling: Literal["max", "avg"]
    size: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding = "valid"

    def work(self, *inputs: Shape) -> int:
        """Numbers read."""
        return prod(self.output_shape(*inputs)) * prod(self.size)

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        from cnngen.operations.arrays import pooled, slide

        channels = inputs[0].shape[-1]
        return slide(
            self.window(), inputs[0], channels, lambda pixels, *_: pooled(pixels, self.pooling)
        )

    def pass_signal(
        self, inputs: Sequence[Signal], shapes: Sequence[Shape]
    ) -> tuple[Signal, float]:
        from cnngen.operations.random_signal import averaged

        count = prod(self.size) if self.pooling == "avg" else 1
        reached = prod(self.output_shape(*shapes)[:2]) / prod(shapes[0][:2])
        return averaged(inputs[0], count), min(1.0, reached) / count


@dataclass(frozen=True, slots=True)
class GlobalPool(Operation):
    """Maximum or mean of each channel."""

    stem = "pool"
    colour = Colour("#eda36f", "#a84800")

    pooling: Literal["max", "avg"]

    def output_shape(self, *inputs: Shape) -> Shape:
        return (inputs[0][2],)

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        from cnngen.operations.arrays import pooled

        return pooled(inputs[0], self.pooling)

    def pass_signal(
        self, inputs: Sequence[Signal], shapes: Sequence[Shape]
    ) -> tuple[Signal, float]:
        from cnngen.operations.random_signal import averaged

        area = prod(shapes[0][:2])
        count = area if self.pooling == "avg" else 1
        return averaged(inputs[0], count), 1 / area / count
