"""Random signals on their way through an operation, by mean-field theory: nothing is run.

Weights are Glorot-uniform and independent, so sums over many of them are normal. Three
averages are followed from the image to the logits, as at the first step of training: the
second moment of the numbers, and half the mean squared distance between two images, and
between two passes of one image, which differ by dropout alone (Poole et al., "Exponential
Expressivity in Deep Neural Networks through Transient Chaos", NeurIPS 2016; Schoenholz et al.,
"Deep Information Propagation", ICLR 2017; batch norm as in Yang et al., "A Mean Field Theory
of Batch Normalization", ICLR 2019, with its statistics taken over independent images).
Neighbouring pixels are taken to agree half: averaging n of them divides distances by sqrt(n).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import log2, sqrt
from typing import TYPE_CHECKING

from cnngen.operations.hyperparameters import Activation
from cnngen.operations.shapes import Shape, WindowNumbers, output_size, same_padding

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IMAGE = (0.25, 0.1)
"""Second moment and half squared distance of images with pixels from 0 to 1."""

TINY = 1e-250
LARGEST = 1e100
"""The cap on every figure: thousands of sums or dropouts would leave no finite number."""
MOMENTS = range(-24, 13)
DISTANCES = range(-24, 1)
"""Powers of 2 at which the integrals over an activation are tabulated."""
POINTS = 48
"""Of the quadrature, along each axis."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Second moment, half squared distance of two images, and of two passes of one."""

    moment: float
    distance: float
    noise: float

    def bounded(self) -> Signal:
        """Itself with nothing above `LARGEST`."""
        return Signal(*(min(x, LARGEST) for x in (self.moment, self.distance, self.noise)))

    def scaled(self, by: float) -> Signal:
        """All three times a number."""
        return Signal(self.moment * by, self.distance * by, self.noise * by)


def weighed(inputs: Sequence[Signal], weights: Sequence[float]) -> Signal:
    """The sum of signals that do not depend on each other, each with a weight."""
    parts = [x.scaled(weight) for x, weight in zip(inputs, weights, strict=True)]
    return Signal(
        sum(x.moment for x in parts),
        sum(x.distance for x in parts),
        sum(x.noise for x in parts),
    )


def averaged(x: Signal, count: int) -> Signal:
    """The signal after means of `count` neighbouring numbers, which change nothing for 1."""
    by = 1 / sqrt(count)
    return Signal(x.moment - x.distance * (1 - by), x.distance * by, x.noise * by)


def real_share(window: WindowNumbers, shape: Shape) -> float:
    """The share of a window that lies on real pixels, on average over the windows."""
    kh, kw, sh, sw, padding = window
    if padding == "valid":
        return 1.0
    return _real(shape[0], kh, sh) * _real(shape[1], kw, sw)


@cache
def _real(size: int, window: int, stride: int) -> float:
    before, _ = same_padding(size, window, stride)
    count = output_size(size, window, stride, "same")
    starts = [at * stride - before for at in range(count)]
    return sum(min(size, s + window) - max(0, s) for s in starts) / (count * window)


def activated(x: Signal, activation: Activation) -> tuple[Signal, float]:
    """The signal after an activation, and the mean square of the activation's slope.

    `x` are normal numbers of mean 0.
    """
    if activation == "linear":
        return x, 1.0
    table = _table(activation)
    moment = max(x.moment, TINY)
    at = min(max(log2(moment), MOMENTS[0]), MOMENTS[-1])
    row = min(int(at - MOMENTS[0]), len(MOMENTS) - 2)
    part = at - MOMENTS[0] - row
    square = 2.0 ** _between(table.square[row], table.square[row + 1], part)
    slope = _between(table.slope[row], table.slope[row + 1], part)

    def apart(distance: float) -> float:
        share = max(distance / moment, 2.0 ** DISTANCES[0])
        place = min(log2(min(share, 1.0)) - DISTANCES[0], len(DISTANCES) - 1.0)
        column = min(int(place), len(DISTANCES) - 2)
        rest = place - column
        low, high = table.stretch[row], table.stretch[row + 1]
        return distance * _between(
            _between(low[column], low[column + 1], rest),
            _between(high[column], high[column + 1], rest),
            part,
        )

    # Beyond the table's ends, as there.
    square *= moment / 2.0**at
    return Signal(square, apart(x.distance), apart(x.noise)), slope


def _between(low: float, high: float, part: float) -> float:
    return low + (high - low) * part


@dataclass(frozen=True, slots=True)
class _Table:
    """Integrals over normal numbers z of variance q = 2^`MOMENTS`: log2 E[f(z)^2], E[f'(z)^2],
    and for two of them, z and w, at half squared distance q 2^`DISTANCES`, what remains of it:
    E[(f(z) - f(w))^2] / E[(z - w)^2]."""

    square: list[float]
    slope: list[float]
    stretch: list[list[float]]


@cache
def _table(activation: Activation) -> _Table:
    """Gauss-Hermite quadrature of the integrals."""
    import numpy as np

    nodes, weights = np.polynomial.hermite_e.hermegauss(POINTS)
    weights = weights / weights.sum()
    moment = 2.0 ** np.array(MOMENTS, np.float64)[:, None]
    z = np.sqrt(moment) * nodes
    step = 1e-4 * np.sqrt(moment)
    square = np.log2((_apply(activation, z) ** 2) @ weights)
    rise = (_apply(activation, z + step) - _apply(activation, z - step)) / (2 * step)
    # Two normal numbers as their half sum and half difference, which are independent.
    share = 2.0 ** np.array(DISTANCES, np.float64)[:, None]
    middle = np.sqrt(1 - share / 2) * nodes
    half = np.sqrt(share / 2) * nodes
    root = np.sqrt(moment)[:, :, None, None]
    first = root * (middle[:, :, None] + half[:, None, :])[None]
    second = root * (middle[:, :, None] - half[:, None, :])[None]
    gap = _apply(activation, first) - _apply(activation, second)
    joint = weights[:, None] * weights[None, :]
    stretch = (gap**2 * joint).sum(axis=(2, 3)) / (2 * moment * share.T)
    return _Table(square.tolist(), ((rise**2) @ weights).tolist(), stretch.tolist())


def _apply(activation: Activation, z: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    match activation:
        case "sigmoid":
            from scipy.special import expit

            return np.asarray(expit(z), np.float64)
        case "silu":
            from scipy.special import expit

            return np.asarray(z * expit(z), np.float64)
        case "selu":
            scale, alpha = 1.0507009873554805, 1.6732632423543772
            return scale * np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0.0)))
        case "gelu":
            from scipy.special import ndtr

            return np.asarray(z * ndtr(z), np.float64)
    from cnngen.operations.arrays import ACTIVATIONS

    return np.asarray(ACTIVATIONS[activation](z), np.float64)
