"""A network as a graph of numbers: the kind and the position of each operation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log2, prod
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from cnngen.network import Network, Node
from cnngen.operations import Input, PublishedActivation, Windowed
from cnngen.operations.random_signal import TINY, Signal
from cnngen.operations.shapes import same_padding
from cnngen.predict.features import features
from cnngen.predict.features.groups import group
from cnngen.predict.features.propagation import follow
from cnngen.predict.vocabulary import OPERATIONS, known_label

Matrix = NDArray[np.float32]
Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]

ACTIVATIONS = get_args(PublishedActivation)
"""Others are known by the signals that they let pass."""

FREQUENCIES = 4
"""Waves of the positional encoding; the shortest is two operations long, each other one four
times as long as the one before."""

BIT = 1 / 8
"""Logarithms to base 2 become numbers of about 1."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedGraph:
    """A network as arrays.

    `nodes` has shape (nodes, features), `edges` (2, edges) with sources in its first row,
    `whole` (features of the network as a whole,).
    """

    nodes: Matrix
    edges: Positions
    whole: Matrix


@lru_cache(4096)
def encode(network: Network) -> EncodedGraph:
    """The arrays of a network, in the order of its nodes.

    Raises `CnnGenError` for an operation that is not in the vocabulary or the features.
    """
    ends = [(source, at) for at, node in enumerate(network.nodes) for source in node.inputs]
    edges = np.array(ends, np.int64).reshape(-1, 2).T
    depth = np.zeros(len(network), np.int64)
    height = np.zeros(len(network), np.int64)
    for source, at in ends:
        depth[at] = max(depth[at], depth[source] + 1)
    for source, at in reversed(ends):
        height[source] = max(height[source], height[at] + 1)
    used = _used(network)
    signals, gradients = follow(network)
    nodes = [
        [
            *_operation(network, node),
            *_position(int(depth[at]), int(height[at])),
            *used[at],
            *_signal(signals[at], gradients[at]),
            float(network.branches[node.branch].side == "left"),
            float(network.branches[node.branch].side == "right"),
            _bits(len(node.inputs)),
        ]
        for at, node in enumerate(network.nodes)
    ]
    whole = [*features(network).values(), *used[0], _bits(int(depth[-1]))]
    return EncodedGraph(np.array(nodes, np.float32), edges, np.array(whole, np.float32))


def _operation(network: Network, node: Node) -> list[float]:
    """Kind, hyper-parameters, shape and cost."""
    operation = node.operation
    inputs = network.input_shapes(node)
    kind = known_label(operation)
    window = operation.window() if isinstance(operation, Windowed) else (0, 0, 0, 0, "")
    activation = operation.nonlinearity
    rate: float = getattr(operation, "rate", 0.0)
    epsilon: float | None = getattr(operation, "epsilon", None)
    height, width, channels = node.shape if len(node.shape) == 3 else (1, 1, node.shape[0])
    return [
        *(float(kind == name) for name in OPERATIONS),
        *(float(activation == name) for name in ACTIVATIONS),
        *map(_bits, window[:4]),
        float(window[4] == "same"),
        rate,
        _bits(1 / epsilon) / 4 if epsilon is not None else 0.0,
        float(group(operation) == "pooling"),
        _bits(height),
        _bits(width),
        _bits(channels),
        _bits(sum(prod(shape) for shape in inputs)),
        _bits(prod(node.shape)),
        _bits(operation.parameters(*inputs)) if inputs else 0.0,
        _bits(operation.multiply_adds(*inputs)) if inputs else 0.0,
    ]


def _position(depth: int, height: int) -> list[float]:
    """How far from the input and the output, as logarithms and as waves."""
    waves = np.pi / 4.0 ** np.arange(FREQUENCIES)
    return [
        _bits(depth),
        _bits(height),
        depth / max(1, depth + height),
        *np.sin(depth * waves / 2 + 0.5),
        *np.cos(depth * waves / 2 + 0.5),
    ]


def _signal(signal: Signal, gradient: float) -> list[float]:
    """The image's random signal up to here, and that of the loss on its way back."""
    distance = max(signal.distance, TINY)
    return [
        _power(signal.moment),
        _power(distance / max(signal.moment, TINY)),
        max(0.0, distance - signal.noise) / distance,
        _power(gradient),
    ]


def _used(network: Network) -> list[tuple[float, float]]:
    """Which share of each node's rows, and of its columns, reaches the output at all.

    A window smaller than its stride passes over pixels, and `valid` leaves out the rim.
    """
    shapes = [node.shape if len(node.shape) == 3 else (1, 1) for node in network.nodes]
    used = [[np.zeros(shape[axis], bool) for axis in (0, 1)] for shape in shapes]
    used[-1] = [np.ones_like(mask) for mask in used[-1]]
    for at, node in reversed(list(enumerate(network.nodes))):
        for axis in (0, 1):
            for source in node.inputs:
                used[source][axis] |= _read(node, used[at][axis], shapes[source][axis], axis)
    return [(float(rows.mean()), float(columns.mean())) for rows, columns in used]


def _read(node: Node, used: Mask, size: int, axis: int) -> Mask:
    """Which of the `size` rows or columns of its input a node needs for those that are used."""
    if not isinstance(node.operation, Windowed):
        return used if len(used) == size else np.ones(size, bool)
    height, width, down, right, padding = node.operation.window()
    window, stride = ((height, down), (width, right))[axis]
    before = same_padding(size, window, stride)[0] if padding == "same" else 0
    starts = np.flatnonzero(used) * stride - before
    ends = np.zeros(size + 1, np.int64)
    np.add.at(ends, np.clip(starts, 0, size), 1)
    np.add.at(ends, np.clip(starts + window, 0, size), -1)
    return np.cumsum(ends[:-1]) > 0


def _power(value: float) -> float:
    return BIT * log2(min(max(value, 1e-12), 1e12))


def _bits(count: float) -> float:
    return BIT * log2(1 + count)


_SMALLEST = encode(Network((Node("input", Input((1, 1, 1)), (), (1, 1, 1)),)))
NODE_FEATURES = _SMALLEST.nodes.shape[1]
WHOLE_FEATURES = _SMALLEST.whole.shape[0]
