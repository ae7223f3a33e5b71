"""Computes the vertical positions of a drawing, as if it were one tall strip.

The axis holds the main column of the network with the left sides of its merges, one box below the
other. The right side of each merge body, and each further branch, is a column of its own; it holds
the left sides of the merges nested in it. A graph without a description has all boxes on the axis,
and edges that skip boxes run beside it.
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

    With `joins` it goes on to the left, into the side of a join. With `skips` it is an empty side of
    a merge. If a line of the same output already leads to an earlier join, the
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

    `opens` and `closes` bound the occupied part of each column. `home` is the column in which the
    merge of a column stands, `before` the column of the body above in the same merge, or the axis.
    """

    column: list[int]
    home: list[int]
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
    joins = {side: join for join, sides in network.sides.items() for side in sides}
    column_of_branch = [AXIS] * len(branches)
    home, before, join_of_column = [AXIS], [AXIS], [AXIS]
    latest: dict[tuple[int, int], int] = {}
    # In the order of the text, what is nested in a side comes before the sides behind it.
    for number, branch in enumerate(branches[1:], 1):
        column_of_branch[number] = column_of_branch[branch.parent]
        if branch.side == "right":
            place = branch.merge, branch.place
            column_of_branch[number] = column = len(home)
            home.append(column_of_branch[branch.parent])
            before.append(latest.get(place, AXIS))
            join_of_column.append(joins[number])
            latest[place] = column
    column_of_node = [column_of_branch[node.branch] for node in nodes]
    ways = [
        [column_of_branch[side] for side in network.sides.get(target, (node.branch,))]
        for target, node in enumerate(nodes)
    ]

    placed = Stack(
        column=column_of_node,
        home=home,
        before=before,
        opens=[0] * len(before),
        closes=[0] * len(before),
    )
    turning = {
        source
        for node, columns in zip(nodes, ways, strict=True)
        for source, column in zip(node.inputs, columns, strict=False)
        if column != column_of_node[source] and not before[column]
    }
    occupied = {node.branch for node in nodes}
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
        for side, (source, way) in enumerate(zip(node.inputs, ways[target], strict=False)):
            skips = side == 0 and target in network.sides
            skips = skips and network.sides[target][0] not in occupied
            placed.routes.append(_route(placed, source, target, way, side > 0, skips))
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
    axis, nowhere = [AXIS] * size, [0] * size
    placed = Stack([AXIS] * len(network), axis, axis, nowhere.copy(), nowhere.copy())
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


def _route(placed: Stack, source: int, target: int, column: int, joins: bool, skips: bool) -> Route:
    origin, begin = placed.column[source], placed.bottom[source]
    end = placed.top[target]
    if joins:
        end = (placed.top[target] + placed.bottom[target]) // 2
        placed.closes[column] = end
        skips = origin <= placed.home[column]
    turn = begin
    if origin != column:
        turn = begin + TEE
        if placed.before[column]:
            origin = placed.before[column]
            # Starts before the corner where the earlier line turns to its join.
            begin, turn = placed.closes[origin] - BEND, placed.closes[origin] + TEE
        placed.opens[column] = turn
    return Route(source, target, origin, begin, column, turn, end, joins, skips)
