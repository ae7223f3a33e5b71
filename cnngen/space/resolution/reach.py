"""Computes the sizes that every branch can reach, by dynamic programming over its windows.

A relation is a square matrix of zeros and ones over all sizes that can occur: row `a`, column
`b` is 1 if a branch that starts at size `a` can end at size `b`. Relations in sequence are
multiplied; the sides of a merge meet where all are 1. So a merge has a solution from a size
if and only if the row of that size is not zero, whatever the merge contains.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cnngen.errors import ResolveError
from cnngen.language.tree import Description, Layer, Merge
from cnngen.space.resolution.windows import FREEDOMS, Freedom, Given, Size, given, moves, spread
from cnngen.space.space import Space

Relation = NDArray[np.float32]
"""(sizes, sizes), 0 or 1; float32, which BLAS multiplies fastest."""

Reached = NDArray[np.bool_]
"""(sizes,): the sizes that are reached, or that lead to the wanted sizes."""

MAX_SIZES = 1000
MAX_BYTES = 2**28
FEW_SIZES = 256
ONE_THREAD = 2**18
"""Number of multiply-adds up to which OpenBLAS uses one thread. Beyond it, threads wait for each
other longer than they compute: ten times slower on a busy machine.
"""

Item = Layer | Merge | str
"""An item of `Description.walk`. Layers are identified by their position in the walk, because
sampled descriptions share one `Layer` between positions.
"""

Windows = Sequence[Given | None]
"""The given hyper-parameters of each item's window in a walk; None for items without a window."""


@dataclass(frozen=True, slots=True, eq=False)
class Universe:
    """The sizes that can occur, with their numbers."""

    sizes: tuple[Size, ...]
    numbers: dict[Size, int]


@dataclass(slots=True, eq=False)
class ReachStep:
    """A layer with a window, or a merge, in a chain."""

    position: int
    relation: Relation
    known: Given | None = None
    bodies: list[BodyReach] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class BodyReach:
    """The sides of a merge body, and the relation to the sizes at which they can meet."""

    sides: list[list[ReachStep]]
    relation: Relation


@dataclass(frozen=True, slots=True, eq=False)
class Reach:
    """The main column of a description, with the relation of every step."""

    chain: list[ReachStep]
    universe: Universe
    freedom: Freedom
    space: Space

    def of(self, reached: Reached) -> list[Size]:
        """List the sizes that are set in a mask, the largest first."""
        pairs = zip(self.universe.sizes, reached, strict=True)
        return [size for size, here in pairs if here][::-1]

    def names(self, reached: Reached, most: int = 3) -> str:
        """Format sizes for messages: `16x16, 15x15 or 6 more`."""
        sizes = [f"{height}x{width}" for height, width in self.of(reached)]
        if len(sizes) > most + 1:
            sizes = [*sizes[:most], f"{len(sizes) - most} more"]
        return " or ".join(filter(None, (", ".join(sizes[:-1]), sizes[-1]))) if sizes else "none"


def reach(
    items: Sequence[Item],
    description: Description,
    space: Space,
    start: Size,
    kept: Set[int] = frozenset(),
) -> Reach:
    """Compute the sizes that every step of a walk can reach from the size of the input, where open
    windows at the positions `kept` keep it.

    Raises `ResolveError` if these are too many to compute with, even if open windows keep the
    size.
    """
    # Each body has a relation of its own, which few merges of many bodies would have too many of.
    bodies = [len(item.bodies) for item in items if isinstance(item, Merge)]
    matrices = max(len(bodies), sum(bodies) // 2)
    windows = [given(item) if isinstance(item, Layer) else None for item in items]
    for position in kept:
        known = windows[position]
        windows[position] = known.kept() if known else None
    for freedom in FREEDOMS:
        sizes = _possible(items, windows, space, start, freedom)
        if len(sizes) <= MAX_SIZES and matrices * len(sizes) ** 2 * 4 <= MAX_BYTES:
            universe = _universe(sizes)
            chain = _relate(items, windows, space, universe, freedom)
            return Reach(chain, universe, freedom, space)
    raise ResolveError(
        f"the map of a {start[0]}x{start[1]} image can have {len(sizes):,} sizes here, too many "
        "to match in merges",
        hint="Give the layers strides, or start from a smaller image.",
        source=description.source,
        span=description.input_span if description.source else None,
    )


def after(reached: Reached, relation: Relation) -> Reached:
    """Return the sizes that a step leads to."""
    return (reached @ relation) > 0


def before(wanted: Reached, relation: Relation) -> Reached:
    """Return the sizes from which a step can lead to a wanted size."""
    return (relation @ wanted) > 0


OPEN = (Given(False, None, None, None), Given(True, None, None, None))
SAMPLED = {None, *OPEN, *(known.kept() for known in OPEN)}
"""The windows of sampled descriptions."""


@lru_cache(maxsize=64)
def _closure(space: Space, start: Size, freedom: Freedom) -> frozenset[Size]:
    """Return all sizes that any number of open windows lead to; stops beyond `FEW_SIZES`."""
    sizes: frozenset[Size] = frozenset()
    more = frozenset((start,))
    while sizes != more and len(more) <= FEW_SIZES:
        sizes = more
        more = sizes.union(*(spread(space, known, freedom, sizes) for known in OPEN))
    return more


def _possible(
    items: Sequence[Item], windows: Windows, space: Space, start: Size, freedom: Freedom
) -> frozenset[Size]:
    """Return the sizes that may occur, if the sides of merges meet wherever they can."""
    if {*windows} <= SAMPLED:
        # Sampled descriptions share one universe, so that their relations are cached.
        sizes = _closure(space, start, freedom)
        if len(sizes) <= FEW_SIZES:
            return sizes
    here = frozenset((start,))
    seen: dict[frozenset[Size], None] = {here: None}
    merges: list[frozenset[Size]] = []
    met: list[frozenset[Size] | None] = []  # of each open body: where its sides so far meet
    for item, known in zip(items, windows, strict=True):
        match item:
            case Layer():
                if known is not None:
                    here = spread(space, known, freedom, here)
                    seen[here] = None
                    if len(here) > MAX_SIZES:
                        break
            case Merge():
                merges.append(here)
            case "(":
                here = merges[-1]
                met.append(None)
            case ",":
                others = met[-1]
                met[-1] = here if others is None else others & here
                here = merges[-1]
            case ")":
                others = met.pop()
                merges[-1] = here if others is None else others & here
            case "]":
                here = merges.pop()
    return frozenset().union(*seen)


@lru_cache(maxsize=256)
def _universe(sizes: frozenset[Size]) -> Universe:
    ordered = tuple(sorted(sizes))
    return Universe(ordered, {size: number for number, size in enumerate(ordered)})


@lru_cache(maxsize=64)
def _window_relation(space: Space, known: Given, freedom: Freedom, universe: Universe) -> Relation:
    relation = np.zeros((len(universe.sizes),) * 2, np.float32)
    for row, size in enumerate(universe.sizes):
        for output in moves(space, known, freedom, size).sizes:
            # Sizes that the walk cannot reach may lead out of the universe.
            if output in universe.numbers:
                relation[row, universe.numbers[output]] = 1
    return relation


@lru_cache(maxsize=16)
def _identity(universe: Universe) -> Relation:
    return np.eye(len(universe.sizes), dtype=np.float32)


@dataclass(slots=True)
class _OpenMerge:
    """A merge whose bodies are being processed, and the chain that contains it."""

    step: ReachStep
    chain: list[ReachStep]
    relation: Relation
    sides: list[list[ReachStep]] = field(default_factory=list)
    """Of the open body, the sides that have ended."""
    met: Relation | None = None
    """The relation to the sizes at which these meet."""

    def end_side(self, chain: list[ReachStep], relation: Relation) -> None:
        self.sides.append(chain)
        # Most sides of a merge of very many are alike, and need no new matrix.
        if self.met is None:
            self.met = relation
        elif self.met is not relation:
            self.met = self.met * relation

    def end_body(self) -> BodyReach:
        assert self.met is not None
        body = BodyReach(self.sides, self.met)
        self.sides, self.met = [], None
        return body


def _relate(
    items: Sequence[Item], windows: Windows, space: Space, universe: Universe, freedom: Freedom
) -> list[ReachStep]:
    """Build the steps of the main column, from the innermost merge outwards."""
    identity = _identity(universe)
    chain: list[ReachStep] = []
    relation = identity
    merges: list[_OpenMerge] = []
    for position, (item, known) in enumerate(zip(items, windows, strict=True)):
        match item:
            case Layer():
                if known is not None:
                    step = ReachStep(
                        position, _window_relation(space, known, freedom, universe), known
                    )
                    chain.append(step)
                    relation = _then(relation, step.relation, identity) if merges else identity
            case Merge():
                merges.append(_OpenMerge(ReachStep(position, identity), chain, relation))
            case "(":
                chain, relation = [], identity
            case ",":
                merges[-1].end_side(chain, relation)
                chain, relation = [], identity
            case ")":
                merge = merges[-1]
                merge.end_side(chain, relation)
                body = merge.end_body()
                merge.step.bodies.append(body)
                merge.step.relation = _then(merge.step.relation, body.relation, identity)
            case "]":
                merge = merges.pop()
                merge.chain.append(merge.step)
                chain = merge.chain
                relation = identity
                if merges:
                    relation = _then(merge.relation, merge.step.relation, identity)
    return chain


def _then(first: Relation, second: Relation, identity: Relation) -> Relation:
    if first is identity:
        return second
    if second is identity:
        return first
    size = len(second)
    rows = max(1, ONE_THREAD // size**2)
    product = np.empty_like(second)
    for row in range(0, size, rows):
        np.matmul(first[row : row + rows], second, out=product[row : row + rows])
    return np.minimum(product, np.float32(1), out=product)
