"""Run a study of a data set of trainings, from which its report is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnngen.errors import CnnGenError, counted, shorten
from cnngen.predict import TARGETS, Example, Target
from cnngen.predict.registry import get_predictor
from cnngen.report.fits import Fit, Task, curve_tasks, fit_all, known, tasks, unlike_tasks
from cnngen.report.importance import Importance, importance
from cnngen.report.search_history import SearchHistory
from cnngen.report.significance import Contest, contests
from cnngen.report.spread import Outcomes, Spread, p_of_equal_spreads, pareto
from cnngen.report.trainings import StudyData

if TYPE_CHECKING:
    from cnngen.network import Network

LEAST = 40
"""Fewest networks on which predictors are evaluated."""


@dataclass(frozen=True)
class StudyPlan:
    """The predictors, targets and number of splits of a study; splits have seeds 0, 1, 2 …

    Learning curves are drawn for the predictors in `curve` and the first target; None stands
    for the first predictor. Raises `CnnGenError` for an unknown predictor or target, and
    without targets.
    """

    predictors: Sequence[str] = ("trees",)
    targets: Sequence[Target] = ("accuracy", "energy")
    repeats: int = 10
    curve_repeats: int = 3
    curve: Sequence[str] | None = None

    def __post_init__(self) -> None:
        for name in (*self.predictors, *(self.curve or ())):
            get_predictor(name)
        if not self.targets:
            raise CnnGenError("a study needs a target", hint=f"Any of: {', '.join(TARGETS)}.")
        for target in self.targets:
            if target not in TARGETS:
                raise CnnGenError(
                    f"unknown target '{target}'", hint=f"One of: {', '.join(TARGETS)}."
                )

    def fits(self, examples: Sequence[Example]) -> list[Task]:
        """Return the tasks on random splits."""
        return tasks(self.predictors, self.targets, self.repeats) if self._known(examples) else []

    def unlike(self, examples: Sequence[Example]) -> list[Task]:
        """Return the tasks whose test networks differ systematically from the training ones."""
        if not self._known(examples):
            return []
        return unlike_tasks(self.predictors, self.targets, examples)

    def curves(self, examples: Sequence[Example]) -> list[Task]:
        """Return the tasks of the learning curves."""
        names = self.predictors[:1] if self.curve is None else self.curve
        return curve_tasks(names, self.targets[0], self.curve_repeats, self._known(examples))

    def all(self, examples: Sequence[Example]) -> list[Task]:
        """Return all tasks, in the order in which they are run."""
        return [*self.fits(examples), *self.unlike(examples), *self.curves(examples)]

    def _known(self, examples: Sequence[Example]) -> int:
        """Return how many trainings reached the first target; 0 if fewer than `LEAST`."""
        count = len(known(examples, self.targets[0]))
        return count if count >= LEAST else 0


@dataclass(frozen=True, repr=False)
class Study:
    """The results of a study.

    `beside` are the trainings to compare with, and `beside_p` the p value of equal spread of
    the accuracies in both. `front` are row positions of the Pareto front, by rising energy.
    `shown` are the networks to draw, with their accuracies, as "best", "median" and "worst".
    """

    data: StudyData
    beside: StudyData | None
    plan: StudyPlan
    outcomes: Outcomes
    spreads: dict[str, Spread]
    beside_spread: Spread | None
    beside_outcomes: Outcomes | None
    beside_p: float | None
    front: list[int]
    shown: dict[str, tuple[Network, float]]
    fits: list[Fit]
    contests: list[Contest]
    unlike: list[Fit]
    curves: list[Fit]
    importance: list[Importance]
    searches: list[SearchHistory] = field(default_factory=list)

    def __repr__(self) -> str:
        trainings = counted(len(self.data), "training")
        return f"<Study of {shorten(self.data.name)}: {trainings}, {len(self.fits)} fits>"

    def figures(self) -> dict[str, object]:
        """Return all figures as JSON-compatible values."""
        table = self.data.table
        front = table.iloc[self.front][["test_accuracy", "energy_total_energy", "parameters"]]
        whole: dict[str, object] = {
            "source": self.data.name,
            "networks": len(self.data),
            "energy_is_measured": self.data.energy_is_measured,
            "seeds": list(range(self.plan.repeats)),
            "outcomes": asdict(self.outcomes),
            "spreads": {name: asdict(spread) for name, spread in self.spreads.items()},
            "beside": None
            if self.beside is None
            else {
                "source": self.beside.name,
                "accuracy": self.beside_spread and asdict(self.beside_spread),
                "outcomes": self.beside_outcomes and asdict(self.beside_outcomes),
                "p_of_equal_spreads": self.beside_p,
            },
            "pareto_front": [
                {"key": str(key), **row}
                for key, row in zip(front.index, front.to_dict("records"), strict=True)
            ],
            "shown": {what: network.id for what, (network, _) in self.shown.items()},
            "fits": [asdict(fit) for fit in self.fits],
            "contests": [asdict(contest) for contest in self.contests],
            "unlike": [asdict(fit) for fit in self.unlike],
            "learning_curves": [asdict(fit) for fit in self.curves],
            "importance": [asdict(one) for one in self.importance],
            "searches": [asdict(one) for one in self.searches],
        }
        return {name: _finite(value) for name, value in whole.items()}


SPREADS = {
    "accuracy": ("test_accuracy", 1.0),
    "layers": ("layers", 1.0),
    "parameters": ("parameters", 1.0),
    "flops": ("flops", 1.0),
    "seconds": ("train_seconds", 1.0),
    "energy_mwh": ("energy_total_energy", 1e6),
}
"""The column of each spread, and the factor applied to it."""


def study(
    data: StudyData,
    plan: StudyPlan | None = None,
    *,
    folder: str | Path,
    beside: StudyData | None = None,
    searches: Sequence[SearchHistory] = (),
    on_fit: Callable[[Task], None] | None = None,
) -> Study:
    """Study trainings: the distribution of their figures, and how well predictors predict them.

    `beside` are other trainings whose accuracies are compared with these, `searches` the histories of
    searches among them. Fits are kept in
    `folder` and reused; `on_fit` is called before each. Raises `CnnGenError` if a predictor is
    unknown or lacks a package.
    """
    plan = plan or StudyPlan()
    folder, examples = Path(folder), data.examples
    table = data.table
    spreads = {
        name: Spread.of(data.numbers(column) * factor)
        for name, (column, factor) in SPREADS.items()
        if len(data.numbers(column))
    }
    both = table[["test_accuracy", "energy_total_energy"]].to_numpy()
    complete = np.flatnonzero(~np.isnan(both).any(axis=1))
    front = pareto(both[complete, 0].tolist(), both[complete, 1].tolist())
    fits = fit_all(examples, plan.fits(examples), folder, on_fit)
    accuracies = np.asarray(data.numbers("test_accuracy"), np.float64)
    other = None if beside is None else beside.numbers("test_accuracy")
    return Study(
        data,
        beside,
        plan,
        Outcomes.of(data),
        spreads,
        None if other is None or not len(other) else Spread.of(other),
        None if beside is None else Outcomes.of(beside),
        None if other is None else p_of_equal_spreads(accuracies, np.asarray(other, np.float64)),
        [int(complete[i]) for i in front],
        _shown(data),
        fits,
        contests(fits),
        fit_all(examples, plan.unlike(examples), folder, on_fit),
        fit_all(examples, plan.curves(examples), folder, on_fit),
        importance(examples, plan.targets[0]) if fits and "trees" in plan.predictors else [],
        list(searches),
    )


def _shown(data: StudyData) -> dict[str, tuple[Network, float]]:
    """Return the best, the median and the worst successful network, with their accuracies."""
    ranked = sorted(
        (
            (accuracy, example.network)
            for example in data.examples
            if (accuracy := example.targets["accuracy"]) is not None and example.status == "ok"
        ),
        key=lambda pair: (pair[0], pair[1].id),
    )
    if not ranked:
        return {}
    ranks = {"best": -1, "median": len(ranked) // 2, "worst": 0}
    return {what: (ranked[at][1], ranked[at][0]) for what, at in ranks.items()}


def _finite(value: object) -> object:
    """Replace NaN and infinity by None."""
    match value:
        case dict():
            return {name: _finite(inner) for name, inner in value.items()}
        case list():
            return [_finite(inner) for inner in value]
        case float():
            return value if isfinite(value) else None
        case _:
            return value
