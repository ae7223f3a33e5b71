"""A framework of one file: functions on NumPy arrays, which find their weights by name.

`init` makes the weights of a network, `apply` runs it with them. Images are (batch, height,
width, channels). It is here to be emitted for; it cannot train.
"""

import math
from contextvars import ContextVar

import numpy as np

_weights = ContextVar("weights")


def init(network, shape, seed=0):
    """Weights by the name of the operation and of the weight."""
    _weights.set((made := {}, np.random.default_rng(seed)))
    network(np.zeros((1, *shape)))
    return made


def apply(network, weights, images):
    _weights.set((weights, None))
    return network(images)


def conv(x, *, name, filters, kernel, stride, padding, activation, bias, groups=1, dilation=(1, 1)):
    groups = x.shape[-1] if groups == "depthwise" else groups
    w = _glorot(name, (*kernel, x.shape[-1] // groups, filters))
    reach = [(length - 1) * apart + 1 for length, apart in zip(kernel, dilation, strict=True)]
    windows = _windows(x, reach, stride, padding, 0)[..., :: dilation[0], :: dilation[1]]
    parts = zip(np.split(windows, groups, 3), np.split(w, groups, 3), strict=True)
    sums = [np.einsum("nhwcij,ijco->nhwo", *part, optimize=True) for part in parts]
    y = np.concatenate(sums, axis=-1)
    return ACTIVATIONS[activation](y + _weight(name, "bias", filters, 0) if bias else y)


def dense(x, *, name, units, activation):
    w = _glorot(name, (x.shape[-1], units))
    return ACTIVATIONS[activation](x @ w + _weight(name, "bias", units, 0))


def batch_norm(x, *, name, epsilon):
    starts = {"scale": 1, "shift": 0, "mean": 0, "variance": 1}
    scale, shift, mean, variance = (_weight(name, w, x.shape[-1], starts[w]) for w in starts)
    return (x - mean) / np.sqrt(variance + epsilon) * scale + shift


def pool(x, *, name, pooling, size, stride, padding):
    beyond, pooled = (-math.inf, np.max) if pooling == "max" else (math.nan, np.nanmean)
    return pooled(_windows(x, size, stride, padding, beyond), axis=(4, 5))


def global_pool(x, *, name, pooling):
    return x.max((1, 2)) if pooling == "max" else x.mean((1, 2))


def dropout(x, *, name, rate):
    return x


def flatten(x, *, name):
    return x.reshape(len(x), -1)


def add(*maps, name):
    return sum(maps)


def concat(*maps, name):
    return np.concatenate(maps, axis=-1)


def activate(x, *, name, activation):
    return ACTIVATIONS[activation](x)


def truncate(x, *, name, channels):
    return x[..., :channels]


def squeeze_excite(x, *, name, squeezed, activation, gate):
    channels = x.shape[-1]
    w, w2 = (
        _glorot(name, shape, weight)
        for weight, shape in (("kernel", (channels, squeezed)), ("kernel2", (squeezed, channels)))
    )
    small = ACTIVATIONS[activation](x.mean((1, 2)) @ w + _weight(name, "bias", squeezed, 0))
    gates = ACTIVATIONS[gate](small @ w2 + _weight(name, "bias2", channels, 0))
    return x * gates[:, None, None]


def _windows(x, window, stride, padding, beyond):
    """(batch, height, width, channels, *window): each window's pixels, with those beyond."""
    if padding == "same":
        sides = [_padding(*axis) for axis in zip(x.shape[1:3], window, stride, strict=True)]
        x = np.pad(x, [(0, 0), *sides, (0, 0)], constant_values=beyond)
    views = np.lib.stride_tricks.sliding_window_view(x, window, axis=(1, 2))
    return views[:, :: stride[0], :: stride[1]]


def _padding(size, window, stride):
    """Pixels before and after, of which the odd one goes after."""
    total = max(0, (math.ceil(size / stride) - 1) * stride + window - size)
    return total // 2, total - total // 2


def _weight(name, weight, shape, start):
    weights, random = _weights.get()
    if random is not None:
        weights.setdefault(name, {})[weight] = np.full(shape, start, np.float32)
    return weights[name][weight]


def _glorot(name, shape, weight="kernel"):
    weights, random = _weights.get()
    if random is not None:
        bound = math.sqrt(6 / (math.prod(shape[:-2]) * (shape[-2] + shape[-1])))
        drawn = random.uniform(-bound, bound, shape).astype(np.float32)
        weights.setdefault(name, {})[weight] = drawn
    return weights[name][weight]


def _gelu(x):
    erf = np.vectorize(math.erf, otypes=[x.dtype])
    return x * (1 + erf(x / math.sqrt(2))) / 2


ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "selu": lambda x: (
        1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))
    ),
    "tanh": np.tanh,
    "gelu": _gelu,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "hardsigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
}
