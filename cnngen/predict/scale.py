"""Targets as a network learns them: numbers without a unit, about standard normal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cnngen.errors import CnnGenError
from cnngen.predict.examples import Target
from cnngen.predict.interface import Floats

LOGARITHMIC: tuple[Target, ...] = ("time", "energy")
"""Targets that span orders of magnitude."""

SMALLEST = 1e-12
"""Of a logarithmic target: a time or an energy of 0 has no logarithm."""

SHARES: tuple[Target, ...] = ("accuracy", "trainability")
"""Targets from 0 to 1."""


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of a target, or of its logarithm, over the examples."""

    target: Target
    knots: Floats

    @classmethod
    def of(cls, target: Target, figures: Floats) -> Self:
        """The scale of figures in the target's unit."""
        plain = _logarithm(figures) if target in LOGARITHMIC else figures
        # Equal figures have no spread: any would do.
        return cls(target, np.array([plain.mean(), plain.std() or 1.0]))

    @classmethod
    def restored(cls, target: Target, knots: NDArray[np.generic]) -> Self:
        """A scale from a file. Raises `CnnGenError` where it is none."""
        if knots.shape != (2,) or knots[1] <= 0:
            raise CnnGenError("the scale of a saved predictor is none")
        return cls(target, knots.astype(np.float64))

    def scaled(self, figures: Floats) -> Floats:
        """Figures in the target's unit as numbers without one."""
        plain = _logarithm(figures) if self.target in LOGARITHMIC else figures
        scaled: Floats = (plain - self.knots[0]) / self.knots[1]
        return scaled

    def in_unit(self, scaled: Floats) -> Floats:
        """The inverse; it rises with its argument and stays where the target can be."""
        plain: Floats = scaled * self.knots[1] + self.knots[0]
        if self.target in LOGARITHMIC:
            plain = np.exp(np.clip(plain, -100, 100))
        elif self.target in SHARES:
            plain = np.clip(plain, 0, 1)
        return plain


def _logarithm(figures: Floats) -> Floats:
    logarithm: Floats = np.log(np.maximum(figures, SMALLEST))
    return logarithm
