"""The `trees` predictor, and the base class of predictors by boosted trees."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Self

import numpy as np

from cnngen.errors import CnnGenError
from cnngen.network import Network
from cnngen.predict import features
from cnngen.predict.boosting import choose, grow, out_of_fold
from cnngen.predict.calibration import Calibration
from cnngen.predict.examples import Example, Target
from cnngen.predict.forest import Forest
from cnngen.predict.model_file import State
from cnngen.predict.operation_sum import OperationSum
from cnngen.predict.predictor import (
    LEVEL,
    Floats,
    Prediction,
    Predictor,
    check_fitted,
    with_target,
)
from cnngen.predict.target_scale import Scale

LEAST = 20
"""Fewest examples that trees can be grown on."""


@dataclass
class RowPredictor(Predictor):
    """Boosted trees on numbers that a subclass computes from networks.

    `bags` boosters with different seeds are averaged. Their size is chosen by cross-validation
    over `folds` folds, whose errors also calibrate the uncertainty. For time and energy, the
    trees learn the out-of-fold residuals of an `OperationSum`.
    """

    bags: int = 3
    folds: int = 5
    seed: int = 0

    forest_: Forest = field(init=False, repr=False)
    calibration_: Calibration = field(init=False, repr=False)
    scale_: Scale = field(init=False, repr=False)
    operation_sum_: OperationSum | None = field(init=False, repr=False)

    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns."""

    @abstractmethod
    def rows(self, networks: Sequence[Network]) -> Floats:
        """Return finite numbers for networks: shape (networks, columns)."""

    def fit(
        self, examples: Sequence[Example], target: Target, validation: Sequence[Example] = ()
    ) -> Self:
        networks, figures = with_target([*examples, *validation], target, LEAST)
        rows = self.rows(networks)
        self.scale_ = Scale.of(target, figures)
        wanted = self.scale_.scaled(figures)
        self.operation_sum_ = None
        if OperationSum.applies_to(target, self.columns()):
            fit = partial(OperationSum.of, self.columns())
            self.operation_sum_ = fit(rows, figures)
            sums = out_of_fold(fit, rows, figures, self.folds, self.seed)
            wanted = wanted - self.scale_.scaled(sums)
        growth, predicted = choose(rows, wanted, self.folds, self.seed)
        self.forest_ = grow(rows, wanted, growth, self.seed, self.bags)
        self.calibration_ = Calibration.of(rows, np.abs(predicted - wanted), self.seed)
        self.target_ = target
        return self

    def predict(self, networks: Sequence[Network]) -> Prediction:
        check_fitted(self)
        return self.predict_rows(self.rows(networks))

    def predict_rows(self, rows: Floats) -> Prediction:
        """Predict from rows (networks, columns) that were computed before."""
        mean = self.forest_(rows)
        if self.operation_sum_ is not None:
            mean = mean + self.scale_.scaled(self.operation_sum_(rows))
        return in_unit(self.scale_, mean, *self.calibration_.spread(rows))

    def state(self) -> State:
        calibration = self.calibration_.state()
        sums = {} if self.operation_sum_ is None else self.operation_sum_.arrays()
        return State(
            {
                "columns": self.columns(),
                "calibration": calibration.values,
                "scale": self.scale_.values(),
            },
            {
                **{f"forest/{name}": array for name, array in self.forest_.arrays().items()},
                **{f"calibration/{name}": array for name, array in calibration.arrays.items()},
                **{f"work/{name}": array for name, array in sums.items()},
            },
        )

    def restore(self, state: State) -> None:
        columns = self.columns()
        if state.values.get("columns") != list(columns):
            raise CnnGenError(
                f"the predictor '{self.name}' was saved by a version with other features",
                hint="Fit it again: cnngen predict --fit FOLDER -o MODEL",
            )
        values = state.values.get("calibration")
        if not isinstance(values, dict):
            raise CnnGenError("not a valid predictor file: its calibration is missing")
        self.scale_ = Scale.restored(self.target_, state.values.get("scale"))
        self.forest_ = Forest.restored(state.inside("forest"), len(columns))
        self.calibration_ = Calibration.restored(
            State(values, state.inside("calibration")), len(columns)
        )
        self.operation_sum_ = None
        if OperationSum.applies_to(self.target_, columns):
            self.operation_sum_ = OperationSum.restored(columns, state.inside("work"))


def in_unit(scale: Scale, mean: Floats, std: Floats, half: Floats) -> Prediction:
    """Convert mean, deviation and half the interval's width to a prediction in the target's unit.

    For a target that is 1 or 0, the mean is the probability p of a 1. The deviation is then
    sqrt(p (1 - p)), and the interval contains both values unless one has a probability of at
    least `LEVEL`.
    """
    unit = scale.in_unit
    if scale.target == "trainability":
        p = unit(mean)
        sure = (p >= LEVEL).astype(np.float64), (p > 1 - LEVEL).astype(np.float64)
        return Prediction(p, np.sqrt(p * (1 - p)), sure)
    return Prediction(
        unit(mean),
        (unit(mean + std) - unit(mean - std)) / 2,
        (unit(mean - half), unit(mean + half)),
    )


@dataclass
class Trees(RowPredictor):
    """Boosted trees on `cnngen.predict.features`. Needs no framework and runs no network."""

    name = "trees"

    def columns(self) -> tuple[str, ...]:
        return features.names()

    def rows(self, networks: Sequence[Network]) -> Floats:
        return features.table(networks)
