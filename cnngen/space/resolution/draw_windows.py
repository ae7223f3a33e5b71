"""Draws windows such that all sides of every merge end at the same size, by construction."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np

from cnngen.errors import MergeError, ResolveError, Span
from cnngen.language.tree import Description, Layer, Merge
from cnngen.operations import WINDOW_NAMES
from cnngen.space.resolution.reach import (
    BodyReach,
    Item,
    Reach,
    Reached,
    ReachStep,
    after,
    before,
    reach,
)
from cnngen.space.resolution.windows import Size, Window, moves
from cnngen.space.space import Random, Space, WeightedChoice


@dataclass(frozen=True, slots=True)
class Drawn:
    """The drawn windows, by the position of their layer. `reducing` are the positions where the
    map becomes smaller, `kept` those where the space had it keep its size, and `end` is the size
    at the end of the main column.
    """

    windows: dict[int, Window]
    reducing: set[int]
    kept: Set[int]
    end: Size


def draw_windows(
    items: Sequence[Item],
    description: Description,
    space: Space,
    start: Size,
    random: Random,
    kept: Set[int] = frozenset(),
) -> Drawn:
    """Draw windows that lead the map from the input to the output.

    A merge ends at a size that all sides can reach. Windows are drawn with
    the space's weights among those from which the rest of the chain has a solution; open ones at
    the positions `kept` keep the size of the map. Raises `ResolveError` if the given
    hyper-parameters have no solution.
    """
    sizes = reach(items, description, space, start, kept)
    universe = sizes.universe
    anywhere = np.ones(len(universe.sizes), np.bool_)
    drawn: dict[int, Window] = {}
    reducing: set[int] = set()
    end = start
    pending: list[tuple[list[ReachStep], int, Reached]] = [
        (sizes.chain, universe.numbers[start], anywhere)
    ]
    while pending:
        chain, at, wanted = pending.pop()
        for step, following in zip(chain, _ways_on(chain, wanted), strict=True):
            size = universe.sizes[at]
            if step.known is not None:
                options = moves(space, step.known, sizes.freedom, size)
                on = following.tolist()
                numbers = universe.numbers
                allowed = [
                    i for i, s in enumerate(options.sizes) if s in numbers and on[numbers[s]]
                ]
                if not allowed:
                    raise _contradiction(items, description, sizes, start)
                window, output = options.draw(allowed, random)
                drawn[step.position] = window
                if output != size:
                    reducing.add(step.position)
                at = universe.numbers[output]
                continue
            meeting = [body.relation for body in step.bodies]
            ways = [following]
            for relation in reversed(meeting[1:]):
                ways.append(before(ways[-1], relation))
            for body, way in zip(step.bodies, reversed(ways), strict=True):
                met = np.flatnonzero(way & (body.relation[at] > 0))
                if not len(met):
                    raise _contradiction(items, description, sizes, start)
                target = _meeting(met.tolist(), body, at, sizes, kept, random)
                exactly = np.zeros_like(anywhere)
                exactly[target] = True
                pending += ((side, at, exactly) for side in reversed(body.sides))
                at = target
        if chain is sizes.chain:
            end = universe.sizes[at]
    return Drawn(drawn, reducing, kept, end)


def _meeting(
    met: list[int], body: BodyReach, at: int, sizes: Reach, kept: Set[int], random: Random
) -> int:
    """Draw the size at which the sides of a body meet: uniformly, or where one layer a side reduces
    the map, as that of the first side would have it. The others follow."""
    free = [step.known for step in body.sides[0] if step.known and step.position not in kept]
    if sizes.space.merge.reducing == "one" and len(free) == 1:
        options = moves(sizes.space, free[0], sizes.freedom, sizes.universe.sizes[at])
        wanted = dict(zip(options.sizes, options.weights, strict=True))
        weights = [wanted.get(sizes.universe.sizes[number], 0.0) for number in met]
        if any(weights):
            return WeightedChoice.of(met, weights).draw(random)
    return met[int(random() * len(met))]


def _ways_on(chain: list[ReachStep], wanted: Reached) -> list[Reached]:
    """Compute, after each step, the sizes from which the rest of the chain reaches the goal."""
    ways = [wanted]
    for step in reversed(chain[1:]):
        ways.append(before(ways[-1], step.relation))
    return ways[: len(chain)][::-1]


def _contradiction(
    items: Sequence[Item], description: Description, sizes: Reach, start: Size
) -> ResolveError:
    """Find the layer that does not fit, or the merge whose sides cannot meet.

    Follows the description like a feature map: the contradiction is at the first step that some
    size reaches and none leaves.
    """
    reached = np.zeros(len(sizes.universe.sizes), np.bool_)
    reached[sizes.universe.numbers[start]] = True
    chain = sizes.chain
    while True:
        step, reached = _first_blocked(chain, reached)
        if step.known is not None:
            return _no_fit(items[step.position], description, sizes, reached)
        for body in step.bodies:
            inner = next((side for side in body.sides if not _through(side, reached).any()), None)
            if inner is not None:
                chain = inner
                break
            if not after(reached, body.relation).any():
                return _no_meeting(items, description, sizes, body, step, reached)
            reached = after(reached, body.relation)
        else:
            raise AssertionError("a merge is blocked, but none of its bodies")


def _through(chain: list[ReachStep], reached: Reached) -> Reached:
    for step in chain:
        reached = after(reached, step.relation)
    return reached


def _first_blocked(chain: list[ReachStep], reached: Reached) -> tuple[ReachStep, Reached]:
    for step in chain:
        following = after(reached, step.relation)
        if not following.any():
            return step, reached
        reached = following
    raise AssertionError("no step is blocked")


def _no_fit(item: Item, description: Description, sizes: Reach, reached: Reached) -> ResolveError:
    assert isinstance(item, Layer)
    name = WINDOW_NAMES[item.kind]
    return ResolveError(
        f"no {name} allowed for this {item.kind} fits its input of {sizes.names(reached)}",
        hint=f"Give it a smaller {name} or padding=same, or reduce the map less before it.",
        source=description.source,
        span=item.span,
    )


def _no_meeting(
    items: Sequence[Item],
    description: Description,
    sizes: Reach,
    body: BodyReach,
    merge: ReachStep,
    reached: Reached,
) -> MergeError:
    item = items[merge.position]
    assert isinstance(item, Merge)
    # Report for the largest start only: from different starts, all sides may reach one size.
    start = np.zeros_like(reached)
    start[np.flatnonzero(reached)[-1]] = True
    others = int(reached.sum()) - 1
    same = f" (and the same from {others} other sizes)" if others else ""
    number = next(i for i, other in enumerate(merge.bodies) if other is body)
    tree = item.bodies[number]
    ends = [_through(side, start) for side in body.sides]
    reachable = {end.tobytes(): sizes.of(end) for end in ends}  # many sides may share theirs
    source = description.source

    def told(place: int) -> str:
        side = tree.sides[place]
        at = ""
        if source is not None:
            line, column = source.position((side[0] if side else tree).span.start)
            at = f" (line {line}, column {column})"
        reaches = "can reach" if side else "is Empty and stays at"
        return f"{tree.side_name(place)}{at} {reaches} {sizes.names(ends[place])}"

    narrowed = (
        ""
        if sizes.freedom == "full"
        else (" For so many sizes, open windows here only keep the size or use padding=same.")
    )
    return MergeError(
        f"the sides of this merge can never meet: from {sizes.names(start)}{same}, "
        f"{', '.join(map(told, _apart(ends)))}",
        hint="Leave a stride, window or padding open on one side, or give both the same."
        + narrowed,
        source=source,
        span=Span(tree.span.start, tree.span.end) if source else None,
        sizes=tuple(reachable[end.tobytes()] for end in ends),
    )


def _apart(ends: Sequence[Reached]) -> tuple[int, ...]:
    """Return two sides that never meet; of sides that only fewer meet, a few of the first and the
    one that no size is left for."""
    met = ends[0]
    for place, end in enumerate(ends):
        if not (met & end).any():
            apart = (other for other in range(place) if not (ends[other] & end).any())
            other = next(apart, None)
            return (*range(min(place, 3)), place) if other is None else (other, place)
        met = met & end
    raise AssertionError("all sides meet")
