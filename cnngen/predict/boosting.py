"""Fit gradient-boosted trees with LightGBM and choose their size by cross-validation."""

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
"""Fits a model to rows and targets; returns a function from other rows to predictions."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How trees are grown: number of trees, leaves per tree, learning rate, and the fewest
    examples in a leaf."""

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
"""The candidates for cross-validation."""


def grow(rows: Floats, wanted: Floats, growth: Growth, seed: int = 0, bags: int = 1) -> Forest:
    """Fit `bags` boosters to rows (examples, columns), each with its own seed; return their mean."""
    return Forest.of([_booster(rows, wanted, growth, seed + bag) for bag in range(bags)])


def out_of_fold(fit: Fit, rows: Floats, wanted: Floats, folds: int, seed: int) -> Floats:
    """Predict each example with a model fitted on the other folds: shape (examples,)."""
    predicted = np.empty(len(wanted))
    for train, held_out in _folds(len(wanted), folds, seed):
        predicted[held_out] = fit(rows[train], wanted[train])(rows[held_out])
    return predicted


def cross_validated(rows: Floats, wanted: Floats, growth: Growth, folds: int, seed: int) -> Floats:
    """Predict each example with trees grown on the other folds: shape (examples,)."""

    def fit(rows: Floats, wanted: Floats) -> Callable[[Floats], Floats]:
        booster = _booster(rows, wanted, growth, seed)
        return lambda others: np.asarray(booster.predict(others, num_threads=1), np.float64)

    return out_of_fold(fit, rows, wanted, folds, seed)


def choose(rows: Floats, wanted: Floats, folds: int, seed: int) -> tuple[Growth, Floats]:
    """Choose the growth with the least cross-validated mean squared error.

    Returns it with its out-of-fold predictions, of shape (examples,).
    """
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
        # With so few rows, more threads would spend their time waiting for each other.
        "num_threads": 1,
        "verbose": -1,
    }
    data = lightgbm.Dataset(rows, wanted, params={"verbose": -1, "num_threads": 1})
    return lightgbm.train(settings, data, growth.trees)


def _folds(count: int, folds: int, seed: int) -> Iterator[tuple[Positions, Positions]]:
    """Yield the training and held-out positions of each fold; each position is held out once."""
    order = np.random.default_rng(seed).permutation(count)
    for fold in range(folds):
        held_out = order[fold::folds]
        yield np.setdiff1d(order, held_out), np.sort(held_out)
