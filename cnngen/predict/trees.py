"""Gradient-boosted trees on the features of a network."""

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
from cnngen.predict.boosting import choose, grow, unseen
from cnngen.predict.calibration import Calibration
from cnngen.predict.examples import Example, Target
from cnngen.predict.forest import Forest
from cnngen.predict.model_file import State
from cnngen.predict.operation_sum import Work
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
    """Boosted trees on whatever numbers a subclass reads from networks.

    `bags` sums of trees from different random numbers are averaged. Their size is chosen by
    cross-validation over `folds`, which also tells how far off they are. Of time and energy
    they learn by how much `Work` is off on networks that it was not fitted on.
    """

    bags: int = 3
    folds: int = 5
    seed: int = 0

    forest_: Forest = field(init=False, repr=False)
    calibration_: Calibration = field(init=False, repr=False)
    scale_: Scale = field(init=False, repr=False)
    work_: Work | None = field(init=False, repr=False)

    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """What the numbers of a row are called."""

    @abstractmethod
    def rows(self, networks: Sequence[Network]) -> Floats:
        """Finite numbers: shape (networks, columns)."""

    def fit(
        self, examples: Sequence[Example], target: Target, validation: Sequence[Example] = ()
    ) -> Self:
        networks, figures = with_target([*examples, *validation], target, LEAST)
        rows = self.rows(networks)
        self.scale_ = Scale.of(target, figures)
        wanted = self.scale_.scaled(figures)
        self.work_ = None
        if Work.tells(target, self.columns()):
            fit = partial(Work.of, self.columns())
            self.work_ = fit(rows, figures)
            work = unseen(fit, rows, figures, self.folds, self.seed)
            wanted = wanted - self.scale_.scaled(work)
        growth, said = choose(rows, wanted, self.folds, self.seed)
        self.forest_ = grow(rows, wanted, growth, self.seed, self.bags)
        self.calibration_ = Calibration.of(rows, np.abs(said - wanted), self.seed)
        self.target_ = target
        return self

    def predict(self, networks: Sequence[Network]) -> Prediction:
        check_fitted(self)
        return self.predict_rows(self.rows(networks))

    def predict_rows(self, rows: Floats) -> Prediction:
        """Predictions for networks whose numbers are known."""
        mean = self.forest_(rows)
        if self.work_ is not None:
            mean = mean + self.scale_.scaled(self.work_(rows))
        return in_unit(self.scale_, mean, *self.calibration_.spread(rows))

    def state(self) -> State:
        calibration = self.calibration_.state()
        work = {} if self.work_ is None else self.work_.arrays()
        return State(
            {
                "columns": self.columns(),
                "calibration": calibration.values,
                "scale": self.scale_.values(),
            },
            {
                **{f"forest/{name}": array for name, array in self.forest_.arrays().items()},
                **{f"calibration/{name}": array for name, array in calibration.arrays.items()},
                **{f"work/{name}": array for name, array in work.items()},
            },
        )

    def restore(self, state: State) -> None:
        columns = self.columns()
        if state.values.get("columns") != list(columns):
            raise CnnGenError(
                f"this predictor '{self.name}' was saved by another version, which reads other "
                "features",
                hint="Fit it anew: cnngen predict --fit FOLDER -o MODEL",
            )
        values = state.values.get("calibration")
        if not isinstance(values, dict):
            raise CnnGenError("a saved predictor lacks its calibration")
        self.scale_ = Scale.restored(self.target_, state.values.get("scale"))
        self.forest_ = Forest.restored(state.inside("forest"), len(columns))
        self.calibration_ = Calibration.restored(
            State(values, state.inside("calibration")), len(columns)
        )
        self.work_ = None
        if Work.tells(self.target_, columns):
            self.work_ = Work.restored(columns, state.inside("work"))


def in_unit(scale: Scale, mean: Floats, std: Floats, half: Floats) -> Prediction:
    """A prediction in the target's unit, from one without a unit.

    Of what is 1 or 0, the mean is the probability p of a 1, so that the deviation is
    sqrt(p (1 - p)), and the interval has both unless one of them is as sure as `LEVEL`.
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
    """Boosted trees on `cnngen.predict.features`. Nothing is run, no framework is needed."""

    name = "trees"

    def columns(self) -> tuple[str, ...]:
        return features.names()

    def rows(self, networks: Sequence[Network]) -> Floats:
        return features.table(networks)
