"""Samples descriptions and networks from a space.

A seed gives the same network on every machine and Python version.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from cnngen.errors import SpaceError
from cnngen.language.tree import Body, Description, Layer, Merge, Node
from cnngen.network import Network
from cnngen.space.resolution.hyperparameters import resolve_sentence
from cnngen.space.space import Random, Space, WeightedChoice, load_space
from cnngen.system.ranges import MAX_SEED

MAX_TRIES = 1000

MAX_REPEATS = 1000
"""Number of consecutive repeats after which a space counts as exhausted. If one draw in 145 were
new, so many repeats would occur once in a thousand times.
"""

LAYERS = {
    kind: Layer(kind)
    for kind in (
        *("conv", "convbn", "bnconv", "max_pooling", "avg_pooling", "dropout", "dense"),
        *("flatten", "global_avg_pooling", "global_max_pooling"),
    )
}


class ExhaustedError(SpaceError):
    """A space is exhausted: after `found` distinct networks, only repeats were drawn."""

    def __init__(self, space: str, found: int, draws: int) -> None:
        super().__init__(
            f"space '{space}' gave only {found:,} different networks in {draws:,} draws",
            hint="Widen the bounds or the space, or ask for fewer.",
        )
        self.found = found


@dataclass(frozen=True, slots=True)
class Bounds:
    """Inclusive lower and upper bounds on the size of a network; None is unbounded.

    `layers` counts operations, including the input. `flops` is per image.
    """

    layers: tuple[int | None, int | None] = (None, None)
    parameters: tuple[int | None, int | None] = (None, None)
    flops: tuple[int | None, int | None] = (None, None)

    def broken_by(self, network: Network) -> str | None:
        """Return the first size of a network that is out of bounds, in words; None if none is."""
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
    """Draw a network from a space, with all hyper-parameters fixed.

    `space` is the name of a space, the path of a TOML file or a `Space`. `input_shape` is
    (height, width, channels). A network outside `bounds` is drawn again, at most `MAX_TRIES`
    times. Raises `SpaceError` if the space is invalid or no network met the bounds.
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
            return replace(network, drawn=(space.name, seed))
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
    """Draw `count` distinct networks from a space; see `sample` for the arguments.

    A larger `count` only extends the sequence. Raises `SpaceError` if the space is invalid, no
    network met the bounds, or the space has too few distinct networks.
    """
    drawn = draws(count, space, input_shape=input_shape, classes=classes, seed=seed, bounds=bounds)
    return (draw.network for draw in drawn)


@dataclass(frozen=True, slots=True)
class Draw:
    """A network, and the seed with which `sample` reproduces it."""

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
    """Yield the networks of `sample_many` with the seed of each.

    `seeds_below` limits these seeds; another limit gives other networks.
    """
    space = load_space(space)
    seen: set[str] = set()
    number = repeats = 0  # consecutive, since the last new network
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
    """Draw the descriptions of `sample_many` with open hyper-parameters and without bounds.

    Descriptions may repeat.
    """
    space = load_space(space)
    for number in range(count):
        own_seed = _mix(seed, number, "network") % (MAX_SEED + 1)
        yield sample_description(space, seed=_mix(own_seed, 0))


def sample_description(
    space: str | Path | Space = "paper", *, seed: int = 0, max_layers: int | None = None
) -> Description:
    """Draw a description from a space, with open hyper-parameters.

    Once it has `max_layers` layers (by default that of the space), no more merges are nested.
    Raises `SpaceError` if the space is invalid.
    """
    space = load_space(space)
    limit = min(max_layers or space.max_layers, space.max_layers)
    return SentenceSampler(space, random.Random(seed).random, limit).description()


def _mix(seed: int, number: int, purpose: str = "attempt") -> int:
    """Derive an independent, reproducible seed below 2^64 for each number."""
    digest = hashlib.sha256(f"{purpose} {seed} {number}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


class SentenceSampler:
    """Draws a description or its parts, with open hyper-parameters.

    `random` draws from [0, 1). Once it has drawn `limit` layers, `layers` of them before its first,
    no more merges are nested. Recursion is limited by the space's `max_depth`, at most 100.
    """

    def __init__(self, space: Space, random: Random, limit: int, layers: int = 0) -> None:
        self.space = space
        self.random = random
        self.limit = limit
        self.layers = layers

    def description(self) -> Description:
        """A whole sentence."""
        features: list[Node] = []
        for _ in range(self.between(self.space.features.count)):
            features += self.extraction()
        return Description(tuple(features), self.head())

    def extraction(self) -> list[Node]:
        """A convolution or a merge of the main column, and the dropout and pooling behind it."""
        chain: list[Node] = []
        if self.chance(self.space.features.merge):
            chain.append(self.merge(self.space.merge.bodies, 1))
        else:
            chain.append(self.draw(self.space.convolution.kinds))
        if self.chance(self.space.features.dropout):
            chain.append(LAYERS["dropout"])
        if self.chance(self.space.features.pooling):
            chain.append(self.draw(self.space.pooling.kinds))
        return chain

    def head(self) -> tuple[Layer, ...]:
        """The interstice and the dense layers."""
        head = [self.draw(self.space.classification.interstices)]
        for _ in range(self.between(self.space.classification.dense)):
            if self.chance(self.space.classification.dropout):
                head.append(LAYERS["dropout"])
            head.append(LAYERS["dense"])
        return tuple(head)

    def merge(self, bodies: tuple[int, int], depth: int) -> Merge:
        """A merge of so many bodies, at a depth counted from 1."""
        count = self.between(bodies)
        return Merge(None, tuple(self.body(count, depth) for _ in range(count)))

    def body(self, count: int, depth: int) -> Body:
        """One of `count` bodies of a merge."""
        left = self.left(depth)
        merge = self.space.merge
        if count == 1 and self.chance(merge.empty_right):
            return Body(left, ())
        return Body(left, self.right())

    def right(self) -> tuple[Layer, ...]:
        """The right side of a body, where it is not Empty."""
        kinds = self.space.convolution.kinds
        count = self.between(self.space.merge.right_convolutions)
        return tuple(self.draw(kinds) for _ in range(count))

    def left(self, depth: int) -> tuple[Node, ...]:
        """The left side of a body."""
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
