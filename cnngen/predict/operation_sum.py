"""Model time and energy as a sum over operations: a cost per operation and a cost per work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cnngen.errors import CnnGenError
from cnngen.predict.examples import Target
from cnngen.predict.model_file import check_arrays
from cnngen.predict.predictor import Floats

COUNT_FEATURES = (
    *("convolutions", "norms", "dropouts", "poolings", "denses", "adds", "concats"),
    "padded_windows",
)
WORK_FEATURES = (
    *("convolution_work", "dense_work", "norm_work", "dropout_work", "pooling_work", "merge_work"),
    *("tanh_work", "selu_work", "gelu_work", "activations", "parameters"),
)
"""The features summed: counts of operations by kind, and their work, given as log2(1 + work)."""

SHORTEST = 1e-3
"""Fraction of the median figure; smaller figures are weighted as if they had this size."""


@dataclass(frozen=True)
class OperationSum:
    """A linear model: a constant, a cost per operation of each kind, and a cost per work.

    The coefficients (`shares`) are non-negative and minimise the squared relative error, in the
    manner of layer-wise regressions such as NeuralPower (Cai et al., ACML 2017). Unlike trees,
    the sum extrapolates beyond the largest network it was fitted on.
    """

    columns: Sequence[str]
    shares: Floats

    @staticmethod
    def applies_to(target: Target, columns: Sequence[str]) -> bool:
        """Whether the target is additive over operations and the columns hold all its terms."""
        features = {*COUNT_FEATURES, *WORK_FEATURES}
        return target in ("time", "energy") and features <= {*columns}

    @classmethod
    def of(cls, columns: Sequence[str], rows: Floats, figures: Floats) -> Self:
        """Fit a sum to rows (examples, columns) and their figures, which must not be negative."""
        from scipy.optimize import nnls

        terms = _terms(rows, columns)
        sizes = np.maximum(figures, max(SHORTEST * float(np.median(figures)), 1e-12))
        # Scale the terms to similar size: counts are a few, work is millions.
        largest = np.maximum(terms.max(0), 1e-12)
        shares, _ = nnls(terms / largest / sizes[:, None], figures / sizes)
        return cls(columns, shares / largest)

    def __call__(self, rows: Floats) -> Floats:
        """Return the figures of rows, in the target's unit: shape (rows,)."""
        return _terms(rows, self.columns) @ self.shares

    def arrays(self) -> Mapping[str, Floats]:
        """Return the arrays that `restored` reads."""
        return {"shares": self.shares}

    @classmethod
    def restored(cls, columns: Sequence[str], arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Restore a sum from a file. Raises `CnnGenError` if it is not valid."""
        check_arrays(arrays, {"shares": (1 + len(COUNT_FEATURES) + len(WORK_FEATURES),)})
        shares = arrays["shares"].astype(np.float64)
        if (shares < 0).any():
            raise CnnGenError("not a valid predictor file: the cost of an operation is negative")
        return cls(columns, shares)


def _terms(rows: Floats, columns: Sequence[str]) -> Floats:
    """Return the terms of the sum: shape (rows, terms); the first term is 1."""
    index = {name: at for at, name in enumerate(columns)}
    counts = rows[:, [index[name] for name in COUNT_FEATURES]]
    amounts = np.exp2(rows[:, [index[name] for name in WORK_FEATURES]]) - 1
    return np.hstack([np.ones((len(rows), 1)), counts, amounts])
