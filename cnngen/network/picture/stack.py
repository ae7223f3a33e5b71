"""Computes the vertical positions of a drawing, as if it were one tall strip.

The axis holds the main column of the network with the left sides of all merges, one box below
the other. The right side of each merge body is a column of its own. A graph without a
description has all boxes on the axis, and edges that skip boxes run beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from cnngen.network.network import Network

GAP = 18
"""Vertical distance between boxes."""
STACKED_GAP = 3
"""Vertical distance between two boxes of one word, such as `convbn`."""
TEE = 9
"""Vertical distance from a box or a join to the point where a line turns into another column."""
BEND = 6
"""Length of a line that is taken up by its corner."""

AXIS = 0


@dataclass(frozen=True, slots=True)
class Route:
    """The route of an edge: from column `origin`, turning into `column` at `turn`, down to `end`.

    With `joins` it goes on to the left, into the side of a join on the axis. With `skips` it is
    an empty right side. If a line of the same output already leads to an earlier join, the
    route begins at the height of that join.
    """

    source: int
    target: int
    origin: int
    begin: int
    column: int
    turn: int
    end: int
    joins: bool
    skips: bool


@dataclass(slots=True)
class Stack:
    """Vertical positions, downwards from 0. Columns are numbered from 1, from the inside out.

    `opens` and `closes` bound the occupied part of each column. `before` is the column of the
    body above in the same merge, or the axis.
    """

    column: list[int]
    before: list[int]
    opens: list[int]
    closes: list[int]
    top: list[int] = field(default_factory=list)
    bottom: list[int] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)

    @property
    def height(self) -> int:
        """Pixels from the top of the first box to the bottom of the last."""
        return max(self.bottom)


def stack(network: Network, heights: Sequence[int], stacked: Collection[int]) -> Stack:
    """Place each box below all of its inputs, in as little height as possible.

    The boxes at the positions in `stacked` are placed close below the box before.
    """
    if not network.is_described:
        return _arcs(network, heights)
    branches, nodes = network.branches, network.nodes
    # Right sides hold no merges: they begin in the order in which their bodies end.
    rights = [number for number, branch in enumerate(branches) if branch.side == "right"]
    column_of_branch = {number: column for column, number in enumerate(rights, 1)}
    joins = [at for at, node in enumerate(nodes) if node.operation.joined]
    column_of_join = dict(zip(joins, range(1, len(rights) + 1), strict=True))
    join_of_column = [AXIS, *joins]
    latest: dict[int, int] = {}
    before = [AXIS]
    for column, number in enumerate(rights, 1):
        before.append(latest.get(branches[number].merge, AXIS))
        latest[branches[number].merge] = column

    placed = Stack(
        column=[column_of_branch.get(node.branch, AXIS) for node in nodes],
        before=before,
        opens=[0] * len(before),
        closes=[0] * len(before),
    )
    turning = _turning(network, placed, column_of_join)
    for target, node in enumerate(nodes):
        column = placed.column[target]
        floors = [0]
        for source in node.inputs:
            gap = GAP + TEE if source in turning else GAP
            floors.append(placed.bottom[source] + (STACKED_GAP if target in stacked else gap))
        if before[column]:
            floors.append(placed.bottom[join_of_column[before[column]]] + GAP)
        placed.top.append(max(floors))
        placed.bottom.append(placed.top[-1] + heights[target])
        for side, source in enumerate(node.inputs):
            placed.routes.append(_route(placed, column_of_join, source, target, side))
    return placed


def _arcs(network: Network, heights: Sequence[int]) -> Stack:
    """Place all boxes on the axis, in order. Each edge that skips boxes has a column of its own,
    shorter edges further inside."""
    arcs = [
        (source, target)
        for target, node in enumerate(network.nodes)
        for source in node.inputs
        if source != target - 1
    ]
    starts = {source for source, _ in arcs}
    arcs.sort(key=lambda arc: (arc[1] - arc[0], arc))
    size = len(arcs) + 1
    placed = Stack([AXIS] * len(network), [AXIS] * size, [0] * size, [0] * size)
    top = 0
    for at, height in enumerate(heights):
        placed.top.append(top)
        placed.bottom.append(top + height)
        top += height + GAP + (TEE if at in starts else 0)
        if at in network.nodes[min(at + 1, len(network) - 1)].inputs:
            below = placed.bottom[at]
            placed.routes.append(Route(at, at + 1, AXIS, below, AXIS, below, top, False, False))
    for column, (source, target) in enumerate(arcs, 1):
        begin = placed.bottom[source]
        end = (placed.top[target] + placed.bottom[target]) // 2
        placed.opens[column], placed.closes[column] = begin + TEE, end
        placed.routes.append(
            Route(source, target, AXIS, begin, column, begin + TEE, end, True, True)
        )
    return placed


def _turning(network: Network, placed: Stack, column_of_join: dict[int, int]) -> set[int]:
    """Return the nodes on the axis from which a right side starts."""
    turning = set()
    for target, node in enumerate(network.nodes):
        for side, source in enumerate(node.inputs):
            to = column_of_join[target] if side else placed.column[target]
            if to != AXIS and placed.column[source] == AXIS:
                turning.add(source)
    return turning


def _route(
    placed: Stack, column_of_join: dict[int, int], source: int, target: int, side: int
) -> Route:
    joins = side == 1
    column = column_of_join[target] if joins else placed.column[target]
    origin, begin = placed.column[source], placed.bottom[source]
    end = placed.top[target]
    if joins:
        end = (placed.top[target] + placed.bottom[target]) // 2
        placed.closes[column] = end
    turn = begin
    if origin != column:
        turn = begin + TEE
        if placed.before[column]:
            origin = placed.before[column]
            # Starts before the corner where the earlier line turns to its join.
            begin, turn = placed.closes[origin] - BEND, placed.closes[origin] + TEE
        placed.opens[column] = turn
    skips = joins and placed.column[source] == AXIS
    return Route(source, target, origin, begin, column, turn, end, joins, skips)
