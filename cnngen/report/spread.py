"""Summarise the distribution of figures over networks, and find Pareto fronts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cnngen.predict.examples import trainability
from cnngen.predict.predictor import Floats
from cnngen.report.trainings import StudyData

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Spread:
    """Quantiles and moments of figures; `spread` is the standard deviation."""

    count: int
    least: float
    quarter: float
    median: float
    three_quarters: float
    most: float
    mean: float
    spread: float

    @classmethod
    def of(cls, figures: Floats | pd.Series[float]) -> Spread:
        """Return the spread of figures, of which there must be at least one."""
        values = np.asarray(figures, np.float64)
        least, low, middle, high, most = np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist()
        mean, spread = float(values.mean()), float(values.std())
        return cls(len(values), least, low, middle, high, most, mean, spread)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How trainings ended.

    `statuses` counts trainings by status. `at_chance` is the number that succeeded but did not
    exceed chance, `above_90` the number with a test accuracy above 90 %.
    """

    count: int
    statuses: dict[str, int]
    at_chance: int
    above_90: int

    @classmethod
    def of(cls, data: StudyData) -> Outcomes:
        """Count the outcomes of trainings."""
        table = data.table
        learnt = [
            trainability(
                row["status"],
                None if np.isnan(row["test_accuracy"]) else row["test_accuracy"],
                max(1, int(np.nan_to_num(row["data_classes"], nan=10))),
                np.nan_to_num(row["data_images"] * row["protocol_test_share"], nan=200.0),
            )
            for row in table.to_dict("records")
        ]
        ended = table["status"] == "ok"
        return cls(
            len(table),
            {status: count for (status,), count in data.counts("status").items()},
            int((ended & (np.array(learnt) == 0)).sum()),
            int((table["test_accuracy"] > 0.9).sum()),
        )


def p_of_equal_spreads(some: Floats, others: Floats) -> float:
    """Return the p of Brown and Forsythe's test (1974) that two sets have equal spread.

    No distribution is assumed. NaN for fewer than two figures in either set.
    """
    from scipy.stats import levene

    if min(len(some), len(others)) < 2:
        return float("nan")
    return float(levene(some, others, center="median").pvalue)


def pareto(gains: Sequence[float], costs: Sequence[float]) -> list[int]:
    """Return the positions of the Pareto front of high gains and low costs, by rising cost."""
    order = sorted(range(len(gains)), key=lambda i: (costs[i], -gains[i]))
    front: list[int] = []
    for i in order:
        if not front or gains[i] > gains[front[-1]]:
            front.append(i)
    return front
