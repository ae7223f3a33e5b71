"""Random descriptions with everything spelled out, wilder than the spaces sample: rectangular
windows, every activation, many bodies. Sizes are kept valid by simple means of its own."""

from __future__ import annotations

from random import Random
from typing import Any, Literal, get_args

from cnngen.language.tree import Body, Description, Layer, Merge, Node
from cnngen.network import Network
from cnngen.operations import Activation, Gate
from cnngen.space.resolution import lower

ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)

Shape = tuple[int, int, int]
Pair = tuple[int, int]


def random_network(seed: int, shape: Shape | None = None) -> Network:
    """A network with a head, of 5 to some 60 operations, on a small odd image."""
    return lower(random_description(seed, shape))


def random_description(seed: int, shape: Shape | None = None) -> Description:
    """The description of `random_network(seed, shape)`."""
    random = Random(seed)
    shape = shape or (random.randint(5, 14), random.randint(5, 14), random.randint(1, 3))
    maker = _Maker(random)
    features: list[Node] = []
    at = shape
    for _ in range(random.randint(1, 4)):
        if random.random() < 0.5:
            merge, at = maker.merge(at, 0)
            features.append(merge)
        else:
            at = maker.convolution(features, at, keep=False)
        if random.random() < 0.3:
            features.append(Layer("dropout", {"rate": 0.25}))
        if random.random() < 0.6:
            at = maker.pooling(features, at, keep=False)
    # Drawn apart, so that what follows is drawn as before there was one.
    apart = Random(f"squeeze_excite {seed}")
    if apart.random() < 0.3:
        gate = apart.choice(get_args(Gate))
        squeezing = {"squeezed": apart.randint(1, 4), "activation": apart.choice(ACTIVATIONS)}
        features.append(Layer("squeeze_excite", {**squeezing, "gate": gate}))
    head = [Layer(random.choice(("flatten", "global_avg_pooling", "global_max_pooling")))]
    for _ in range(random.randint(0, 2)):
        head.append(maker.dense(random.randint(2, 9), random.choice(ACTIVATIONS)))
        head.append(Layer("dropout", {"rate": 0.5}))
    head.append(maker.dense(5, "linear"))
    return Description(tuple(features), tuple(head), None, shape, 5)


def random_branches(seed: int) -> Network:
    """A network of merges with two to five branches, which hold all that branches may."""
    random = Random(seed)
    maker = _Maker(random)
    shape = at = random.randint(5, 14), random.randint(5, 14), random.randint(1, 3)
    features: list[Node] = []
    for _ in range(random.randint(1, 2)):
        merge, at = maker.branches(at, 0, keep=False)
        features.append(merge)
        if random.random() < 0.5:
            at = maker.convolution(features, at, keep=False)
    head = (Layer("global_avg_pooling"), maker.dense(5, "linear"))
    return lower(Description(tuple(features), head, None, shape, 5))


def conv_parameters(
    filters: int, kernel: Pair, stride: Pair, padding: str, activation: str, bias: bool = True
) -> dict[str, Any]:
    """All hyper-parameters of a convolution."""
    return {
        "filters": filters,
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "activation": activation,
        "bias": bias,
    }


class _Maker:
    def __init__(self, random: Random) -> None:
        self.random = random

    def windows(self, at: Shape, largest: int, keep: bool) -> tuple[Pair, Pair, str]:
        """Kernel, stride and padding that fit; with `keep`, ones that keep the size."""
        random = self.random
        kernel = (random.randint(1, largest), random.randint(1, largest))
        stride, padding = (1, 1), "same"
        if not keep:
            stride = (random.randint(1, 3), random.randint(1, 3))
            if kernel[0] <= at[0] and kernel[1] <= at[1]:
                padding = random.choice(("same", "valid"))
        return kernel, stride, padding

    def convolution(
        self,
        chain: list[Node] | list[Layer],
        at: Shape,
        keep: bool,
        filters: int | None = None,
        stride: Pair | None = None,
    ) -> Shape:
        random = self.random
        filters = filters or random.randint(1, 6)
        kernel, own_stride, padding = self.windows(at, 5, keep or stride is not None)
        stride = stride or own_stride
        activation = random.choice(ACTIVATIONS)
        kind = random.choice(("conv", "conv", "convbn", "bnconv"))
        parameters = conv_parameters(
            filters, kernel, stride, padding, activation, random.random() < 0.7
        )
        if kind != "conv":
            parameters["epsilon"] = random.choice((1e-3, 1.001e-5, 1.1e-5))
        chain.append(Layer(kind, parameters))
        return (*_size(at, kernel, stride, padding), filters)

    def pooling(self, chain: list[Node], at: Shape, keep: bool) -> Shape:
        size, stride, padding = self.windows(at, 4, keep)
        chain.append(
            Layer(
                self.random.choice(("max_pooling", "avg_pooling")),
                {"size": size, "stride": stride, "padding": padding},
            )
        )
        return (*_size(at, size, stride, padding), at[2])

    def merge(self, at: Shape, depth: int) -> tuple[Merge, Shape]:
        """A merge; both sides of a body may shrink the map by one and the same stride."""
        random = self.random
        modes: tuple[Literal["add", "concat"], ...] = ("add", "concat")
        mode = random.choice(modes)
        bodies = []
        main = right_at = at
        for _ in range(random.choice((1, 1, 2, 3))):
            right: list[Layer] = []
            stride = (1, 1)
            empty = random.random() < 0.4
            if not empty:
                stride = (random.randint(1, 2), random.randint(1, 2))
                right_at = self.convolution(right, right_at, True, stride=stride)
                if random.random() < 0.5:
                    right_at = self.convolution(right, right_at, True)
            left: list[Node] = []
            left_at = main
            if random.random() < 0.3:
                left_at = self.pooling(left, left_at, True)
            if depth < 3 and random.random() < 0.5 - 0.1 * depth:
                # Nested merges get maps of their own size, so they may not shrink them.
                inner = self.keeping_merge(left_at, depth + 1)
                left.append(inner[0])
                left_at = inner[1]
            target = right_at[2] if mode == "add" else None
            left_at = self.convolution(left, left_at, True, filters=target, stride=stride)
            if random.random() < 0.3:
                left.append(Layer("dropout", {"rate": 0.1}))
            if random.random() < 0.3:
                left_at = self.pooling(left, left_at, True)
            bodies.append(Body(tuple(left), tuple(right)))
            channels = left_at[2] if mode == "add" else left_at[2] + right_at[2]
            main = (left_at[0], left_at[1], channels)
        return Merge(mode, tuple(bodies)), main

    def branches(self, at: Shape, depth: int, keep: bool) -> tuple[Merge, Shape]:
        """A merge of branches, which all shrink the map by one and the same stride."""
        random = self.random
        modes: tuple[Literal["add", "concat"], ...] = ("add", "concat")
        mode = random.choice(modes)
        stride = (1, 1) if keep else (random.randint(1, 2), random.randint(1, 2))
        filters = None
        if mode == "add":
            filters = at[2] if stride == (1, 1) else random.randint(1, 6)
        sides: list[list[Node]] = []
        ends: list[Shape] = []
        for _ in range(random.choice((2, 3, 3, 4, 5))):
            side: list[Node] = []
            end = at
            if stride != (1, 1) or random.random() < 0.75:
                end = self.branch(side, at, depth, stride, filters)
            sides.append(side)
            ends.append(end)
        left, right, *more = map(tuple, sides)
        body = Body(left, right, more=tuple(more), bare=True)
        channels = ends[0][2] if mode == "add" else sum(end[2] for end in ends)
        return Merge(mode, (body,)), (*ends[0][:2], channels)

    def branch(
        self, side: list[Node], at: Shape, depth: int, stride: Pair, filters: int | None
    ) -> Shape:
        random = self.random
        if filters is None and random.random() < 0.2:
            size: dict[str, Any] = {"size": (2, 3), "stride": stride, "padding": "same"}
            side.append(Layer(random.choice(("max_pooling", "avg_pooling")), size))
            return (*_size(at, (2, 3), stride, "same"), at[2])
        if random.random() < 0.3:
            at = self.pooling(side, at, True)
        if depth < 2 and random.random() < 0.4:
            merge, at = (
                self.branches(at, depth + 1, keep=True)
                if random.random() < 0.5
                else self.keeping_merge(at, 2)
            )
            side.append(merge)
            if random.random() < 0.5:
                side.append(Layer("dropout", {"rate": 0.1}))
        elif random.random() < 0.3:
            side.append(Layer("BatchNormalisation", {"epsilon": 1.001e-5}))
        at = self.convolution(side, at, True, filters=filters, stride=stride)
        if random.random() < 0.3:
            at = self.pooling(side, at, True)
        if random.random() < 0.3:
            curved = [name for name in ACTIVATIONS if name != "linear"]
            side.append(Layer("activate", {"activation": random.choice(curved)}))
        return at

    def keeping_merge(self, at: Shape, depth: int) -> tuple[Merge, Shape]:
        while True:
            merge, out = self.merge(at, depth)
            if out[:2] == at[:2]:
                return merge, out

    def dense(self, units: int, activation: str) -> Layer:
        return Layer("dense", {"units": units, "activation": activation})


def _size(at: Shape, kernel: Pair, stride: Pair, padding: str) -> Pair:
    sizes = []
    for axis in (0, 1):
        count = 0
        position = 0
        # Counted, not calculated: a window begins at every stride as long as it may.
        while position < at[axis] if padding == "same" else position + kernel[axis] <= at[axis]:
            count += 1
            position += stride[axis]
        sizes.append(count)
    return sizes[0], sizes[1]
