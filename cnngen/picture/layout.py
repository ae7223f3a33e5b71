"""Where everything in a drawing stands, in whole pixels.

The main way of the network, with the left sides of all merges, is one straight axis: a box
below the other. The right side of a merge is a column to the right of the axis; outer merges
have theirs further right, so that no two lines cross. A drawing much taller than wide is cut
into strips, side by side; what a cut goes through runs on in lanes to the next strip's top.

All passes are loops over the nodes, merges or cuts; none nests with the merges.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from math import sqrt

from cnngen.network import Network
from cnngen.operations import Add, Concat

GAP = 18
"""From a box down to the next."""
STACKED_GAP = 3
"""Between two boxes of one word, such as `convbn`."""
TEE = 9
"""From a box down to where the line to a merge's right side turns off."""
HEAD = 7
"""Length of an arrow's head, with some air."""
LANE = 8
"""Between parallel lines."""
COLUMN_GAP = 16

TALL = 760
SLENDER = 1.6
"""One strip does while it is no taller than `TALL` or than `SLENDER` times its width."""
PROPORTION = 1.15
"""Height to width that a drawing in several strips aims at."""

Point = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Box:
    """The rectangle of one node, or the square around the circle of a join."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Wire:
    """An edge as a line of horizontal and vertical pieces.

    Lines of one output share their beginning: where an earlier one runs already, a later
    one starts at the point it leaves it. `skips`: the whole right side of a merge is Empty.
    `stacked`: between two boxes of one word.
    """

    source: int
    target: int
    points: tuple[Point, ...]
    skips: bool
    stacked: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """Boxes, one for each node and in the same order, and wires, one for each edge."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]


def layout(network: Network, sizes: Sequence[tuple[int, int]], stacked: Collection[int]) -> Drawing:
    """Place boxes of the given widths and heights; those at `stacked` touch the one above."""
    tall = _stack(network, sizes, stacked)
    height = tall.bottom[-1]
    one = _Strips(tall, [])
    drawing_height, width = height, one.width
    strips = one
    if height > TALL and height > SLENDER * width:
        # Width grows with the number of strips, though not evenly: strips are as wide as
        # what stands in them, and lanes come between.
        count = 2.0
        gaps = _free_gaps(tall)
        for _ in range(4):
            strips = _Strips(tall, _cuts(tall, gaps, round(count)))
            drawing_height, width = strips.height, strips.width
            count = max(2.0, count * sqrt(drawing_height / (PROPORTION * width)))
    return strips.draw(network, stacked)


@dataclass(slots=True)
class _Run:
    """The vertical piece of an edge: in which column, from where to where.

    Column 0 is the axis, column m the right side of merge m.
    """

    source: int
    target: int
    column: int
    start: int
    end: int
    turns_off: bool
    joins: bool
    skips: bool


@dataclass(slots=True)
class _Tall:
    """The drawing in one strip, without horizontal places."""

    sizes: Sequence[tuple[int, int]]
    column: list[int]
    top: list[int] = field(default_factory=list)
    bottom: list[int] = field(default_factory=list)
    runs: list[_Run] = field(default_factory=list)
    parent: dict[int, int] = field(default_factory=dict)
    opens: dict[int, int] = field(default_factory=dict)
    closes: dict[int, int] = field(default_factory=dict)


def _stack(network: Network, sizes: Sequence[tuple[int, int]], stacked: Collection[int]) -> _Tall:
    """Vertical places: each box below all it reads, in as little height as that takes."""
    branches, nodes = network.branches, network.nodes
    rights = [branch for branch in branches if branch.side == "right"]
    column = [
        branches[node.branch].merge if branches[node.branch].side == "right" else 0
        for node in nodes
    ]
    tall = _Tall(sizes, column)
    tall.parent = {right.merge: branches[right.parent].merge for right in rights}
    # Right sides hold no merges, so bodies end in the order in which right sides begin.
    joins = (i for i, node in enumerate(nodes) if isinstance(node.operation, Add | Concat))
    merge_of = {join: right.merge for join, right in zip(joins, rights, strict=True)}

    def column_of_edge(position: int, target: int) -> int:
        if target in merge_of:
            return merge_of[target] if position == 1 else 0
        return column[target]

    turning = {
        source
        for target, node in enumerate(nodes)
        for position, source in enumerate(node.inputs)
        if column_of_edge(position, target) and not column[source]
    }
    last_join: dict[int, int] = {}
    drawn: dict[int, tuple[int, int]] = {}  # By column: whose line runs there, and how far.
    for target, node in enumerate(nodes):
        floor = [0]
        for source in node.inputs:
            gap = GAP + TEE if source in turning else GAP
            floor.append(tall.bottom[source] + (STACKED_GAP if target in stacked else gap))
        if column[target] in last_join:
            join = last_join[column[target]]
            floor.append(tall.bottom[join] + GAP)
        top = max(floor)
        height = sizes[target][1]
        tall.top.append(top)
        tall.bottom.append(top + height)
        for position, source in enumerate(node.inputs):
            merge = column_of_edge(position, target)
            joining = target in merge_of and position == 1
            end = top + height // 2 if joining else top
            start = tall.bottom[source]
            turns_off = column[source] != merge
            if turns_off:
                start += TEE
                tall.opens.setdefault(merge, start)
            if merge and drawn.get(merge, (None, 0))[0] == source:
                start, turns_off = drawn[merge][1], False
            skips = joining and not column[source]
            tall.runs.append(_Run(source, target, merge, start, end, turns_off, joining, skips))
            if joining:
                tall.closes[merge] = end
                drawn[merge] = (source, end)
                last_join[merge] = target
    return tall


@dataclass(frozen=True, slots=True)
class _Gap:
    """Where a cut goes through upright lines only, and through how many."""

    y: int
    lines: int


def _free_gaps(tall: _Tall) -> list[_Gap]:
    """The places where a cut meets no box, arrow head or turn, from top to bottom."""
    taken = [(top - HEAD, bottom + 1) for top, bottom in zip(tall.top, tall.bottom, strict=True)]
    taken += [(run.start - TEE // 3, run.start + HEAD) for run in tall.runs if run.turns_off]
    taken.sort()
    opens, closes = sorted(tall.opens.values()), sorted(tall.closes.values())
    gaps = []
    reached = taken[0][1]
    for start, end in taken:
        if start > reached:
            y = (reached + start) // 2
            gaps.append(_Gap(y, bisect_left(opens, y) - bisect_left(closes, y)))
        reached = max(reached, end)
    return gaps


def _cuts(tall: _Tall, gaps: Sequence[_Gap], count: int) -> list[int]:
    """Cuts into about `count` strips of like height, through few lines."""
    ys = [gap.y for gap in gaps]
    height = tall.bottom[-1] / count
    cuts: list[int] = []
    for number in range(1, count):
        wanted = number * height
        low, high = (bisect_left(ys, wanted + share * height) for share in (-0.12, 0.12))
        if low == high:
            low, high = max(0, low - 1), min(len(ys), high + 1)
        near = [gap for gap in gaps[low:high] if not cuts or gap.y > cuts[-1]]
        if near:
            best = min(near, key=lambda gap: 3 * LANE * gap.lines + abs(gap.y - wanted) / 4)
            cuts.append(best.y)
    return cuts


class _Strips:
    """The strips that a list of cuts leaves, and the horizontal places in each."""

    def __init__(self, tall: _Tall, cuts: list[int]) -> None:
        self.tall, self.cuts = tall, cuts
        self.half = max(
            width for (width, _), column in zip(tall.sizes, tall.column, strict=True) if not column
        )
        self.half = (self.half + 1) // 2
        filled = {
            (self.strip(top), column) for top, column in zip(tall.top, tall.column, strict=True)
        }
        present: list[list[int]] = [[] for _ in range(len(cuts) + 1)]
        for merge in sorted(tall.opens, reverse=True):
            first, last = self.strip(tall.opens[merge]), self.strip(tall.closes[merge])
            for strip in range(first, last + 1):
                present[strip].append(merge)
        # What each cut goes through: the axis, then columns from the inside out.
        self.through = [
            [0, *(m for m in present[k] if tall.opens[m] < cut < tall.closes[m])]
            for k, cut in enumerate(cuts)
        ]
        self.tops = [0, *(LANE * (len(lines) + 1) for lines in self.through)]
        self.begins = [0, *cuts]
        self.axis: list[dict[int, int]] = []
        self.channel: list[int] = []
        left = 0
        for strip, merges in enumerate(present):
            places, right = self._places(left, merges, filled, strip)
            self.axis.append(places)
            if strip < len(cuts):
                self.channel.append(right + 2 * LANE)
                right += 2 * LANE + LANE * (len(self.through[strip]) - 1) + 2 * LANE
            left = right
        self.width = left
        ends = [*cuts, tall.bottom[-1]]
        self.height = max(
            top + end - begin + (LANE * (len(lines) + 1) if lines else 0)
            for top, end, begin, lines in zip(
                self.tops, ends, self.begins, [*self.through, []], strict=True
            )
        )

    def strip(self, y: int) -> int:
        return bisect_right(self.cuts, y)

    def _places(
        self, left: int, merges: Sequence[int], filled: Collection[tuple[int, int]], strip: int
    ) -> tuple[dict[int, int], int]:
        """The middle of the axis and of each column in a strip, and the strip's right end."""
        axis = left + self.half
        places = {0: axis}
        reach: dict[int, int] = defaultdict(lambda: axis + self.half)
        for merge in merges:  # Inner ones come first: they have the higher numbers.
            half = self.half if (strip, merge) in filled else 0
            places[merge] = reach[merge] + COLUMN_GAP + half
            outer = self.tall.parent[merge]
            reach[outer] = max(reach[outer], places[merge] + half)
        return places, reach[0]

    def at(self, column: int, y: int) -> Point:
        """Where a point of a column stands on the page."""
        strip = self.strip(y)
        return self.axis[strip][column], self.tops[strip] + y - self.begins[strip]

    def draw(self, network: Network, stacked: Collection[int]) -> Drawing:
        boxes = []
        for (width, height), column, top in zip(
            self.tall.sizes, self.tall.column, self.tall.top, strict=True
        ):
            x, y = self.at(column, top)
            boxes.append(Box(x - width // 2, y, width, height))
        wires = [
            Wire(run.source, run.target, self._points(run), run.skips, run.target in stacked)
            for run in self.tall.runs
        ]
        return Drawing(self.width, self.height, tuple(boxes), tuple(wires))

    def _points(self, run: _Run) -> tuple[Point, ...]:
        points = []
        if run.turns_off:
            points += [*self._down(0, run.start - TEE, run.start), self.at(0, run.start)]
        points += self._down(run.column, run.start, run.end)
        points.append(self.at(run.column, run.end))
        if run.joins:
            x, y = self.at(0, run.end)
            points.append((x + self.tall.sizes[run.target][0] // 2, y))
        return tuple(points)

    def _down(self, column: int, start: int, end: int) -> list[Point]:
        """A line down a column, but its last point."""
        points = [self.at(column, start)]
        for cut in range(self.strip(start), self.strip(end)):
            points += self._across(cut, column)
        return points

    def _across(self, cut: int, column: int) -> tuple[Point, ...]:
        """From the foot of a strip to the head of the next; outer columns turn first."""
        lines = self.through[cut]
        rank = lines.index(column)
        foot = self.tops[cut] + self.cuts[cut] - self.begins[cut]
        below = foot + LANE * (len(lines) - rank)
        above = self.tops[cut + 1] - LANE * (rank + 1)
        channel = self.channel[cut] + LANE * (len(lines) - 1 - rank)
        here, there = self.axis[cut][column], self.axis[cut + 1][column]
        return (here, below), (channel, below), (channel, above), (there, above)
