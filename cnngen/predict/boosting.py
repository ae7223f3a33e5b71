"""Gradient-boosted trees on rows of numbers: LightGBM, its settings chosen by cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cnngen.predict.forest import Forest
from cnngen.predict.predictor import Floats

if TYPE_CHECKING:
    from lightgbm import Booster

Positions = NDArray[np.intp]
Fit = Callable[[Floats, Floats], Callable[[Floats], Floats]]
"""Gives, from rows and what is wanted of them, what says it of other rows."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How trees are grown: how many, of how many leaves, each adding what share of its value,
    with at least how many examples in a leaf."""

    trees: int
    leaves: int
    rate: float
    least: int = 5


GROWTHS = (
    Growth(400, 6, 0.04),
    Growth(400, 12, 0.03),
    Growth(500, 24, 0.02),
    Growth(300, 12, 0.03, 15),
)
"""What cross-validation chooses among."""


def grow(rows: Floats, wanted: Floats, growth: Growth, seed: int = 0, bags: int = 1) -> Forest:
    """The mean of `bags` sums of trees on rows (examples, columns), each from its own seed."""
    return Forest.of([_booster(rows, wanted, growth, seed + bag) for bag in range(bags)])


def unseen(fit: Fit, rows: Floats, wanted: Floats, folds: int, seed: int) -> Floats:
    """For each example, what is said by what was fitted on the other folds."""
    said = np.empty(len(wanted))
    for learnt, asked in _folds(len(wanted), folds, seed):
        said[asked] = fit(rows[learnt], wanted[learnt])(rows[asked])
    return said


def cross_validated(rows: Floats, wanted: Floats, growth: Growth, folds: int, seed: int) -> Floats:
    """For each example, what trees say that were grown on the other folds."""

    def fit(rows: Floats, wanted: Floats) -> Callable[[Floats], Floats]:
        booster = _booster(rows, wanted, growth, seed)
        return lambda asked: np.asarray(booster.predict(asked, num_threads=1), np.float64)

    return unseen(fit, rows, wanted, folds, seed)


def choose(rows: Floats, wanted: Floats, folds: int, seed: int) -> tuple[Growth, Floats]:
    """The growth with the smallest mean squared error over folds, and its predictions there."""
    tried = [(growth, cross_validated(rows, wanted, growth, folds, seed)) for growth in GROWTHS]
    return min(tried, key=lambda one: float(((one[1] - wanted) ** 2).mean()))


def _booster(rows: Floats, wanted: Floats, growth: Growth, seed: int) -> Booster:
    import lightgbm

    settings = {
        "objective": "l2",
        "num_leaves": growth.leaves,
        "learning_rate": growth.rate,
        "min_data_in_leaf": max(1, min(growth.least, len(wanted) // 10)),
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "feature_fraction": 0.3,
        "lambda_l2": 1.0,
        "max_depth": 12,
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        # More threads wait for each other on so few rows.
        "num_threads": 1,
        "verbose": -1,
    }
    data = lightgbm.Dataset(rows, wanted, params={"verbose": -1, "num_threads": 1})
    return lightgbm.train(settings, data, growth.trees)


def _folds(count: int, folds: int, seed: int) -> Iterator[tuple[Positions, Positions]]:
    """Positions to learn from and to ask about; each is asked about once."""
    order = np.random.default_rng(seed).permutation(count)
    for fold in range(folds):
        asked = order[fold::folds]
        yield np.setdiff1d(order, asked), np.sort(asked)
