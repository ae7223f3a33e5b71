"""Transform targets to a dimensionless scale with mean 0 and deviation 1, and back."""

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
"""Times and energies are clipped to this range, since the logarithm of 0 is infinite."""

WORST, BEST = 0.01, 0.995
"""Accuracies are clipped to this range, since the logits of 0 and 1 are infinite."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Standardises the logarithm of a time or an energy, or the logit of an accuracy.

    `mean` and `std` are those of the transformed examples. The logit, log(p / (1 - p)), spreads
    out high accuracies: half of the networks of a data set may lie above 0.9.
    """

    target: Target
    mean: float
    std: float

    @classmethod
    def of(cls, target: Target, figures: Floats) -> Self:
        """Return the scale of figures given in the target's unit."""
        transformed = _transformed(target, figures)
        # If all figures are equal, any deviation will do.
        return cls(target, float(transformed.mean()), float(transformed.std()) or 1.0)

    @classmethod
    def restored(cls, target: Target, values: object) -> Self:
        """Restore a scale from a file. Raises `CnnGenError` if it is not valid."""
        match values:
            case {"mean": float(mean), "std": float(std)}:
                if isfinite(mean) and isfinite(std) and std > 0:
                    return cls(target, mean, std)
        raise CnnGenError("not a valid predictor file: its scale is missing or out of range")

    def values(self) -> Mapping[str, float]:
        """Return the values that `restored` reads."""
        return {"mean": self.mean, "std": self.std}

    def scaled(self, figures: Floats) -> Floats:
        """Transform figures in the target's unit to the scale."""
        return (_transformed(self.target, figures) - self.mean) / self.std

    def in_unit(self, scaled: Floats) -> Floats:
        """Transform back to the target's unit; monotonic, and within the target's range."""
        transformed = scaled * self.std + self.mean
        figures: Floats
        match self.target:
            case "time" | "energy":
                figures = np.exp(np.clip(transformed, np.log(SMALLEST), np.log(LARGEST)))
            case "accuracy":
                figures = 1 / (1 + np.exp(-np.clip(transformed, -30, 30)))
            case "trainability":
                figures = np.clip(transformed, 0, 1)
        return figures


def _transformed(target: Target, figures: Floats) -> Floats:
    transformed: Floats = figures
    match target:
        case "time" | "energy":
            transformed = np.log(np.clip(figures, SMALLEST, LARGEST))
        case "accuracy":
            share = np.clip(figures, WORST, BEST)
            transformed = np.log(share / (1 - share))
    return transformed
