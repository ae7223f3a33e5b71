"""Measure the differences between two frameworks and compare them with tolerances."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

import numpy as np

from cnngen.backend.model_access import Array
from cnngen.comparison.equality.answers import Figures
from cnngen.comparison.equality.inputs import Defined

WHAT = ("outputs", "loss", "gradients", "curve")
"""The quantities compared, in the order in which they are computed."""

TOLERANCES = {
    "float32": {"outputs": 1e-5, "loss": 1e-5, "gradients": 1e-4, "curve": 2e-2},
    "float64": {"outputs": 1e-10, "loss": 1e-10, "gradients": 1e-8, "curve": 1e-6},
}
"""Largest allowed differences, relative to the largest output, gradient or loss in magnitude.
`docs/verify.md` gives the reasons."""

ROUNDING = 3.0
"""In float32, all quantities except the curve may also differ by this multiple of a framework's
rounding error, which is the distance between its own float32 and float64 results."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The relative difference of two frameworks in one quantity, and the tolerance for it.

    `value` and `allowed` are relative to the largest number of the quantity. `where` names the
    weight whose gradient differs most.
    """

    what: str
    precision: str
    value: float
    allowed: float
    where: str | None = None

    @property
    def is_small(self) -> bool:
        """Whether the difference is within the tolerance."""
        return self.value <= self.allowed


Answer = dict[str, Figures]
"""The figures of a mode, by precision."""


def differences(one: Answer, other: Answer) -> list[Difference]:
    """Return the differences between two modes in each precision that both support."""
    found = []
    for precision in one.keys() & other.keys():
        here, there = one[precision], other[precision]
        for what, allowed in TOLERANCES[precision].items():
            value, where = _distance(what, here, there)
            if value is None:
                continue
            if precision == "float32" and what != "curve" and value > allowed:
                allowed = max(allowed, ROUNDING * max(_rounding(what, one), _rounding(what, other)))
            found.append(Difference(what, precision, value, allowed, where))
    return sorted(found, key=lambda found: (found.precision, WHAT.index(found.what)))


def from_definitions(answer: Answer, defined: Defined) -> list[Difference]:
    """Return the differences between a mode and the definitions of the operations."""
    found = []
    for precision, figures in sorted(answer.items()):
        known = Figures(defined.outputs, defined.loss, {}, np.zeros(0))
        for what in ("outputs", "loss"):
            value, _ = _distance(what, figures, known)
            if value is None:
                continue
            allowed = TOLERANCES[precision][what]
            if precision == "float32" and value > allowed:
                allowed = max(allowed, ROUNDING * _rounding(what, answer))
            found.append(Difference(what, precision, value, allowed))
    return found


def relative(one: Array, other: Array) -> float:
    """Return the largest difference relative to the largest number; inf for NaN or infinity."""
    off = distance(one, other)
    if off in (0.0, inf):
        return off
    return off / float(max(np.abs(one).max(), np.abs(other).max()))


def _distance(what: str, one: Figures, other: Figures) -> tuple[float | None, str | None]:
    match what:
        case "outputs":
            return relative(one.outputs, other.outputs), None
        case "loss":
            if one.loss is None or other.loss is None:
                return None, None
            return relative(np.array(one.loss), np.array(other.loss)), None
        case "gradients":
            return _gradients(one, other)
        case _:
            if not (one.curve.size and other.curve.size):
                return None, None
            return relative(one.curve, other.curve), None


def _gradients(one: Figures, other: Figures) -> tuple[float | None, str | None]:
    """Return the largest difference of a gradient, relative to the largest gradient, and its name."""
    if not (one.gradients and other.gradients):
        return None, None
    distances = {
        name: distance(array, other.gradients[name]) for name, array in one.gradients.items()
    }
    where = max(distances, key=distances.__getitem__)
    largest = largest_gradient(one, other)
    return distances[where] / largest if distances[where] else 0.0, where


def distance(one: Array, other: Array) -> float:
    """Return the largest absolute difference; inf if either array has a NaN or an infinity."""
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return inf
    return float(np.abs(one.astype(np.float64) - other).max(initial=0.0))


def largest_gradient(*figures: Figures) -> float:
    """Return the largest gradient in magnitude, the scale of differences; 1 if all are 0."""
    found = [
        np.abs(array).max(initial=0.0) for each in figures for array in each.gradients.values()
    ]
    return float(max((value for value in found if isfinite(value)), default=0.0)) or 1.0


def _rounding(what: str, answer: Answer) -> float:
    """Return the difference between a mode's float32 and float64; 0 if it lacks float64."""
    if len(answer) < 2:
        return 0.0
    value, _ = _distance(what, answer["float32"], answer["float64"])
    return value if value is not None and isfinite(value) else 0.0
