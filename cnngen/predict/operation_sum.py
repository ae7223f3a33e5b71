"""Time and energy as sums over operations: so much for each of a kind, so much for its work."""

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

COUNTS = (
    *("convolutions", "norms", "dropouts", "poolings", "denses", "adds", "concats"),
    "padded_windows",
)
WORK = (
    *("convolution_work", "dense_work", "norm_work", "dropout_work", "pooling_work", "merge_work"),
    *("tanh_work", "selu_work", "gelu_work", "activations", "parameters"),
)
"""Features that are summed: operations of a kind as they are, and work as log2(1 + work)."""

SHORTEST = 1e-3
"""Of the median: figures below weigh no more than this one."""


@dataclass(frozen=True)
class Work:
    """A figure as a constant, a share for each operation of a kind, and one for its work.

    No share is below 0. They are those with the least squared relative error, in the manner of
    regressions on layers such as NeuralPower (Cai et al., ACML 2017). Unlike trees, a sum goes
    on beyond the largest network it was fitted on.
    """

    columns: Sequence[str]
    shares: Floats

    @staticmethod
    def tells(target: Target, columns: Sequence[str]) -> bool:
        """Whether a target is such a sum, and the columns have what it is a sum of."""
        return target in ("time", "energy") and {*COUNTS, *WORK} <= {*columns}

    @classmethod
    def of(cls, columns: Sequence[str], rows: Floats, figures: Floats) -> Self:
        """The sum for rows (examples, columns) with their figures, which are not below 0."""
        from scipy.optimize import nnls

        terms = _terms(rows, columns)
        sizes = np.maximum(figures, max(SHORTEST * float(np.median(figures)), 1e-12))
        # Terms of a like size: counts are a few, work is millions.
        largest = np.maximum(terms.max(0), 1e-12)
        shares, _ = nnls(terms / largest / sizes[:, None], figures / sizes)
        return cls(columns, shares / largest)

    def __call__(self, rows: Floats) -> Floats:
        """The figures of rows, in the target's unit: shape (rows,)."""
        return _terms(rows, self.columns) @ self.shares

    def arrays(self) -> Mapping[str, Floats]:
        """What `restored` reads."""
        return {"shares": self.shares}

    @classmethod
    def restored(cls, columns: Sequence[str], arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """A sum from a file. Raises `CnnGenError` where it is none."""
        check_arrays(arrays, {"shares": (1 + len(COUNTS) + len(WORK),)})
        shares = arrays["shares"].astype(np.float64)
        if (shares < 0).any():
            raise CnnGenError("a saved predictor has an operation that takes less than nothing")
        return cls(columns, shares)


def _terms(rows: Floats, columns: Sequence[str]) -> Floats:
    """What the shares are of: shape (rows, terms), the first of which is 1."""
    place = {name: at for at, name in enumerate(columns)}
    counts = rows[:, [place[name] for name in COUNTS]]
    work = np.exp2(rows[:, [place[name] for name in WORK]]) - 1
    return np.hstack([np.ones((len(rows), 1)), counts, work])
