"""Computes the position of every box and line of a drawing, in whole pixels.

The boxes of the axis form one straight column. The right sides of merges are columns to its
right, those of outer merges further out, so that no two lines cross. A drawing much taller than
wide is cut into strips, side by side; lines that a cut crosses run in lanes to the top of the
next strip.

All passes are loops over nodes, columns or cuts, never recursive over merges.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import log, sqrt

import numpy as np

from cnngen.network.network import Network
from cnngen.network.picture.stack import AXIS, GAP, TEE, Route, Stack, stack

HEAD = 7
"""Length of an arrow head, with a margin."""
LANE = 8
"""Distance between parallel lines."""
COLUMN_GAP = 16
CELL = 8
"""Height in pixels of the rows for which one horizontal extent is kept."""

TALL = 760
SLENDER = 1.6
"""A drawing stays in one strip up to a height of `TALL`, or of `SLENDER` times its width."""
PROPORTION = 1.15
"""Target ratio of height to width for a drawing in several strips."""

Point = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Box:
    """The rectangle of a node, or the square around the circle of a join."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Wire:
    """An edge as a line of horizontal and vertical segments.

    Lines from one output share their start: a later line begins where it leaves an earlier one.
    `skips` is true for the empty right side of a merge, `stacked` for a line between two boxes
    of one word.
    """

    source: int
    target: int
    points: tuple[Point, ...]
    skips: bool
    stacked: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawing with a box for each node, in the order of the nodes, and a wire for each edge."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]


def layout(network: Network, sizes: Sequence[tuple[int, int]], stacked: Collection[int]) -> Drawing:
    """Lay out boxes of the given widths and heights.

    The boxes at the positions in `stacked` are close to the box above.
    """
    placed = stack(network, [height for _, height in sizes], stacked)
    half = max(width for width, _ in sizes) // 2
    strips = _in_strips(placed, half)
    boxes = []
    for (width, height), column, top in zip(sizes, placed.column, placed.top, strict=True):
        x, y = strips.at(column, top)
        boxes.append(Box(x - width // 2, y, width, height))
    wires = (
        Wire(
            route.source,
            route.target,
            tuple(strips.points(route, boxes[route.target])),
            route.skips,
            route.target in stacked,
        )
        for route in placed.routes
    )
    return Drawing(strips.width, strips.height, tuple(boxes), tuple(wires))


def _in_strips(placed: Stack, half: int) -> _Strips:
    """Choose the number of strips that comes closest to the target proportion."""
    best = _Strips(placed, half, [])
    if best.height <= max(TALL, SLENDER * best.width):
        return best
    gaps = _free_gaps(placed)
    count, tried, least = 2, {1}, float("inf")
    while count not in tried and len(tried) < 6:
        tried.add(count)
        strips = _Strips(placed, half, _cuts(placed.height / count, gaps, count))
        proportion = strips.height / strips.width / PROPORTION
        if abs(log(proportion)) < least:
            best, least = strips, abs(log(proportion))
        # Height falls and width grows with the count, but not proportionally: a strip is as
        # wide as its contents, and lanes lie between strips.
        count = max(2, round(count * sqrt(proportion)))
    return best


@dataclass(frozen=True, slots=True)
class _Gap:
    """A height at which a cut crosses only vertical lines, and the number of columns it crosses."""

    y: int
    columns: int


def _free_gaps(placed: Stack) -> list[_Gap]:
    """Find the heights at which a cut crosses no box, arrow head or turn, from the top."""
    taken = [
        (top - HEAD, bottom + 1) for top, bottom in zip(placed.top, placed.bottom, strict=True)
    ]
    for route in placed.routes:
        if route.origin != route.column:
            taken.append((route.turn - TEE // 3, route.turn + HEAD))
        elif route.joins:
            taken.append((route.begin, route.begin + TEE + HEAD))
        if route.joins:  # a sum stays below what it adds up
            taken.append((placed.top[route.target] - GAP - TEE, placed.top[route.target]))
    taken.sort()
    opens, closes = sorted(placed.opens[1:]), sorted(placed.closes[1:])
    gaps = []
    reached = taken[0][1]
    for start, end in taken:
        if start > reached:
            y = (reached + start) // 2
            gaps.append(_Gap(y, bisect_left(opens, y) - bisect_left(closes, y)))
        reached = max(reached, end)
    return gaps


def _cuts(height: float, gaps: Sequence[_Gap], count: int) -> list[int]:
    """Choose cuts into at most `count` strips of about the given height, crossing few columns."""
    ys = [gap.y for gap in gaps]
    cuts: list[int] = []
    for number in range(1, count):
        wanted = number * height
        low, high = (bisect_left(ys, wanted + share * height) for share in (-0.12, 0.12))
        if low == high:
            low, high = max(0, low - 1), min(len(ys), high + 1)
        near = [gap for gap in gaps[low:high] if not cuts or gap.y > cuts[-1]]
        if near:
            best = min(near, key=lambda gap: 3 * LANE * gap.columns + abs(gap.y - wanted) / 4)
            cuts.append(best.y)
    return cuts


@dataclass(slots=True)
class _ColumnPosition:
    """Position of a column in a strip: its boxes down to `boxes_end`, and below them its line."""

    boxes_end: int
    boxes: int
    line: int

    def x(self, y: int) -> int:
        return self.boxes if y <= self.boxes_end else self.line


class _Strips:
    """The strips between a list of cuts, with the position of each column in each strip."""

    def __init__(self, placed: Stack, half: int, cuts: list[int]) -> None:
        self.placed, self.half, self.cuts = placed, half, cuts
        self.begins = [0, *cuts]
        self.ends = [*cuts, placed.height]
        # The columns that each cut crosses, from the inside out.
        self.through: list[list[int]] = [[AXIS] for _ in cuts]
        for column in range(1, len(placed.opens)):
            first, last = self.strip(placed.opens[column]), self.strip(placed.closes[column])
            for cut in range(first, last):
                self.through[cut].append(column)
        lanes = [LANE * (len(columns) + 1) for columns in self.through]
        self.tops = [0, *lanes]
        self.height = max(
            top + end - begin + foot
            for top, begin, end, foot in zip(
                self.tops, self.begins, self.ends, [*lanes, 0], strict=True
            )
        )
        self.places, widths = self._columns()
        self.lefts = [0]
        for width, lane in zip(widths, lanes, strict=False):
            self.lefts.append(self.lefts[-1] + width + lane + 2 * LANE)
        self.channels = [
            left - lane - LANE // 2 for left, lane in zip(self.lefts[1:], lanes, strict=True)
        ]
        self.width = self.lefts[-1] + widths[-1]

    def strip(self, y: int) -> int:
        return bisect_right(self.cuts, y)

    def _columns(self) -> tuple[dict[tuple[int, int], _ColumnPosition], list[int]]:
        """Compute positions by column and strip, relative to the strip, and the strips' widths.

        From the inside out, each column is moved as far left as the columns before it allow.
        The occupied extent is kept for each few pixels of height.
        """
        placed, half = self.placed, self.half
        widths = [2 * half] * len(self.begins)
        extents = np.full(placed.height // CELL + 2 + len(self.begins), 2 * half)
        boxes_end: dict[tuple[int, int], int] = {}
        for column, top, bottom in zip(placed.column, placed.top, placed.bottom, strict=True):
            boxes_end[column, self.strip(top)] = bottom
        places = {
            (AXIS, strip): _ColumnPosition(0, half, half) for strip in range(len(self.begins))
        }
        for column in range(1, len(placed.opens)):
            first, last = self.strip(placed.opens[column]), self.strip(placed.closes[column])
            for strip in range(first, last + 1):
                start = max(placed.opens[column], self.begins[strip])
                end = min(placed.closes[column], self.ends[strip])
                # Each strip has its own cells, so that the extents of its neighbours do not count.
                cells = slice(start // CELL + strip, end // CELL + strip + 1)
                line = int(extents[cells].max()) + COLUMN_GAP
                stop = boxes_end.get((column, strip))
                boxes, straight = line, True
                if stop is not None:
                    below = min(end, stop + TEE + HEAD) // CELL + strip + 1
                    boxes = int(extents[cells.start : below].max()) + COLUMN_GAP + half
                    straight = line <= boxes + half + COLUMN_GAP
                    line = max(line, boxes)
                above = placed.before[column] and places.get((placed.before[column], strip))
                if above and straight and 0 <= above.line - line <= 2 * half + COLUMN_GAP:
                    line = above.line  # Straight below the body above, unless that is far out.
                boxes = line if straight else boxes
                places[column, strip] = _ColumnPosition(-1 if stop is None else stop, boxes, line)
                extents[cells] = np.maximum(extents[cells], line)
                if stop is not None:
                    beside = slice(cells.start, min(end, stop + 1) // CELL + strip + 1)
                    extents[beside] = boxes + half
                widths[strip] = max(widths[strip], line, boxes + half if stop is not None else 0)
        return places, widths

    def at(self, column: int, y: int) -> Point:
        """Return the page coordinates of a point of a column."""
        return self._at(column, y, self.strip(y))

    def _at(self, column: int, y: int, strip: int) -> Point:
        x = self.places[column, strip].x(y)
        return self.lefts[strip] + x, self.tops[strip] + y - self.begins[strip]

    def points(self, route: Route, target: Box) -> list[Point]:
        """Return the points of an edge, from the bottom of its source to its target."""
        points: list[Point] = []
        if route.origin != route.column:
            points += self._down(route.origin, route.begin, route.turn)
        points += self._down(route.column, route.turn, route.end)
        if route.joins:
            points.append((target.x + target.width, points[-1][1]))
        return points

    def _down(self, column: int, start: int, end: int) -> list[Point]:
        """Follow a column down: sideways to its line below the boxes, and through all cuts."""
        points = [self.at(column, start)]
        first, last = self.strip(start), self.strip(end)
        for strip in range(first, last + 1):
            x, y = self._at(column, end if strip == last else self.cuts[strip], strip)
            before_x, before_y = points[-1]
            if x != before_x:
                points += [(before_x, before_y + TEE), (x, before_y + TEE)]
            points.append((x, y))
            if strip < last:
                points += self._across(strip, column)
        return points

    def _across(self, cut: int, column: int) -> list[Point]:
        """Go from the bottom of a strip to the top of the next; outer columns turn first."""
        columns = self.through[cut]
        rank = bisect_left(columns, column)
        here, foot = self._at(column, self.cuts[cut], cut)
        there, top = self._at(column, self.cuts[cut], cut + 1)
        below = foot + LANE * (len(columns) - rank)
        above = top - LANE * (rank + 1)
        channel = self.channels[cut] + LANE * (len(columns) - rank)
        return [(here, below), (channel, below), (channel, above), (there, above), (there, top)]
