"""Describe the networks that a model was fitted on, and measure how far others are from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, get_args

import numpy as np
from numpy.typing import NDArray

from cnngen.errors import CnnGenError
from cnngen.language.tree import Merge
from cnngen.language.values import LARGEST
from cnngen.network import Network
from cnngen.network.cost import short
from cnngen.operations import Activation, PublishedActivation, shapes
from cnngen.predict import features
from cnngen.predict.boosting import Positions
from cnngen.predict.features.groups import group
from cnngen.predict.model_file import State, check_arrays
from cnngen.predict.predictor import Floats

SELDOM = 0.01
"""Fraction of the training networks whose distance may exceed the limit."""

SHRINKAGE = 0.1
"""Shrinkage of the covariance towards the identity. It tolerates slight deviations between
features that were always correlated in training, but not large ones."""

ENDS = ("input_area", "input_channels", "classes")
"""Features of the data set, which are checked by value and not by distance."""


@dataclass(frozen=True)
class Domain:
    """The range of the training networks: their images, classes, sizes and features.

    `ends` are the distinct rows of height, width, channels and classes, the most frequent
    first; `ranges` are the least and most layers, parameters and multiply-adds, of shape
    (2, 3). The distance of a network is the Mahalanobis distance of its features, standardised
    by `mean` and `deviation` and multiplied by `whitening`. A fraction `SELDOM` of the training
    networks exceeds `limit`. `seen` are those of `extensions` that training networks had.
    """

    ends: Floats
    ranges: Floats
    mean: Floats
    deviation: Floats
    whitening: Floats
    limit: float
    seen: frozenset[str] = frozenset()

    @classmethod
    def of(cls, networks: Sequence[Network]) -> Self:
        """Return the domain of the training networks, of which there must be at least one."""
        rows = _inner(features.table(networks))
        sizes = np.array([_sizes(network) for network in networks], np.float64)
        counts = Counter(map(_ends, networks))
        ends = np.array([end for end, _ in counts.most_common()], np.float64)
        ranges = np.stack([sizes.min(0), sizes.max(0)])
        spread = _spread(rows)
        # Distances of held-out networks, since those of the networks themselves are too small.
        order = np.random.default_rng(0).permutation(len(rows))
        held_out = [
            _distance(rows[fold], *_spread(np.delete(rows, fold, 0)))
            for fold in np.array_split(order, 5)
            if 0 < len(fold) < len(rows)
        ]
        limit = float(np.quantile(np.concatenate(held_out), 1 - SELDOM)) if held_out else 0.0
        seen = frozenset[str]().union(*map(extensions, networks))
        return cls(ends, ranges, *spread, limit, seen)

    @property
    def usual(self) -> tuple[tuple[int, int, int], int]:
        """The most frequent image shape and class count."""
        height, width, channels, classes = map(int, self.ends[0])
        return (height, width, channels), classes

    def distances(self, networks: Sequence[Network]) -> Floats:
        """Return each network's distance in units of the limit: shape (networks,)."""
        rows = _inner(features.table(networks))
        return _distance(rows, self.mean, self.deviation, self.whitening) / max(1e-9, self.limit)

    def warnings(self, networks: Sequence[Network]) -> list[list[str]]:
        """For each network, describe how it lies outside the domain; empty if it lies inside."""
        distances = self.distances(networks)
        return [
            [
                *self._ends(network),
                *self._ranges(network),
                *(f"{what} (seen: none)" for what in sorted(extensions(network) - self.seen)),
                *self._far(network, float(distance)),
            ]
            for network, distance in zip(networks, distances, strict=True)
        ]

    def _ends(self, network: Network) -> list[str]:
        own = _ends(network)
        if any((seen == own).all() for seen in self.ends):
            return []
        known = ", ".join(
            f"{shapes.text(tuple(map(int, seen[:3])))} of {int(seen[3])}" for seen in self.ends[:4]
        )
        return [
            f"images of {shapes.text(network.input_shape)} in {network.classes or 'no'} classes "
            f"(seen: {known})"
        ]

    def _ranges(self, network: Network) -> list[str]:
        found = []
        names = ("layers", "parameters", "multiply-adds an image")
        for name, own, low, high in zip(names, _sizes(network), *self.ranges, strict=True):
            if not low <= own <= high:
                found.append(f"{short(own)} {name} (seen: {short(int(low))} to {short(int(high))})")
        return found

    def _far(self, network: Network, distance: float) -> list[str]:
        if distance <= 1:
            return []
        row = _inner(features.table([network]))[0]
        unusual = np.abs(row - self.mean) / self.deviation
        names = [name for name in features.names() if name not in ENDS]
        most = [names[at].replace("_", " ") for at in np.argsort(-unusual)[:3]]
        times = "over 100" if distance > 100 else f"{distance:.1f}"
        return [f"{times} times as far off as they reach, most in {', '.join(most)}"]

    def state(self) -> State:
        """Return the values that `restored` reads."""
        arrays: dict[str, NDArray[np.generic]] = {
            "ends": self.ends,
            "ranges": self.ranges,
            "mean": self.mean,
            "deviation": self.deviation,
            "whitening": self.whitening.astype(np.float32),
        }
        return State({"limit": self.limit, "seen": sorted(self.seen)}, arrays)

    @classmethod
    def restored(cls, state: State) -> Self:
        """Restore a domain from a file. Raises `CnnGenError` if it is not valid."""
        width = len(features.names()) - len(ENDS)
        check_arrays(
            state.arrays,
            {
                "ends": (None, 4),
                "ranges": (2, 3),
                "mean": (width,),
                "deviation": (width,),
                "whitening": (width, width),
            },
        )
        names = ("ends", "ranges", "mean", "deviation", "whitening")
        ends, ranges, mean, deviation, whitening = (
            state.arrays[name].astype(np.float64) for name in names
        )
        limit = state.values.get("limit")
        known = len(ends) > 0 and ((ends >= 1) & (ends <= LARGEST)).all() and (ranges >= 0).all()
        if not (known and isinstance(limit, float) and limit >= 0 and (deviation > 0).all()):
            raise CnnGenError("not a valid model file: its domain has values out of range")
        seen = state.values.get("seen", [])  # models of older versions have seen none
        if not isinstance(seen, list) or not {*map(str, seen)} <= EXTENSIONS:
            raise CnnGenError("not a valid model file: its domain has seen what there is not")
        return cls(ends, ranges, mean, deviation, whitening, limit, frozenset(map(str, seen)))


GROUPED, DILATED, REORDERED, EXCITED, BRANCHED = (
    "grouped or depthwise convolutions",
    "dilated convolutions",
    "norms before their activations",
    "squeeze-and-excitation",
    "merges of branches",
)
EXTENSIONS = frozenset(
    {GROUPED, DILATED, REORDERED, EXCITED, BRANCHED}
    | {
        f"the activation {name}"
        for name in {*get_args(Activation)} - {*get_args(PublishedActivation)}
    }
)
"""What networks may have that the published language does not."""


def extensions(network: Network) -> set[str]:
    """Which of `EXTENSIONS` a network has."""
    found = set()
    for node in network.nodes:
        operation = node.operation
        found.add(f"the activation {operation.nonlinearity}")
        if getattr(operation, "groups", 1) != 1:
            found.add(GROUPED)
        if getattr(operation, "dilation", (1, 1)) != (1, 1):
            found.add(DILATED)
        if group(operation) == "activation":
            found.add(REORDERED)
        if group(operation) == "excitation":
            found.add(EXCITED)
    items = network.description.walk()
    if any(isinstance(item, Merge) and item.has_branches for item in items):
        found.add(BRANCHED)
    return found & EXTENSIONS


def _ends(network: Network) -> tuple[int, ...]:
    return (*network.input_shape, network.classes or 0)


def _sizes(network: Network) -> tuple[int, int, int]:
    cost = network.cost
    return cost.layers, cost.parameters, cost.multiply_adds


def _inner(rows: Floats) -> Floats:
    """Return the features without those of the data set."""
    kept: Positions = np.flatnonzero([name not in ENDS for name in features.names()])
    return rows[:, kept]


def _spread(rows: Floats) -> tuple[Floats, Floats, Floats]:
    """Return mean, standard deviation and the whitening of the standardised features."""
    mean = rows.mean(0)
    # The lower bound keeps features that were constant in training from dominating distances.
    deviation = np.maximum(rows.std(0), 0.05)
    z = (rows - mean) / deviation
    covariance = (1 - SHRINKAGE) * (z.T @ z) / len(z) + SHRINKAGE * np.eye(z.shape[1])
    values, vectors = np.linalg.eigh(covariance)
    return mean, deviation, vectors / np.sqrt(values)


def _distance(rows: Floats, mean: Floats, deviation: Floats, whitening: Floats) -> Floats:
    distance: Floats = np.sqrt(((((rows - mean) / deviation) @ whitening) ** 2).mean(1))
    return distance
