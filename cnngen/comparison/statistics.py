"""How sure a ratio of two modes is: bootstrap intervals, a paired test, a correction for many.

What is compared are pairs: the same network, trained with the same seed in both modes. A pair
is the difference of the two logarithms, so that the mean over pairs is the logarithm of the
geometric mean of the ratios. Pairs come in groups, one for each network, and each network
weighs the same however often it was trained.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pairs = npt.NDArray[np.float64]
"""Differences of logarithms, one for each pair: (pairs,)."""

RESAMPLES = 9_999
"""Samples that the bootstrap draws."""

SIGNS = 99_999
"""Most choices of signs that the test tries: all that there are, up to 16 pairs."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A ratio and the ends of its confidence interval."""

    ratio: float
    low: float
    high: float

    @property
    def excludes_one(self) -> bool:
        """Whether a ratio of 1, no difference, lies outside."""
        return self.low > 1 or self.high < 1


def interval(groups: Sequence[Pairs], *, confidence: float = 0.95, seed: int = 0) -> Interval:
    """The geometric mean of the ratios, and its BCa bootstrap interval (Efron, 1987).

    Pairs are drawn again within their group, by `scipy.stats.bootstrap`. The bootstrap is too
    narrow for few pairs; it is widened as Hesterberg (2015, "What teachers should know about
    the bootstrap", section 5.3) does by taking quantiles further out. Each group needs two
    pairs. Raises `ValueError` for fewer.
    """
    from scipy.stats import DegenerateDataWarning, bootstrap

    if not groups or min(map(len, groups)) < 2:
        raise ValueError("an interval needs groups of at least two pairs")
    mean = float(_mean_of_means(*groups))
    level = _widened(groups, confidence)
    if level is None:  # no pair differs from another in its group
        return Interval(*[math.exp(mean)] * 3)
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", DegenerateDataWarning)
        found = bootstrap(
            groups,
            _mean_of_means,
            confidence_level=level,
            n_resamples=RESAMPLES,
            method="BCa",
            vectorized=True,
            random_state=np.random.default_rng(seed),
        ).confidence_interval
    # Where nearly all pairs are equal, BCa has no acceleration and says nan.
    low, high = (end if math.isfinite(end) else mean for end in found)
    return Interval(math.exp(mean), math.exp(low), math.exp(high))


def p_value(groups: Sequence[Pairs], *, seed: int = 0) -> float:
    """The two-sided p of a sign-flip permutation test (Fisher, 1935; by SciPy).

    The hypothesis is that within each pair it is by chance which mode needs more. No
    distribution is assumed. With `n` pairs it is 2 / 2^n at least.
    """
    from scipy.stats import permutation_test

    weighed = np.concatenate([group / len(group) for group in groups])
    if not len(weighed) or not weighed.any():
        return 1.0
    tested = permutation_test(
        (weighed,),
        lambda values, axis: values.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=SIGNS,
        batch=10_000,
        random_state=np.random.default_rng(seed),
    )
    return float(min(1.0, tested.pvalue))


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for being so many (Holm, 1979): one below 0.05 is wrong in at most 5 %
    of all families, whatever depends on what."""
    adjusted = [0.0] * len(p_values)
    floor = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        floor = max(floor, min(1.0, p_values[i] * (len(p_values) - rank)))
        adjusted[i] = floor
    return adjusted


def fewest_pairs(family: int, alpha: float = 0.05) -> int:
    """How many pairs the test needs so that one of `family` comparisons can come out below
    `alpha`, though all pairs say the same."""
    return math.ceil(math.log2(2 * family / alpha) + 1e-9)


def _mean_of_means(*groups: Pairs, axis: int = -1) -> Pairs:
    means = np.stack([group.mean(axis=axis) for group in groups])
    return np.asarray(means.mean(axis=0), np.float64)


def _widened(groups: Sequence[Pairs], confidence: float) -> float | None:
    """The level at which a bootstrap interval covers as Student's would; None without scatter.

    The bootstrap's variance of a mean is (n - 1)/n of the unbiased one, and its tails are
    normal.
    """
    from scipy.stats import norm, t

    plain = sum(group.var() / len(group) for group in groups)
    unbiased = sum(group.var(ddof=1) / len(group) for group in groups)
    if plain < 1e-24:
        return None
    freedom = sum(len(group) - 1 for group in groups)
    quantile = math.sqrt(unbiased / plain) * t.ppf((1 + confidence) / 2, freedom)
    # Two pairs ask for more than any sample has; so far out, the ends are its least and most.
    return float(1 - 2 * norm.sf(min(6.0, quantile)))
