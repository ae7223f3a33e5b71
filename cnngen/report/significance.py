"""Test whether one predictor is better than another, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from typing import Literal

import numpy as np

from cnngen.comparison.statistics import holm
from cnngen.predict import Target
from cnngen.predict.predictor import Floats
from cnngen.report.fits import Fit

Measure = Literal["tau", "mae"]

TEST_OVER_TRAIN = 0.25
"""Ratio of test networks to training networks: 20 to 80 %."""


@dataclass(frozen=True, slots=True)
class Contest:
    """Two predictors compared over the same splits.

    `p` is that of Mann and Whitney's two-sided test (1947), as in the paper; `adjusted` is the
    same after Holm's correction over all contests of a study. `delta` is Cliff's delta (1993),
    from -1 to 1: the fraction of pairs of repeats in which the first has the larger figure,
    minus the fraction in which the second has. `corrected` is the p of Nadeau and Bengio's
    paired t-test (2003), which accounts for the networks that repeated splits share; Mann and
    Whitney's test assumes independence.
    """

    target: Target
    measure: Measure
    first: str
    second: str
    p: float
    adjusted: float
    delta: float
    corrected: float


def contests(fits: Sequence[Fit]) -> list[Contest]:
    """Compare all pairs of predictors, for each target, by tau and by MAE."""
    from scipy.stats import mannwhitneyu

    found: list[tuple[Target, Measure, str, str, float, float, float]] = []
    measures: tuple[Measure, ...] = ("tau", "mae")
    for target in dict.fromkeys(fit.target for fit in fits):
        for measure in measures:
            by = figures(fits, target, measure)
            for first, second in combinations(by, 2):
                a, b = by[first], by[second]
                if len(a) < 2 or len(b) < 2:
                    continue
                tested = mannwhitneyu(a, b, alternative="two-sided")
                delta = 2 * float(tested.statistic) / (len(a) * len(b)) - 1
                found.append(
                    (target, measure, first, second, float(tested.pvalue), delta, corrected(a, b))
                )
    adjusted = holm([p for *_, p, _, _ in found])
    return [
        Contest(target, measure, first, second, p, held, delta, paired)
        for (target, measure, first, second, p, delta, paired), held in zip(
            found, adjusted, strict=True
        )
    ]


def figures(fits: Sequence[Fit], target: Target, measure: Measure) -> dict[str, Floats]:
    """Return the figures of each predictor, in the order of the seeds.

    Tau counts as 0 if all predictions are equal.
    """
    by: dict[str, list[tuple[int, float]]] = {}
    for fit in fits:
        if fit.target == target:
            by.setdefault(fit.predictor, []).append((fit.seed, getattr(fit, measure)))
    return {
        name: np.nan_to_num(np.array([figure for _, figure in sorted(own)], np.float64))
        for name, own in by.items()
    }


def corrected(a: Floats, b: Floats) -> float:
    """Return the two-sided p of the corrected resampled t-test over paired splits.

    NaN if the numbers of splits differ.
    """
    from scipy.stats import t

    if len(a) != len(b):
        return float("nan")
    differences = a - b
    variance = float(differences.var(ddof=1)) * (1 / len(a) + TEST_OVER_TRAIN)
    if variance == 0:
        return float(differences.mean() == 0)
    return float(2 * t.sf(abs(float(differences.mean())) / sqrt(variance), len(a) - 1))
