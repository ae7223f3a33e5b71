"""Descriptions and networks drawn at random from a space.

The same seed gives the same network on every machine and Python version.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cnngen.errors import SpaceError
from cnngen.language.tree import Body, Description, Layer, Merge, Node
from cnngen.network import Network
from cnngen.space.resolution.hyperparameters import resolve_sentence
from cnngen.space.space import Random, Space, WeightedChoice, load_space
from cnngen.system.ranges import MAX_SEED

MAX_TRIES = 1000

MAX_REPEATS = 1000
"""Draws in a row that were there already, after which a space counts as exhausted: were one in
145 of them new, so many repeats would come once in a thousand times."""

LAYERS = {
    kind: Layer(kind)
    for kind in (
        *("conv", "convbn", "bnconv", "max_pooling", "avg_pooling", "dropout", "dense"),
        *("flatten", "global_avg_pooling", "global_max_pooling"),
    )
}


class ExhaustedError(SpaceError):
    """A space has no more networks: `found` different ones were drawn."""

    def __init__(self, space: str, found: int, draws: int) -> None:
        super().__init__(
            f"space '{space}' gave only {found:,} different networks in {draws:,} draws",
            hint="Widen the bounds or the space, or ask for fewer.",
        )
        self.found = found


@dataclass(frozen=True, slots=True)
class Bounds:
    """Least and most of what a network may have, both included; None is no bound.

    `layers` counts operations, the input among them; `flops` is per image.
    """

    layers: tuple[int | None, int | None] = (None, None)
    parameters: tuple[int | None, int | None] = (None, None)
    flops: tuple[int | None, int | None] = (None, None)

    def broken_by(self, network: Network) -> str | None:
        """The first count of a network that is out of bounds, in words."""
        for name in ("layers", "parameters", "flops"):
            low, high = getattr(self, name)
            if low is None and high is None:
                continue
            count = getattr(network.cost, name)
            if (low is not None and count < low) or (high is not None and count > high):
                return f"{count:,} {name}"
        return None


NO_BOUNDS = Bounds()


def sample(
    space: str | Path | Space = "paper",
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    seed: int = 0,
    bounds: Bounds = NO_BOUNDS,
) -> Network:
    """A network drawn from a space, with every hyper-parameter fixed.

    Bounds are met by drawing again, at most `MAX_TRIES` times. Raises `SpaceError` where
    the space is not valid or no draw met the bounds.
    """
    space = load_space(space)
    missed: dict[str, None] = {}
    for attempt in range(MAX_TRIES):
        mixed = _mix(seed, attempt)
        description = sample_description(space, seed=mixed, max_layers=bounds.layers[1])
        network = resolve_sentence(
            description, space=space, input_shape=input_shape, classes=classes, seed=mixed
        )
        broken = bounds.broken_by(network)
        if broken is None:
            return network
        missed[broken] = None
    seen = "; ".join(list(missed)[:3])
    raise SpaceError(
        f"none of {MAX_TRIES:,} networks drawn from space '{space.name}' met the bounds",
        hint=f"They had, for example, {seen}. Widen the bounds or the space.",
    )


def sample_many(
    count: int,
    space: str | Path | Space = "paper",
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    seed: int = 0,
    bounds: Bounds = NO_BOUNDS,
) -> Iterator[Network]:
    """Networks drawn one after the other, no two of them equal; number i depends on `seed`
    and i alone, whatever `count` is."""
    drawn = draws(count, space, input_shape=input_shape, classes=classes, seed=seed, bounds=bounds)
    return (draw.network for draw in drawn)


@dataclass(frozen=True, slots=True)
class Draw:
    """A network, and the seed with which `sample` gives it again."""

    seed: int
    network: Network


def draws(
    count: int,
    space: str | Path | Space = "paper",
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    seed: int = 0,
    bounds: Bounds = NO_BOUNDS,
    seeds_below: int = MAX_SEED + 1,
) -> Iterator[Draw]:
    """The networks of `sample_many`, each with the seed that is its own.

    `seeds_below` is the limit of those seeds; another one gives other networks.
    """
    space = load_space(space)
    seen: set[str] = set()
    number = repeats = 0  # since the last new one
    while len(seen) < count:
        own_seed = _mix(seed, number, "network") % seeds_below
        network = sample(
            space, input_shape=input_shape, classes=classes, seed=own_seed, bounds=bounds
        )
        number += 1
        if network.id in seen:
            repeats += 1
            if repeats >= MAX_REPEATS:
                raise ExhaustedError(space.name, len(seen), number)
            continue
        repeats = 0
        seen.add(network.id)
        yield Draw(own_seed, network)


def sample_descriptions(
    count: int, space: str | Path | Space = "paper", *, seed: int = 0
) -> Iterator[Description]:
    """The sentences of `sample_many` without bounds, their hyper-parameters open; they may
    repeat."""
    space = load_space(space)
    for number in range(count):
        own_seed = _mix(seed, number, "network") % (MAX_SEED + 1)
        yield sample_description(space, seed=_mix(own_seed, 0))


def sample_description(
    space: str | Path | Space = "paper", *, seed: int = 0, max_layers: int | None = None
) -> Description:
    """A sentence drawn from a space, its hyper-parameters open.

    From `max_layers` layers on (the space's, if not given) no more merges are nested.
    """
    space = load_space(space)
    limit = min(max_layers or space.max_layers, space.max_layers)
    return _Sampler(space, random.Random(seed).random, limit).description()


def _mix(seed: int, number: int, purpose: str = "attempt") -> int:
    """An independent seed below 2^64 for each number, the same everywhere."""
    digest = hashlib.sha256(f"{purpose} {seed} {number}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


class _Sampler:
    """One sentence being drawn. Recursion ends at the space's `max_depth`, at most 100."""

    def __init__(self, space: Space, random: Random, limit: int) -> None:
        self.space = space
        self.random = random
        self.limit = limit
        self.layers = 0

    def description(self) -> Description:
        features: list[Node] = []
        for _ in range(self.between(self.space.features.count)):
            if self.chance(self.space.features.merge):
                features.append(self.merge(self.space.merge.bodies, 1))
            else:
                features.append(self.draw(self.space.convolution.kinds))
            if self.chance(self.space.features.dropout):
                features.append(LAYERS["dropout"])
            if self.chance(self.space.features.pooling):
                features.append(self.draw(self.space.pooling.kinds))
        head = [self.draw(self.space.classification.interstices)]
        for _ in range(self.between(self.space.classification.dense)):
            if self.chance(self.space.classification.dropout):
                head.append(LAYERS["dropout"])
            head.append(LAYERS["dense"])
        return Description(tuple(features), tuple(head))

    def merge(self, bodies: tuple[int, int], depth: int) -> Merge:
        count = self.between(bodies)
        return Merge(None, tuple(self.body(count, depth) for _ in range(count)))

    def body(self, count: int, depth: int) -> Body:
        left = self.left(depth)
        merge = self.space.merge
        if count == 1 and self.chance(merge.empty_right):
            return Body(left, ())
        kinds = self.space.convolution.kinds
        right = [self.draw(kinds) for _ in range(self.between(merge.right_convolutions))]
        return Body(left, tuple(right))

    def left(self, depth: int) -> tuple[Node, ...]:
        merge = self.space.merge
        chain: list[Node] = []
        if self.chance(merge.pooling_first):
            chain.append(self.draw(self.space.pooling.kinds))
        if depth < merge.max_depth and self.layers < self.limit and self.chance(merge.nested):
            self.convolutions(chain, merge.convolutions_before_nested)
            for _ in range(self.between(merge.nested_merges)):
                chain.append(self.merge(merge.nested_bodies, depth + 1))
                self.convolutions(chain, merge.convolutions_after_nested)
        else:
            self.convolutions(chain, merge.left_convolutions)
        if self.chance(merge.pooling_last):
            chain.append(self.draw(self.space.pooling.kinds))
        return tuple(chain)

    def convolutions(self, chain: list[Node], count: tuple[int, int]) -> None:
        for _ in range(self.between(count)):
            chain.append(self.draw(self.space.convolution.kinds))
            if self.chance(self.space.merge.dropout):
                chain.append(LAYERS["dropout"])

    def draw(self, kinds: WeightedChoice[str]) -> Layer:
        self.layers += 1
        return LAYERS[kinds.draw(self.random)]

    def chance(self, share: float) -> bool:
        return self.random() < share

    def between(self, ends: tuple[int, int]) -> int:
        return ends[0] + int(self.random() * (ends[1] - ends[0] + 1))
