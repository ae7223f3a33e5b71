"""Test whether two modes train a network to the same accuracy, given the spread over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Agreement:
    """The difference between the mean test accuracies of two modes, and the allowed difference.

    `difference` is the first mode's mean minus the second's. Both are fractions from 0 to 1.
    """

    difference: float
    allowed: float

    @property
    def agrees(self) -> bool:
        """Whether the difference is within the allowed one."""
        return abs(self.difference) <= self.allowed


def agreement(
    first: Sequence[float], second: Sequence[float], test_images: int, *, alpha: float = 0.05
) -> Agreement:
    """Compare the test accuracies of two modes, given one accuracy per seed.

    The allowed difference is the standard deviation between seeds, pooled over both modes: a
    smaller difference matters less than the choice of the seed, even where it is significant.
    With few seeds the allowed difference is larger: the one that chance alone exceeds with
    probability `alpha` (Student's two-sample test). It is never less than one test image.

    Raises `ValueError` for fewer than two seeds.
    """
    import numpy as np
    from scipy.stats import t

    seeds = min(len(first), len(second))
    if seeds < 2:
        raise ValueError("an agreement needs at least two seeds")
    freedom = len(first) + len(second) - 2
    squares = sum(len(a) * float(np.var(a)) for a in (first, second))
    spread = math.sqrt(squares / freedom)
    chance = float(t.ppf(1 - alpha / 2, freedom)) * math.sqrt(1 / len(first) + 1 / len(second))
    allowed = max(spread * max(1.0, chance), 1 / test_images)
    # Rounding must not reject a difference of exactly one image.
    return Agreement(float(np.mean(first) - np.mean(second)), allowed * (1 + 1e-9))
