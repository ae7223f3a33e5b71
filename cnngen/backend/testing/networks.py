"""Networks for the kit that together have every operation, and every window in its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations
from random import Random
from typing import Literal

from cnngen.backend.testing.random_networks import ACTIVATIONS, conv_parameters
from cnngen.errors import CnnGenError
from cnngen.language import parse
from cnngen.language.tree import Body, Description, Layer, Merge
from cnngen.language.tree import Node as Written
from cnngen.network import Network
from cnngen.operations import (
    DEPTHWISE,
    OPERATIONS,
    Activate,
    Add,
    BatchNorm,
    Concat,
    Conv2d,
    Dense,
    GlobalPool,
    Input,
    Operation,
    Pool,
    SqueezeExcite,
    Truncate,
)
from cnngen.operations.shapes import Padding
from cnngen.space.resolution import lower

EVERYTHING = """
input(11x9x2)
[concat
  (max_pooling(size=2x3, stride=1, padding=same)
   convbn(filters=3, kernel=3x2, stride=2, padding=same, activation=selu, bias=false, epsilon=1e-5),
   conv(filters=2, kernel=2, stride=2, padding=same, activation=gelu, bias=true))
  ([add (conv(filters=5, kernel=4, stride=1, padding=same, activation=tanh, bias=true), Empty)
        (bnconv(filters=5, kernel=1, stride=1, padding=valid, activation=relu, bias=true,
                epsilon=1e-3) dropout(rate=0.1), Empty)],
   conv(filters=4, kernel=5, stride=1, padding=same, activation=sigmoid, bias=true))]
avg_pooling(size=2x3, stride=2x1, padding=same)
BatchNormalisation(epsilon=1.001e-5)
squeeze_excite(squeezed=3, activation=silu, gate=hardsigmoid)
conv(filters=4, kernel=2x1, stride=1x2, padding=valid, activation=linear, bias=true)
avg_pooling(size=1x2, stride=1, padding=valid)
ENDING dense(units=6, activation=relu) dropout(rate=0.5) dense(units=4, activation=linear)
output(4)
"""
BACKBONE = (
    "input(9x7x2) convbn(filters=4, kernel=2x3, stride=2x1, padding=same, activation=gelu, "
    "bias=false, epsilon=1e-5) output"
)
SMALL = (
    "input(6x6x1) convbn(filters=8, kernel=6, stride=1, padding=valid, activation=relu, "
    "bias=true, epsilon=1e-3) flatten dense(units=2, activation=linear) output(2)"
)

NAMES = ("class", "nn", "torch", "keras", "F", "self", "None", "Net", "__import__", "x" * 64)
"""Valid names of networks that must not disturb the source."""

SIZES = (1, 2, 3, 4, 5, 7, 8, 11, 16, 17, 33)
KERNELS = (1, 2, 3, 4, 5, 6, 7)
STRIDES = (1, 2, 3, 4)
PADDINGS: tuple[Padding, ...] = ("same", "valid")


def fixed() -> dict[str, Network]:
    """Networks that together have every operation, by name; `backbone` has no classes."""
    networks = {
        ending: lower(parse(EVERYTHING.replace("ENDING", ending)))
        for ending in ("flatten", "global_avg_pooling", "global_max_pooling")
    }
    return networks | {
        "backbone": lower(parse(BACKBONE)),
        "small": lower(parse(SMALL)),
        "graph": graph(),
    }


def check_complete(operations: Iterable[type[Operation]] = OPERATIONS) -> None:
    """Raises `CnnGenError` where no fixed network has one of the operations."""
    known = {type(node.operation) for network in fixed().values() for node in network.nodes}
    missing = [kind.__name__ for kind in operations if kind not in known]
    if missing:
        raise CnnGenError(
            f"the kit for backends has no network with the operation {', '.join(missing)}",
            hint="Put it into one of the networks of cnngen/backend/testing/networks.py.",
        )


def graph() -> Network:
    """A graph that no sentence describes: maps that are read often, three of them joined, and the
    operations without a word."""
    return Network.from_graph(
        [
            ("input", Input((7, 5, 2)), ()),
            ("conv1", Conv2d(4, (3, 3), bias=False), (0,)),
            ("norm1", BatchNorm(1e-5), (1,)),
            ("relu1", Activate("relu"), (2,)),
            ("conv2", Conv2d(3, (1, 1)), (3,)),
            ("gelu1", Activate("gelu"), (4,)),
            ("first3", Truncate(3), (3,)),
            ("pool1", Pool("max", (3, 3), (1, 1), "same"), (6,)),
            ("selu1", Activate("selu"), (6,)),
            ("add1", Add(), (5, 7, 8)),
            ("tanh1", Activate("tanh"), (0,)),
            ("concat1", Concat(), (9, 10, 3)),
            ("sigmoid1", Activate("sigmoid"), (11,)),
            ("squeeze1", SqueezeExcite(5, "gelu"), (12,)),
            ("squeeze2", SqueezeExcite(2, "linear"), (13,)),
            ("pool2", GlobalPool("avg"), (14,)),
            ("dense1", Dense(4), (15,)),
        ]
    )


@dataclass(frozen=True, slots=True)
class WindowCase:
    """A window on a map: height and width each."""

    size: tuple[int, int]
    window: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding

    def networks(self, number: int) -> dict[str, Network]:
        """A convolution and both poolings with it, on two channels; now and then a grouped one, and
        a dilated one where that fits."""
        activation, bias = ACTIVATIONS[number % len(ACTIVATIONS)], number % 4 > 0
        conv = Conv2d(3, self.window, self.stride, self.padding, activation, bias)
        operations: dict[str, Operation] = {
            "max": Pool("max", self.window, self.stride, self.padding),
            "avg": Pool("avg", self.window, self.stride, self.padding),
            "conv": conv,
        }
        if number % 3 == 0:
            operations["grouped"] = replace(conv, filters=4, groups=DEPTHWISE if number % 2 else 2)
        fits = self.padding == "same" or self.window[0] * 2 - 1 <= self.size[0]
        if number % 2 and self.stride == (1, 1) and fits:
            operations["dilated"] = replace(conv, dilation=(2, 1))
        where = f"{self.size}, window {self.window}, stride {self.stride}, {self.padding}"
        return {
            f"{name} on {where}": by_hand((*self.size, 2), operation)
            for name, operation in operations.items()
        }


def windows() -> list[WindowCase]:
    """Windows in which any two of the seven numbers occur in every combination.

    Sizes 1 to 33, kernels 1 to 7, strides 1 to 4, both paddings; the same list each time.
    """
    factors = (SIZES, SIZES, KERNELS, KERNELS, STRIDES, STRIDES, range(len(PADDINGS)))
    random = Random(0)
    missing = {
        (one, a, other, b)
        for one, other in combinations(range(len(factors)), 2)
        for a in factors[one]
        for b in factors[other]
    }
    rows: list[Row] = []
    while missing:
        # A missing pair, and of some ways to fill the rest the one with most new pairs.
        one, a, other, b = min(missing)
        tries = []
        for _ in range(40):
            row = [random.choice(values) for values in factors]
            row[one], row[other] = a, b
            tries.append(_fitting(row, {one, other}))
        best = max(tries, key=lambda row: len(missing & _pairs(row)))
        missing -= _pairs(best)
        rows.append(best)
    return [WindowCase((h, w), (kh, kw), (sh, sw), PADDINGS[p]) for h, w, kh, kw, sh, sw, p in rows]


Row = tuple[int, ...]
"""Height and width of a map, a window and a stride, and the position of a padding."""


def _fitting(row: list[int], kept: set[int]) -> Row:
    """The row, changed so that its window fits, but for two of its numbers, `kept`."""
    if PADDINGS[row[6]] == "valid" and (row[2] > row[0] or row[3] > row[1]):
        if 6 not in kept:
            row[6] = PADDINGS.index("same")
        for size, window in ((0, 2), (1, 3)) if 6 in kept else ():
            if size in kept:
                row[window] = min(row[window], row[size])
            else:
                row[size] = max(SIZES)
    return tuple(row)


def _pairs(row: Row) -> set[tuple[int, int, int, int]]:
    return {(one, row[one], other, row[other]) for one, other in combinations(range(len(row)), 2)}


def nested(depth: int, mode: Literal["add", "concat"] = "add") -> Network:
    """Merges inside merges, `depth` of them, on a 6x6 image of 2 channels."""
    conv = Layer("conv", conv_parameters(2, (1, 1), (1, 1), "same", "tanh"))
    inner: list[Written] = [conv]
    for _ in range(depth):
        # The nested merge comes first, so that many merges begin at one and the same value.
        inner = [Merge(mode, (Body((*inner, conv), ()),))]
        if mode == "concat":
            inner.append(conv)
    head = (
        Layer("global_avg_pooling"),
        Layer("dense", {"units": 3, "activation": "linear"}),
    )
    return lower(Description(tuple(inner), head, None, (6, 6, 2), 3))


def many_branches(count: int, mode: Literal["add", "concat"]) -> Network:
    """A merge of so many branches, one with such a merge in it: more than a line of code holds."""
    conv = Layer("conv", conv_parameters(2, (1, 1), (1, 1), "same", "tanh"))

    def merge(*last: Written) -> Merge:
        more = (*[(conv,)] * (count - 3), last)
        return Merge(mode, (Body((conv,), (), more=more, bare=True),))

    # The second branch, which is Empty, has as many channels as the convolutions give.
    return lower(Description((conv, merge(merge(conv), conv)), (), None, (4, 4, 2)))


def by_hand(shape: tuple[int, int, int], *operations: Operation) -> Network:
    """Operations in sequence, without a description."""
    steps = [(f"op{n}", operation, (n - 1,)) for n, operation in enumerate(operations, 1)]
    return Network.from_graph([("input", Input(shape), ()), *steps])
