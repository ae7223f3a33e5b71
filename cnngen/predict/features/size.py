"""How large a network is, and what work it makes."""

from __future__ import annotations

from collections import Counter
from math import log2, prod

from cnngen.network import Network
from cnngen.operations import Windowed
from cnngen.predict.features.groups import COUNTED

WORK = (
    *("convolution_work", "dense_work", "norm_work", "dropout_work", "pooling_work", "merge_work"),
    *("tanh_work", "selu_work", "gelu_work"),
)


def size(network: Network) -> dict[str, float]:
    """The ends, how many operations of each kind, and work by kind.

    `*_work`: multiply-adds of convolutions and dense layers, numbers read by pooling, numbers
    put out by what works on each alone. `largest_work` is the share of the multiply-adds that
    the largest operation has.
    """
    height, width, channels = network.input_shape
    cost = network.cost
    counts: Counter[str] = Counter()
    work: Counter[str] = Counter()
    largest = 0
    for node in network.nodes:
        operation = node.operation
        inputs = network.input_shapes(node)
        counted = COUNTED.of(operation)
        counts[counted.group] += 1
        work[counted.work] += operation.work(*inputs)
        work[f"{operation.nonlinearity}_work"] += prod(node.shape)
        largest = max(largest, operation.multiply_adds(*inputs))
    padded = sum(
        isinstance(node.operation, Windowed) and node.operation.window()[4] == "same"
        for node in network.nodes
    )
    return {
        "input_area": log2(height * width),
        "input_channels": float(channels),
        "classes": float(network.classes or 0),
        "layers": float(cost.layers),
        "parameters": log2(1 + cost.parameters),
        "multiply_adds": log2(1 + cost.multiply_adds),
        "activations": log2(1 + cost.activations),
        "convolutions": float(counts["convolution"]),
        "norms": float(counts["norm"]),
        "dropouts": float(counts["dropout"]),
        "poolings": float(counts["pooling"]),
        "denses": float(counts["dense"]),
        "adds": float(counts["add"]),
        "concats": float(counts["concat"]),
        "padded_windows": float(padded),
        **{name: log2(1 + work[name]) for name in WORK},
        "largest_work": largest / max(1, cost.multiply_adds),
    }
