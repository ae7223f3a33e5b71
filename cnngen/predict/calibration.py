"""Estimate the error of predictions, by conformal prediction on cross-validated errors."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Self

import numpy as np

from cnngen.errors import CnnGenError
from cnngen.predict.boosting import Growth, cross_validated, grow
from cnngen.predict.forest import Forest
from cnngen.predict.model_file import State
from cnngen.predict.predictor import LEVEL, Floats

FAINT = Growth(100, 4, 0.03, 25)
"""Few small trees, since the pattern in the errors is weak and the noise large."""


@dataclass(frozen=True)
class Calibration:
    """The expected size of an error as a function of a row, and the spread around it.

    `std` is the root mean square of errors in units of their expected size; `half` is the size
    that a fraction `LEVEL` of them does not exceed. This is normalised conformal prediction
    (Lei et al., "Distribution-Free Predictive Inference for Regression", JASA 2018) with errors
    from cross-validation (Barber et al., "Predictive Inference with the Jackknife+", 2021).
    """

    expected: Forest
    std: float
    half: float

    @classmethod
    def of(cls, rows: Floats, errors: Floats, seed: int = 0) -> Self:
        """Calibrate on absolute errors, of shape (rows,), of out-of-fold predictions."""
        # The logarithm of an error of 0 would be infinite.
        sizes = np.log(np.maximum(errors, 1e-3 * max(1e-9, float(errors.mean()))))
        units = errors / np.exp(cross_validated(rows, sizes, FAINT, 5, seed))
        rank = min(len(units), ceil((len(units) + 1) * LEVEL))
        return cls(
            grow(rows, sizes, FAINT, seed),
            float(np.sqrt((units**2).mean())),
            float(np.sort(units)[rank - 1]),
        )

    def spread(self, rows: Floats) -> tuple[Floats, Floats]:
        """Return the standard deviation and half the interval's width for each row."""
        expected = np.exp(np.clip(self.expected(rows), -30, 30))
        return expected * self.std, expected * self.half

    def state(self) -> State:
        """Return the values that `restored` reads."""
        return State({"std": self.std, "half": self.half}, self.expected.arrays())

    @classmethod
    def restored(cls, state: State, columns: int) -> Self:
        """Restore a calibration from a file. Raises `CnnGenError` if it is not valid."""
        factors = [state.values.get(name) for name in ("std", "half")]
        std, half = (
            factor if isinstance(factor, float) and 0 <= factor < np.inf else None
            for factor in factors
        )
        if std is None or half is None:
            raise CnnGenError("not a valid predictor file: its calibration is out of range")
        return cls(Forest.restored(state.arrays, columns), std, half)
