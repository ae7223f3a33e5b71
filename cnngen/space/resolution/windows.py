"""What a window may be, and which sizes it leads to: the choices that sizes are drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Literal, NamedTuple

from cnngen.language.tree import Extent, Layer
from cnngen.operations import CONVOLUTIONS, WINDOW_NAMES
from cnngen.operations.shapes import Padding, output_size
from cnngen.space.space import Random, Space, WeightedChoice

Size = tuple[int, int]
"""Height and width of a feature map, in pixels."""

Freedom = Literal["full", "same", "keep"]
"""What open hyper-parameters may be: all that the space offers; padding only `same`; or
also stride only 1. The narrower ones keep huge images and deep texts tractable."""

FREEDOMS: tuple[Freedom, ...] = ("full", "same", "keep")


class Window(NamedTuple):
    """A window's extent, step and padding, all fixed."""

    extent: Extent
    stride: Extent
    padding: Padding

    def output(self, size: Size) -> Size | None:
        """The size of what comes out; None where the window does not fit."""
        (height, width), (down, across) = self.extent, self.stride
        if self.padding == "valid" and (height > size[0] or width > size[1]):
            return None
        return (
            output_size(size[0], height, down, self.padding),
            output_size(size[1], width, across, self.padding),
        )


class Given(NamedTuple):
    """What a description says of one window; None is open."""

    pooling: bool
    extent: Extent | None
    stride: Extent | None
    padding: Padding | None


def given(layer: Layer) -> Given | None:
    """What a layer says of its window; None for a layer that has none."""
    name = WINDOW_NAMES.get(layer.kind)
    if name is None:
        return None
    get = layer.parameters.get
    return Given(layer.kind not in CONVOLUTIONS, get(name), get("stride"), get("padding"))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """From one size: each size that a window leads to, its weight, and the windows that do."""

    sizes: tuple[Size, ...]
    weights: tuple[float, ...]
    windows: tuple[WeightedChoice[Window], ...]

    def draw(self, allowed: list[int], random: Random) -> tuple[Window, Size]:
        """A window among those that lead to the allowed sizes, by the space's weights.

        `allowed` are positions in `sizes`, at least one.
        """
        at = allowed[0]
        if len(allowed) > 1:
            at = WeightedChoice.of(allowed, [self.weights[i] for i in allowed]).draw(random)
        return self.windows[at].draw(random), self.sizes[at]


@lru_cache(maxsize=1024)
def possible_windows(space: Space, known: Given, freedom: Freedom) -> WeightedChoice[Window]:
    """All windows that agree with what is given."""
    section = space.pooling if known.pooling else space.convolution
    extents = space.pooling.sizes if known.pooling else space.convolution.kernels
    strides = section.strides if freedom != "keep" else WeightedChoice.of((1,))
    paddings = section.paddings
    if freedom != "full" and "same" in paddings.values:
        paddings = WeightedChoice.of(("same",))
    choices = (
        WeightedChoice.of((known.extent,)) if known.extent else _squares(extents),
        WeightedChoice.of((known.stride,)) if known.stride else _squares(strides),
        WeightedChoice.of((known.padding,)) if known.padding else paddings,
    )
    pairs = [zip(choice.values, choice.weights, strict=True) for choice in choices]
    values, weights = [], []
    for (extent, w1), (stride, w2), (padding, w3) in product(*pairs):
        values.append(Window(extent, stride, padding))
        weights.append(w1 * w2 * w3)
    return WeightedChoice.of(values, weights)


@lru_cache(maxsize=8192)
def moves(space: Space, known: Given, freedom: Freedom, size: Size) -> Moves:
    """Where a window can lead from one size."""
    choice = possible_windows(space, known, freedom)
    by_size: dict[Size, tuple[list[Window], list[float]]] = {}
    for window, weight in zip(choice.values, choice.weights, strict=True):
        output = window.output(size)
        if output is not None:
            values, weights = by_size.setdefault(output, ([], []))
            values.append(window)
            weights.append(weight)
    return Moves(
        tuple(by_size),
        tuple(sum(weights) for _, weights in by_size.values()),
        tuple(WeightedChoice.of(values, weights) for values, weights in by_size.values()),
    )


@lru_cache(maxsize=8192)
def spread(space: Space, known: Given, freedom: Freedom, sizes: frozenset[Size]) -> frozenset[Size]:
    """Every size that a window can lead to from any of a set of sizes."""
    return frozenset().union(*(moves(space, known, freedom, size).sizes for size in sizes))


def _squares(lengths: WeightedChoice[int]) -> WeightedChoice[Extent]:
    return WeightedChoice.of([(length, length) for length in lengths.values], lengths.weights)
