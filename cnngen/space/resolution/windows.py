"""The windows that a layer may have, and the sizes that they lead to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Literal, NamedTuple

from cnngen.language.tree import Extent, Layer
from cnngen.operations import CONVOLUTIONS, WINDOW_NAMES
from cnngen.operations.shapes import Padding, dilated_extent, output_size
from cnngen.space.space import Random, Space, WeightedChoice

Size = tuple[int, int]
"""Height and width of a feature map, in pixels."""

Freedom = Literal["full", "same", "keep"]
"""The values that open hyper-parameters may take: all that the space offers, padding restricted
to `same`, or also stride restricted to 1. Restrictions keep huge images and deep texts tractable.
"""

FREEDOMS: tuple[Freedom, ...] = ("full", "same", "keep")


class Window(NamedTuple):
    """The extent, stride and padding of a window, all fixed."""

    extent: Extent
    stride: Extent
    padding: Padding
    dilation: Extent = (1, 1)

    def is_inside(self, size: Size) -> bool:
        """Whether it is no larger than a map."""
        height, width = map(dilated_extent, self.extent, self.dilation)
        return height <= size[0] and width <= size[1]

    def is_small(self, size: Size, *, reduces: bool) -> bool:
        """Whether its extent is one that the authors' program draws: no larger than the map, or
        where it may reduce the map than half of it; of a map of 2 without padding, 1."""
        if not reduces:
            return self.is_inside(size)
        if self.padding == "valid":
            return self.is_inside(size) if min(size) > 2 else self.extent == (1, 1)
        if size == (2, 2):
            return self.is_inside(size)
        return self.is_inside((max(1, size[0] // 2), max(1, size[1] // 2)))

    def has_step(self, size: Size, offered: Set[Extent]) -> bool:
        """Whether its stride is one that the authors' program draws: no larger than the window,
        and without padding as many pixels as windows fit into the map, if that is no more."""
        fits = (max(1, size[0] // self.extent[0]), max(1, size[1] // self.extent[1]))
        if self.padding == "valid" and fits in offered and max(fits) <= min(self.extent):
            return self.stride == fits
        return max(self.stride) <= min(self.extent)

    def output(self, size: Size) -> Size | None:
        """Return the size of the output; None if the window does not fit."""
        if self.padding == "valid" and not self.is_inside(size):
            return None
        height, width = map(dilated_extent, self.extent, self.dilation)
        down, across = self.stride
        return (
            output_size(size[0], height, down, self.padding),
            output_size(size[1], width, across, self.padding),
        )


class Given(NamedTuple):
    """The given hyper-parameters of a window; None if open."""

    pooling: bool
    extent: Extent | None
    stride: Extent | None
    padding: Padding | None
    dilation: Extent = (1, 1)

    def kept(self) -> Given:
        """Stride 1 and padding `same` where these are open, which keep the size of the map."""
        return self._replace(stride=self.stride or (1, 1), padding=self.padding or "same")


def given(layer: Layer) -> Given | None:
    """Return the given hyper-parameters of a layer's window; None for a layer without one."""
    name = WINDOW_NAMES.get(layer.kind)
    if name is None:
        return None
    get = layer.parameters.get
    window = get(name), get("stride"), get("padding"), get("dilation", (1, 1))
    return Given(layer.kind not in CONVOLUTIONS, *window)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, eq=False)
class Moves:
    """The sizes that windows lead to from one size, with their weights and windows."""

    sizes: tuple[Size, ...]
    weights: tuple[float, ...]
    windows: tuple[WeightedChoice[Window], ...]

    def draw(self, allowed: list[int], random: Random) -> tuple[Window, Size]:
        """Draw a window that leads to an allowed size, with the space's weights.

        `allowed` are positions in `sizes`, at least one.
        """
        at = allowed[0]
        if len(allowed) > 1:
            at = WeightedChoice.of(allowed, [self.weights[i] for i in allowed]).draw(random)
        return self.windows[at].draw(random), self.sizes[at]


@lru_cache(maxsize=1024)
def possible_windows(space: Space, known: Given, freedom: Freedom) -> WeightedChoice[Window]:
    """Return the distribution of windows that agree with the given hyper-parameters."""
    section = space.pooling if known.pooling else space.convolution
    extents = space.pooling.sizes if known.pooling else space.convolution.kernels
    # A dilated convolution has stride 1.
    strided = freedom != "keep" and known.dilation == (1, 1)
    strides = section.strides if strided else WeightedChoice.of((1,))
    paddings = section.paddings
    if freedom != "full" and "same" in paddings.values:
        paddings = WeightedChoice.of(("same",))
    lengths = WeightedChoice.of((known.extent,)) if known.extent else _squares(extents)
    steps = WeightedChoice.of((known.stride,)) if known.stride else _squares(strides)
    pads = WeightedChoice.of((known.padding,)) if known.padding else paddings
    values, weights = [], []
    for (extent, w1), (stride, w2), (padding, w3) in product(
        lengths.pairs(), steps.pairs(), pads.pairs()
    ):
        values.append(Window(extent, stride, padding, known.dilation))
        weights.append(w1 * w2 * w3)
    return WeightedChoice.of(values, weights)


@lru_cache(maxsize=8192)
def moves(space: Space, known: Given, freedom: Freedom, size: Size) -> Moves:
    """Return the sizes that windows lead to from one size."""
    choice = possible_windows(space, known, freedom)
    pairs = list(choice.pairs())
    if (space.pooling if known.pooling else space.convolution).bounded:
        pairs = _bounded(pairs, known, size) or pairs
    by_size: dict[Size, tuple[list[Window], list[float]]] = {}
    for window, weight in pairs:
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


def _bounded(
    pairs: list[tuple[Window, float]], known: Given, size: Size
) -> list[tuple[Window, float]]:
    """The windows that the authors' program draws: first the padding, then the extent, then the
    stride, each among what fits. What is given is not bounded."""
    offered = {window.stride for window, _ in pairs}
    fitting = [
        (window, weight)
        for window, weight in pairs
        if (known.extent or window.is_small(size, reduces=known.stride is None))
        and (known.stride or window.has_step(size, offered))
    ]
    of_padding: dict[Padding, float] = defaultdict(float)
    of_extent: dict[tuple[Padding, Extent], float] = defaultdict(float)
    for window, weight in pairs:
        of_padding[window.padding] += weight
        of_extent[window.padding, window.extent] += weight
    strides: dict[tuple[Padding, Extent], float] = defaultdict(float)
    for window, weight in fitting:
        strides[window.padding, window.extent] += weight
    extents: dict[Padding, float] = defaultdict(float)
    for padding, extent in strides:
        extents[padding] += of_extent[padding, extent]
    return [
        (
            window,
            of_padding[window.padding]
            * (of_extent[window.padding, window.extent] / extents[window.padding])
            * (weight / strides[window.padding, window.extent]),
        )
        for window, weight in fitting
    ]


@lru_cache(maxsize=8192)
def spread(space: Space, known: Given, freedom: Freedom, sizes: frozenset[Size]) -> frozenset[Size]:
    """Return all sizes that windows lead to from any of a set of sizes."""
    return frozenset().union(*(moves(space, known, freedom, size).sizes for size in sizes))


def _squares(lengths: WeightedChoice[int]) -> WeightedChoice[Extent]:
    return WeightedChoice.of([(length, length) for length in lengths.values], lengths.weights)
