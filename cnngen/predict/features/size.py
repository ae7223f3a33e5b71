"""How large a network is, and what work it makes."""

from __future__ import annotations

from collections import Counter
from math import log2, prod

from cnngen.network import Network
from cnngen.operations import (
    Activate,
    Add,
    BatchNorm,
    Concat,
    Conv2d,
    Dense,
    Dropout,
    Pool,
    Windowed,
)


def size(network: Network) -> dict[str, float]:
    """The ends, how many operations of each kind, and work by kind.

    `*_work`: multiply-adds of convolutions and dense layers, numbers read by pooling, numbers
    put out by what works on each alone. `largest_work` is the share of the multiply-adds that
    the largest operation has.
    """
    height, width, channels = network.input_shape
    cost = network.cost
    counts: Counter[type] = Counter()
    work: Counter[str] = Counter()
    largest = 0
    for node in network.nodes:
        operation = node.operation
        counts[type(operation)] += 1
        if isinstance(operation, (Conv2d, Dense)):
            adds = operation.multiply_adds(*network.input_shapes(node))
            work[type(operation).__name__] += adds
            largest = max(largest, adds)
            if operation.activation != "linear":
                work[operation.activation] += prod(node.shape)
        elif isinstance(operation, Pool):
            work["Pool"] += prod(node.shape) * prod(operation.size)
        elif isinstance(operation, Activate):
            work[operation.activation] += prod(node.shape)
        else:
            work[type(operation).__name__] += prod(node.shape)
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
        "convolutions": float(counts[Conv2d]),
        "norms": float(counts[BatchNorm]),
        "dropouts": float(counts[Dropout]),
        "poolings": float(counts[Pool]),
        "denses": float(counts[Dense]),
        "adds": float(counts[Add]),
        "concats": float(counts[Concat]),
        "padded_windows": float(padded),
        "convolution_work": log2(1 + work["Conv2d"]),
        "dense_work": log2(1 + work["Dense"]),
        "norm_work": log2(1 + work["BatchNorm"]),
        "dropout_work": log2(1 + work["Dropout"]),
        "pooling_work": log2(1 + work["Pool"]),
        "merge_work": log2(1 + work["Add"] + work["Concat"]),
        "tanh_work": log2(1 + work["tanh"]),
        "selu_work": log2(1 + work["selu"]),
        "gelu_work": log2(1 + work["gelu"]),
        "largest_work": largest / max(1, cost.multiply_adds),
    }
