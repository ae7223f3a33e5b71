"""The `ensemble` predictor: boosted trees and a graph network, combined by weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import ClassVar, Self, cast

import numpy as np

from cnngen.errors import CnnGenError
from cnngen.network import Network
from cnngen.predict.examples import Example, Target
from cnngen.predict.model_file import Saved, State, check_arrays
from cnngen.predict.predictor import (
    LEVEL,
    NORMAL_QUANTILE,
    Floats,
    Prediction,
    Predictor,
    check_fitted,
    with_target,
)
from cnngen.predict.splits import split
from cnngen.predict.target_scale import Scale
from cnngen.predict.trees import in_unit

LEAST = 50
"""Fewest examples; a tenth of them are used to weight the members."""


@dataclass
class Ensemble(Predictor):
    """The weighted mean of `proxies`, with the features, and `graph`.

    The weights minimise the squared error on examples that the members have not seen: the
    validation examples, or a tenth of all. The width of the intervals is calibrated on the same
    examples by split conformal prediction (Lei et al., "Distribution-Free Predictive Inference
    for Regression", JASA 2018), in units of the members' own uncertainty and disagreement.
    """

    name = "ensemble"
    install: ClassVar[str] = "pip install 'cnngen[predict]'"

    seed: int = 0

    members_: tuple[Predictor, ...] = field(init=False, repr=False)
    scale_: Scale = field(init=False, repr=False)
    weights_: Floats = field(init=False, repr=False)
    factors_: Floats = field(init=False, repr=False)

    def fit(
        self, examples: Sequence[Example], target: Target, validation: Sequence[Example] = ()
    ) -> Self:
        from cnngen.predict.graph import GraphPredictor
        from cnngen.predict.proxies import Proxies

        _, figures = with_target([*examples, *validation], target, LEAST)
        if not validation:
            parts = split(examples, self.seed, train=1.0)
            examples, validation = parts.train, parts.validation
        self.scale_ = Scale.of(target, figures)
        members = (Proxies(seed=self.seed, with_features=True), GraphPredictor(seed=self.seed))
        self.members_ = tuple(member.fit(examples, target) for member in members)
        networks, held_out = with_target(validation, target)
        means, stds = self._member_predictions(networks)
        wanted = self.scale_.scaled(held_out)
        self.weights_ = _weights(means, wanted)
        mean, std = self._mixed(means, stds)
        units = np.sort(np.abs(mean - wanted) / std)
        rank = min(len(units), ceil((len(units) + 1) * LEVEL))
        self.factors_ = np.array([np.sqrt((units**2).mean()), units[rank - 1]])
        self.target_ = target
        return self

    def predict(self, networks: Sequence[Network]) -> Prediction:
        check_fitted(self)
        mean, std = self._mixed(*self._member_predictions(networks))
        return in_unit(self.scale_, mean, std * self.factors_[0], std * self.factors_[1])

    def _member_predictions(self, networks: Sequence[Network]) -> tuple[Floats, Floats]:
        """Return the scaled means and deviations of the members: shape (members, networks)."""
        predictions = [member.predict(networks) for member in self.members_]
        means = [self.scale_.scaled(one.mean) for one in predictions]
        if self.scale_.target == "trainability":
            return np.stack(means), np.stack([one.std for one in predictions]) / self.scale_.std
        # On a logarithmic scale, the deviation follows from the ends of the interval.
        widths = [self.scale_.scaled(one.high) - self.scale_.scaled(one.low) for one in predictions]
        return np.stack(means), np.stack(widths) / (2 * NORMAL_QUANTILE)

    def _mixed(self, means: Floats, stds: Floats) -> tuple[Floats, Floats]:
        mean = self.weights_ @ means
        variance = self.weights_ @ (stds**2 + (means - mean) ** 2)
        return mean, np.sqrt(np.maximum(variance, 1e-4))

    def state(self) -> State:
        states = [member.state() for member in self.members_]
        values = [
            {"predictor": member.name, "params": member.get_params(), "values": state.values}
            for member, state in zip(self.members_, states, strict=True)
        ]
        arrays = {
            f"members/{at}/{name}": array
            for at, state in enumerate(states)
            for name, array in state.arrays.items()
        }
        own = {"weights": self.weights_, "factors": self.factors_}
        return State({"members": values, "scale": self.scale_.values()}, {**arrays, **own})

    def restore(self, state: State) -> None:
        from cnngen.predict.predictor import restored

        members = state.values.get("members")
        if not isinstance(members, list) or not 1 <= len(members) <= 8:
            raise CnnGenError("not a valid ensemble file: its members are missing or too many")
        check_arrays(state.arrays, {"weights": (len(members),), "factors": (2,)})
        self.scale_ = Scale.restored(self.target_, state.values.get("scale"))
        self.weights_ = state.arrays["weights"].astype(np.float64)
        self.factors_ = state.arrays["factors"].astype(np.float64)
        found = []
        for at, given in enumerate(members):
            parts = given if isinstance(given, dict) else {}
            name, params, values = (parts.get(n) for n in ("predictor", "params", "values"))
            if name == self.name or not isinstance(params, dict) or not isinstance(values, dict):
                raise CnnGenError(f"not a valid ensemble file: its member {at} is malformed")
            own = State(cast("Mapping[str, object]", values), state.inside(f"members/{at}"))
            found.append(restored(Saved(str(name), params, self.target_, own)))
        self.members_ = tuple(found)


def _weights(means: Floats, wanted: Floats) -> Floats:
    """Return non-negative weights of the members, which sum to 1, by least squares."""
    from scipy.optimize import nnls

    found, _ = nnls(means.T, wanted)
    # Shrink halfway to equal weights: a hundred examples hardly tell which member is better.
    equal = np.full(len(means), 1 / len(means))
    total = float(found.sum())
    return equal if total <= 0 else (found / total + equal) / 2
