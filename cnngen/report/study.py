"""The whole study of a data set of trainings: what its report is written from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnngen.errors import CnnGenError, counted, shorten
from cnngen.predict import TARGETS, Example, Target
from cnngen.predict.registry import get_predictor
from cnngen.report.fits import Fit, Task, curve_tasks, fit_all, known, tasks, unlike_tasks
from cnngen.report.importance import Importance, importance
from cnngen.report.significance import Contest, contests
from cnngen.report.spread import Outcomes, Spread, p_of_equal_spreads, pareto
from cnngen.report.trainings import Material

if TYPE_CHECKING:
    from cnngen.network import Network

LEAST = 40
"""Fewest networks from which predictors are judged."""


@dataclass(frozen=True)
class Plan:
    """What of a study is asked for. Splits have the seeds 0, 1, 2 …

    Learning curves are those of the predictors in `curve`, the first one if it is None, for
    the first target.
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
                    f"there is no target '{target}'", hint=f"One of: {', '.join(TARGETS)}."
                )

    def fits(self, examples: Sequence[Example]) -> list[Task]:
        """The fits that predictors are judged by."""
        return tasks(self.predictors, self.targets, self.repeats) if self._known(examples) else []

    def unlike(self, examples: Sequence[Example]) -> list[Task]:
        """The fits that are judged by networks unlike those learnt from."""
        if not self._known(examples):
            return []
        return unlike_tasks(self.predictors, self.targets, examples)

    def curves(self, examples: Sequence[Example]) -> list[Task]:
        """The fits of the learning curves."""
        names = self.predictors[:1] if self.curve is None else self.curve
        return curve_tasks(names, self.targets[0], self.curve_repeats, self._known(examples))

    def all(self, examples: Sequence[Example]) -> list[Task]:
        """All fits, in the order in which they are made."""
        return [*self.fits(examples), *self.unlike(examples), *self.curves(examples)]

    def _known(self, examples: Sequence[Example]) -> int:
        """How many trainings reached the first target; 0 where they are too few to judge by."""
        count = len(known(examples, self.targets[0]))
        return count if count >= LEAST else 0


@dataclass(frozen=True, repr=False)
class Study:
    """Everything that was found. `beside_p` is the p of the hypothesis that accuracies are
    spread alike in the runs beside. `front` are positions of rows, from the least energy on;
    `shown` are networks to be drawn, by what they are."""

    material: Material
    beside: Material | None
    plan: Plan
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

    def __repr__(self) -> str:
        trainings = counted(len(self.material), "training")
        return f"<Study of {shorten(self.material.name)}: {trainings}, {len(self.fits)} fits>"

    def figures(self) -> dict[str, object]:
        """All figures, as JSON can hold them."""
        table = self.material.table
        front = table.iloc[self.front][["test_accuracy", "energy_total_energy", "parameters"]]
        whole: dict[str, object] = {
            "source": self.material.name,
            "networks": len(self.material),
            "energy_is_measured": self.material.energy_is_measured,
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
"""Of each spread: its column, and what that is multiplied by."""


def study(
    material: Material,
    plan: Plan | None = None,
    *,
    folder: str | Path,
    beside: Material | None = None,
    on_fit: Callable[[Task], None] | None = None,
) -> Study:
    """Study trainings: how their figures are spread, and how well predictors tell them.

    Fits are kept in `folder` and not made again; `on_fit` is told before each. Raises
    `CnnGenError` where a predictor is unknown or lacks what it needs.
    """
    plan = plan or Plan()
    folder, examples = Path(folder), material.examples
    table = material.table
    spreads = {
        name: Spread.of(material.numbers(column) * factor)
        for name, (column, factor) in SPREADS.items()
        if len(material.numbers(column))
    }
    both = table[["test_accuracy", "energy_total_energy"]].to_numpy()
    places = np.flatnonzero(~np.isnan(both).any(axis=1))
    front = pareto(both[places, 0].tolist(), both[places, 1].tolist())
    fits = fit_all(examples, plan.fits(examples), folder, on_fit)
    accuracies = np.asarray(material.numbers("test_accuracy"), np.float64)
    other = None if beside is None else beside.numbers("test_accuracy")
    return Study(
        material,
        beside,
        plan,
        Outcomes.of(material),
        spreads,
        None if other is None or not len(other) else Spread.of(other),
        None if beside is None else Outcomes.of(beside),
        None if other is None else p_of_equal_spreads(accuracies, np.asarray(other, np.float64)),
        [int(places[i]) for i in front],
        _shown(material),
        fits,
        contests(fits),
        fit_all(examples, plan.unlike(examples), folder, on_fit),
        fit_all(examples, plan.curves(examples), folder, on_fit),
        importance(examples, plan.targets[0]) if fits and "trees" in plan.predictors else [],
    )


def _shown(material: Material) -> dict[str, tuple[Network, float]]:
    """The best network, the median one and the worst that ended well, with their accuracies."""
    ranked = sorted(
        (
            (accuracy, example.network)
            for example in material.examples
            if (accuracy := example.targets["accuracy"]) is not None and example.status == "ok"
        ),
        key=lambda pair: (pair[0], pair[1].id),
    )
    if not ranked:
        return {}
    places = {"best": -1, "median": len(ranked) // 2, "worst": 0}
    return {what: (ranked[at][1], ranked[at][0]) for what, at in places.items()}


def _finite(value: object) -> object:
    """The same with null for what is no finite number."""
    match value:
        case dict():
            return {name: _finite(inner) for name, inner in value.items()}
        case list():
            return [_finite(inner) for inner in value]
        case float():
            return value if isfinite(value) else None
        case _:
            return value
