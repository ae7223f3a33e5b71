"""Whether two modes train a network to the same accuracy, as far as seeds let one tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far the mean test accuracies of two modes lie apart, and how far they may.

    `difference` is that of the first less that of the second. Shares from 0 to 1.
    """

    difference: float
    allowed: float

    @property
    def agrees(self) -> bool:
        """Whether the difference is within what is allowed."""
        return abs(self.difference) <= self.allowed


def agreement(
    first: Sequence[float], second: Sequence[float], test_images: int, *, alpha: float = 0.05
) -> Agreement:
    """Compare the accuracies of two modes, one for each seed.

    Allowed is the standard deviation between seeds (pooled over both modes): a smaller
    difference matters less than the choice of the seed, however sure it is. With few seeds
    more is allowed, namely what chance alone exceeds with probability `alpha` only (Student's
    two-sample test); and never less than one test image. Needs two seeds; raises `ValueError`
    for fewer.
    """
    import numpy as np
    from scipy.stats import t

    seeds = min(len(first), len(second))
    if seeds < 2:
        raise ValueError("one seed has no spread")
    freedom = len(first) + len(second) - 2
    squares = sum(len(a) * float(np.var(a)) for a in (first, second))
    spread = math.sqrt(squares / freedom)
    chance = float(t.ppf(1 - alpha / 2, freedom)) * math.sqrt(1 / len(first) + 1 / len(second))
    allowed = max(spread * max(1.0, chance), 1 / test_images)
    # A difference of one image must not fail by the last bit.
    return Agreement(float(np.mean(first) - np.mean(second)), allowed * (1 + 1e-9))
