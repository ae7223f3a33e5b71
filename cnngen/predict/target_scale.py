"""Targets as a network learns them: numbers without a unit, with mean 0 and deviation 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Self

import numpy as np

from cnngen.errors import CnnGenError
from cnngen.predict.examples import Target
from cnngen.predict.predictor import Floats

SMALLEST, LARGEST = 1e-12, 1e12
"""Times and energies beyond are taken for these: 0 has no logarithm."""

WORST, BEST = 0.01, 0.995
"""Accuracies beyond are taken for these: those of 0 and 1 have no logit."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The logarithm of a time or an energy and the logit of an accuracy, less their mean over
    the examples, by their standard deviation.

    Half of the networks of a data set may have accuracies above 0.9: the logit,
    log(p / (1 - p)), keeps them apart.
    """

    target: Target
    mean: float
    std: float

    @classmethod
    def of(cls, target: Target, figures: Floats) -> Self:
        """The scale of figures in the target's unit."""
        bent = _bent(target, figures)
        # Equal figures have no spread: any would do.
        return cls(target, float(bent.mean()), float(bent.std()) or 1.0)

    @classmethod
    def restored(cls, target: Target, values: object) -> Self:
        """A scale from a file. Raises `CnnGenError` where it is none."""
        match values:
            case {"mean": float(mean), "std": float(std)}:
                if isfinite(mean) and isfinite(std) and std > 0:
                    return cls(target, mean, std)
        raise CnnGenError("the scale of a saved predictor is none")

    def values(self) -> Mapping[str, float]:
        """What `restored` reads."""
        return {"mean": self.mean, "std": self.std}

    def scaled(self, figures: Floats) -> Floats:
        """Figures in the target's unit as numbers without one."""
        return (_bent(self.target, figures) - self.mean) / self.std

    def in_unit(self, scaled: Floats) -> Floats:
        """The inverse; it never falls, and stays where the target can be."""
        bent = scaled * self.std + self.mean
        figures: Floats
        match self.target:
            case "time" | "energy":
                figures = np.exp(np.clip(bent, np.log(SMALLEST), np.log(LARGEST)))
            case "accuracy":
                figures = 1 / (1 + np.exp(-np.clip(bent, -30, 30)))
            case "trainability":
                figures = np.clip(bent, 0, 1)
        return figures


def _bent(target: Target, figures: Floats) -> Floats:
    bent: Floats = figures
    match target:
        case "time" | "energy":
            bent = np.log(np.clip(figures, SMALLEST, LARGEST))
        case "accuracy":
            share = np.clip(figures, WORST, BEST)
            bent = np.log(share / (1 - share))
    return bent
