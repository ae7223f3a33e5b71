"""Networks computed by the definition of each operation, in plain NumPy, in float64."""

from __future__ import annotations

import math

import numpy as np

from cnngen.backend.model_access import Array, Labels, Weights
from cnngen.network import Network
from cnngen.operations import Weight
from cnngen.operations.shapes import Shape


def evaluate(
    network: Network, weights: Weights, images: Array, *, training: bool = False
) -> list[Array]:
    """The output of every node for images (batch, height, width, channels).

    In training, batch norms take the statistics of the batch. Nothing is ever dropped. Raises
    `CnnGenError` for an operation without a definition.
    """
    values: list[Array] = [images.astype(np.float64)]
    for node in network.nodes[1:]:
        inputs = [values[i] for i in node.inputs]
        own: dict[str, Array] = {
            name: w.astype(np.float64) for name, w in weights.get(node.name, {}).items()
        }
        if training:
            own |= node.operation.statistics(inputs)
        values.append(node.operation.compute(inputs, own))
    return values


def cross_entropy(logits: Array, labels: Labels) -> float:
    """The mean over a batch of minus the logarithm of the right class's share of the softmax."""
    shifted = logits - logits.max(1, keepdims=True)
    shares = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return float(-shares[np.arange(len(labels)), labels].mean())


def weights_of(network: Network) -> dict[str, tuple[Weight, ...]]:
    """The weights of each operation that has any, by its name."""
    found = {
        node.name: node.operation.weights(*network.input_shapes(node)) for node in network.nodes
    }
    return {name: weights for name, weights in found.items() if weights}


def weight_shapes(network: Network) -> dict[str, dict[str, Shape]]:
    """The shape of every weight: what `Weights` of the network must hold, and no more."""
    return {
        operation: {weight.name: weight.shape for weight in own}
        for operation, own in weights_of(network).items()
    }


def first_weights(network: Network, seed: int) -> Weights:
    """Weights in float32 to begin a training with, as backends draw them, but the same for
    each: kernels are Glorot-uniform (Glorot and Bengio, 2010), all else is neutral."""
    random = np.random.default_rng(seed)

    def drawn(weight: Weight) -> Array:
        if weight.first == "glorot":
            return glorot(weight.shape, random)
        return np.full(weight.shape, 1 if weight.first == "ones" else 0, np.float32)

    return {
        operation: {weight.name: drawn(weight) for weight in own}
        for operation, own in weights_of(network).items()
    }


def random_weights(network: Network, seed: int = 0) -> Weights:
    """Weights in float32 in which a mistake would show: no bias zero, no scale one."""
    random = np.random.default_rng(seed)

    def drawn(weight: Weight) -> Array:
        if weight.first == "glorot":
            return glorot(weight.shape, random)
        if weight.first == "ones":
            return random.uniform(0.5, 1.5, weight.shape).astype(np.float32)
        return random.normal(0, 0.1, weight.shape).astype(np.float32)

    return {
        operation: {weight.name: drawn(weight) for weight in own}
        for operation, own in weights_of(network).items()
    }


def glorot(shape: Shape, random: np.random.Generator) -> Array:
    """A kernel (..., inputs, outputs), Glorot-uniform, in float32."""
    *window, inputs, outputs = shape
    bound = math.sqrt(6 / (math.prod(window) * (inputs + outputs)))
    return random.uniform(-bound, bound, shape).astype(np.float32)
