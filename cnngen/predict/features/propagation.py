"""Features of an image's signal behind random weights, without running the network.

Each operation says how a random signal passes it (`cnngen.operations.random_signal`).
"""

from __future__ import annotations

from math import log2

from cnngen.network import Network
from cnngen.operations.random_signal import TINY, Signal
from cnngen.predict.features.groups import in_group


def propagation(network: Network) -> dict[str, float]:
    """Moments, distances and gradients at the first step, as log2.

    `clarity` is the share of the distance between two logits that is due to the images and not
    to dropout; `apart` is the distance relative to the second moment. `first_gradient` is the
    squared gradient at the first layer's output relative to that at the logits, a number.
    """
    signals, gradients = follow(network)
    gaps = [
        before / (before + node.operation.epsilon)
        for node in in_group(network, "norm")
        for before in [signals[node.inputs[0]].distance]
    ]
    end = signals[-1]
    weighted = [at for at, node in enumerate(network.nodes) if node.operation.learns_kernel]
    moments = [_log(signals[at].moment) for at in weighted]
    apart = [_log(signals[at].distance / max(signals[at].moment, TINY)) for at in weighted]
    steep = [_log(gradients[at]) for at in weighted]
    return {
        "end_moment": _log(end.moment),
        "end_distance": _log(end.distance),
        "end_apart": _log(end.distance / max(end.moment, TINY)),
        "clarity": _log(max(0.0, end.distance - end.noise) / max(end.distance, TINY)),
        "largest_moment": max(moments, default=0.0),
        "smallest_moment": min(moments, default=0.0),
        "least_apart": min(apart, default=0.0),
        "faintest_norm": _log(min(gaps, default=1.0)),
        "first_gradient": steep[0] if steep else 0.0,
        "gradient_range": max(steep, default=0.0) - min(steep, default=0.0),
    }


def follow(network: Network) -> tuple[list[Signal], list[float]]:
    """The signal that each node puts out, and the mean squared gradient of its numbers where
    that of the logits is 1.

    Raises `CnnGenError` for an operation without a rule.
    """
    signals: list[Signal] = []
    slopes: list[float] = []
    for node in network.nodes:
        shapes = network.input_shapes(node)
        signal, slope = node.operation.pass_signal([signals[i] for i in node.inputs], shapes)
        signals.append(signal.bounded())
        slopes.append(slope)
    return signals, _gradients(network, slopes)


def _gradients(network: Network, slopes: list[float]) -> list[float]:
    """The mean squared gradient of each node's numbers, where that of the logits is 1."""
    gradients = [0.0] * len(network.nodes)
    gradients[-1] = 1.0
    for at in range(len(network.nodes) - 1, 0, -1):
        for i in network.nodes[at].inputs:
            gradients[i] = min(gradients[i] + gradients[at] * slopes[at], 1 / TINY)
    return gradients


def _log(value: float) -> float:
    return log2(min(max(value, 1e-60), 1e60))
