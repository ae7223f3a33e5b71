"""Statistics of a ratio between two modes: bootstrap interval, paired test, multiple testing.

The unit is a pair: the same network trained with the same seed in both modes. Its value is the
difference of the two logarithms, so that the mean over pairs is the logarithm of the geometric
mean ratio. Pairs are grouped by network, and every network has the same weight regardless of
its number of pairs.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pairs = npt.NDArray[np.float64]
"""Differences of logarithms, one per pair: shape (pairs,)."""

RESAMPLES = 9_999
"""Number of bootstrap samples."""

SIGNS = 99_999
"""Most sign assignments that the test tries; up to 16 pairs it tries them all."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A ratio with the bounds of its confidence interval."""

    ratio: float
    low: float
    high: float

    @property
    def excludes_one(self) -> bool:
        """Whether the interval excludes a ratio of 1, which means no difference."""
        return self.low > 1 or self.high < 1


def interval(groups: Sequence[Pairs], *, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Return the geometric mean of the ratios and its BCa bootstrap interval (Efron, 1987).

    Pairs are resampled within their group by `scipy.stats.bootstrap`. Bootstrap intervals are
    too narrow for few pairs, so more extreme quantiles are taken, following Hesterberg (2015,
    "What teachers should know about the bootstrap", section 5.3).

    Raises `ValueError` without groups, or for a group of fewer than two pairs.
    """
    from scipy.stats import DegenerateDataWarning, bootstrap

    if not groups or min(map(len, groups)) < 2:
        raise ValueError("an interval needs groups of at least two pairs")
    mean = float(_mean_of_means(*groups))
    level = _widened(groups, confidence)
    if level is None:  # all pairs of a group are equal
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
    # If nearly all pairs are equal, BCa's acceleration is undefined and its bounds are NaN.
    low, high = (end if math.isfinite(end) else mean for end in found)
    return Interval(math.exp(mean), math.exp(low), math.exp(high))


def p_value(groups: Sequence[Pairs], *, seed: int = 0) -> float:
    """Return the two-sided p value of a sign-flip permutation test (Fisher, 1935; by SciPy).

    The null hypothesis is that within each pair, either mode is equally likely to need more.
    No distribution is assumed. With `n` pairs, p is at least 2 / 2^n.
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
    """Adjust p values for multiple testing (Holm, 1979), in the order given.

    The probability of any false rejection in the family at a level of 0.05 is at most 5 %,
    whatever the dependence between the tests.
    """
    adjusted = [0.0] * len(p_values)
    floor = 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        floor = max(floor, min(1.0, p_values[i] * (len(p_values) - rank)))
        adjusted[i] = floor
    return adjusted


def fewest_pairs(family: int, alpha: float = 0.05) -> int:
    """Return the fewest pairs with which one of `family` comparisons can fall below `alpha`.

    That minimum is reached only if all pairs point in the same direction.
    """
    return math.ceil(math.log2(2 * family / alpha) + 1e-9)


def _mean_of_means(*groups: Pairs, axis: int = -1) -> Pairs:
    means = np.stack([group.mean(axis=axis) for group in groups])
    return np.asarray(means.mean(axis=0), np.float64)


def _widened(groups: Sequence[Pairs], confidence: float) -> float | None:
    """Return the level at which a bootstrap interval covers as Student's t would.

    The bootstrap's variance of a mean is (n - 1)/n of the unbiased one, and its tails are
    normal. None if the pairs of every group are equal.
    """
    from scipy.stats import norm, t

    plain = sum(group.var() / len(group) for group in groups)
    unbiased = sum(group.var(ddof=1) / len(group) for group in groups)
    if plain < 1e-24:
        return None
    freedom = sum(len(group) - 1 for group in groups)
    quantile = math.sqrt(unbiased / plain) * t.ppf((1 + confidence) / 2, freedom)
    # Two pairs would need quantiles beyond any sample; the cap gives the sample's extremes.
    return float(1 - 2 * norm.sf(min(6.0, quantile)))
