"""What a network computes, by the definition of each operation, in plain NumPy.

Slow and meant to be seen right: no padding is ever made, each window is cut out of the pixels
that are there. Maps are (batch, height, width, channels), in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from cnngen.backend.model_access import Array, Labels, Weights
from cnngen.errors import BackendError
from cnngen.network import Network
from cnngen.operations import (
    Activate,
    Add,
    BatchNorm,
    Concat,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Operation,
    Pool,
    Truncate,
)
from cnngen.operations.shapes import Padding, Shape


def evaluate(
    network: Network, weights: Weights, images: Array, *, training: bool = False
) -> list[Array]:
    """The output of every node for images (batch, height, width, channels).

    In training, batch norms take the statistics of the batch. Nothing is ever dropped.
    """
    values: list[Array] = [images.astype(np.float64)]
    for node in network.nodes[1:]:
        inputs = [values[i] for i in node.inputs]
        own: dict[str, Array] = {
            name: w.astype(np.float64) for name, w in weights.get(node.name, {}).items()
        }
        if training and isinstance(node.operation, BatchNorm):
            own |= statistics(inputs[0])
        values.append(_apply(node.operation, own, inputs))
    return values


def statistics(maps: Array) -> dict[str, Array]:
    """`mean` and `variance`, the biased one, of each channel of a batch of maps."""
    return {"mean": maps.mean((0, 1, 2)), "variance": maps.var((0, 1, 2))}


def cross_entropy(logits: Array, labels: Labels) -> float:
    """The mean over a batch of minus the logarithm of the right class's share of the softmax."""
    shifted = logits - logits.max(1, keepdims=True)
    shares = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return float(-shares[np.arange(len(labels)), labels].mean())


def weight_shapes(network: Network) -> dict[str, dict[str, Shape]]:
    """The shape of every weight: what `Weights` of the network must hold, and no more."""
    shapes: dict[str, dict[str, Shape]] = {}
    for node in network.nodes:
        channels = network.input_shapes(node)[0][-1] if node.inputs else 0
        match node.operation:
            case Conv2d(filters, kernel, bias=bias):
                shapes[node.name] = {"kernel": (*kernel, channels, filters)}
                if bias:
                    shapes[node.name]["bias"] = (filters,)
            case Dense(units):
                shapes[node.name] = {"kernel": (channels, units), "bias": (units,)}
            case BatchNorm():
                names = ("scale", "shift", "mean", "variance")
                shapes[node.name] = dict.fromkeys(names, (channels,))
    return shapes


def random_weights(network: Network, seed: int = 0) -> Weights:
    """Weights in float32 in which a mistake would show: no bias zero, no scale one."""
    random = np.random.default_rng(seed)

    def drawn(name: str, shape: Shape) -> Array:
        if name == "kernel":
            bound = math.sqrt(6 / (math.prod(shape[:-1]) + math.prod(shape[:-2]) * shape[-1]))
            values = random.uniform(-bound, bound, shape)
        elif name in ("scale", "variance"):
            values = random.uniform(0.5, 1.5, shape)
        else:
            values = random.normal(0, 0.1, shape)
        return values.astype(np.float32)

    return {
        operation: {name: drawn(name, shape) for name, shape in own.items()}
        for operation, own in weight_shapes(network).items()
    }


def _apply(op: Operation, weights: Mapping[str, Array], inputs: list[Array]) -> Array:
    x = inputs[0]
    match op:
        case Conv2d():
            y = _convolution(x, op, weights["kernel"])
            return ACTIVATIONS[op.activation](y + weights.get("bias", 0.0))
        case Dense():
            return ACTIVATIONS[op.activation](x @ weights["kernel"] + weights["bias"])
        case BatchNorm():
            normal = (x - weights["mean"]) / np.sqrt(weights["variance"] + op.epsilon)
            scaled: Array = normal * weights["scale"] + weights["shift"]
            return scaled
        case Pool():
            return _pooling(x, op)
        case GlobalPool(pooling):
            return _pooled(x, pooling)
        case Flatten():
            return np.stack([image.ravel() for image in x])
        case Add():
            summed: Array = np.sum(inputs, axis=0)
            return summed
        case Concat():
            return np.concatenate(inputs, axis=-1)
        case Activate(activation):
            return ACTIVATIONS[activation](x)
        case Truncate(channels):
            return x[..., :channels]
        case Dropout():
            return x
    raise BackendError(f"the reference has no definition of the operation {type(op).__name__}")


def _convolution(x: Array, op: Conv2d, kernel: Array) -> Array:
    height, width, _ = op.output_shape(x.shape[1:])
    y = np.zeros((len(x), height, width, op.filters))
    for row, (down, ky) in enumerate(_windows(x.shape[1], op.kernel[0], op.stride[0], op.padding)):
        for column, (right, kx) in enumerate(
            _windows(x.shape[2], op.kernel[1], op.stride[1], op.padding)
        ):
            y[:, row, column] = np.tensordot(x[:, down, right], kernel[ky, kx], 3)
    return y


def _pooling(x: Array, op: Pool) -> Array:
    y = np.zeros((len(x), *op.output_shape(x.shape[1:])))
    for row, (down, _) in enumerate(_windows(x.shape[1], op.size[0], op.stride[0], op.padding)):
        for column, (right, _) in enumerate(
            _windows(x.shape[2], op.size[1], op.stride[1], op.padding)
        ):
            y[:, row, column] = _pooled(x[:, down, right], op.pooling)
    return y


def _pooled(x: Array, pooling: str) -> Array:
    pooled: Array = x.max(axis=(1, 2)) if pooling == "max" else x.mean(axis=(1, 2))
    return pooled


def _windows(
    size: int, window: int, stride: int, padding: Padding
) -> Iterator[tuple[slice, slice]]:
    """For each window along an axis: its real pixels, and the part of the kernel over them.

    `same` is TensorFlow's: https://www.tensorflow.org/api_docs/python/tf/nn, "Notes on padding".
    """
    first, count = 0, (size - window) // stride + 1
    if padding == "same":
        count = math.ceil(size / stride)
        first = -(max((count - 1) * stride + window - size, 0) // 2)
    for start in range(first, first + count * stride, stride):
        low, high = max(start, 0), min(start + window, size)
        yield slice(low, high), slice(low - start, high - start)


def _gelu(x: Array) -> Array:
    erf: Array = np.vectorize(math.erf, otypes=[np.float64])(x / math.sqrt(2))
    return x * (1 + erf) / 2


def _selu(x: Array) -> Array:
    # The constants of Klambauer et al. (2017), section 2.
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return scale * np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0)) - 1))


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "selu": _selu,
    "tanh": np.tanh,
    "gelu": _gelu,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}
