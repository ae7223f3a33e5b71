"""Builds the shapes and texts of a drawing, which the SVG and the PNG share.

Coordinates are whole pixels from the upper left corner of the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from cnngen.errors import CnnGenError
from cnngen.network.cost import short
from cnngen.network.network import Network, Node
from cnngen.network.picture.labels import (
    SIZE,
    SMALL,
    Label,
    box_label,
    colour,
    text_width,
    times,
)
from cnngen.network.picture.layout import Box, Point, Wire, layout
from cnngen.operations import WORDS, Colour
from cnngen.operations.shapes import text as shape_text

MAX_NODES = 20_000
MARGIN = 16
HEADER = 44
LINE_HEIGHT = {1: 22, 2: 36}
"""Height of a box by its number of lines of text."""
JOIN_SIZE = 18
ROUND = 5
"""Radius of the corners of lines; that of boxes is 3."""
TITLE_SIZE = 14
INK, FAINT, LINE, SKIP = "#1a1a1a", "#4d4d4d", "#333333", "#7b3f98"


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text: `x` is its start, middle or end by `anchor`, `y` is its baseline."""

    x: int
    y: int
    text: str
    size: int = SIZE
    bold: bool = False
    anchor: Literal["start", "middle", "end"] = "start"
    colour: str = INK


@dataclass(frozen=True, slots=True)
class Line:
    """An edge between two nodes: its end points and the points where it turns."""

    source: int
    target: int
    points: tuple[Point, ...]
    colour: str
    head: bool

    def corners(self) -> list[tuple[Point, Point, Point, int]]:
        """Yield for each turn the start of its arc, the corner, the end of the arc, the radius."""
        points = self.points
        turns = []
        for before, at, after in zip(points, points[1:], points[2:], strict=False):
            radius = min(ROUND, _distance(before, at) // 2, _distance(at, after) // 2)
            turns.append((_towards(at, before, radius), at, _towards(at, after, radius), radius))
        return turns

    def goes_down(self) -> bool:
        """Return whether the last segment goes down; otherwise it goes left."""
        return self.points[-1][0] == self.points[-2][0]

    def end(self) -> Point:
        """Return the end of the line, which is inside the arrow head if there is one."""
        return _towards(self.points[-1], self.points[-2], 4) if self.head else self.points[-1]


@dataclass(frozen=True, slots=True)
class Shape:
    """A node with its texts: a box with rounded corners, or a circle in the square `box`."""

    node: Node
    about: str
    box: Box
    circle: bool
    colour: Colour
    texts: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """A page: its title lines, a line for each edge, and a shape for each node."""

    width: int
    height: int
    title: str
    header: tuple[Text, ...]
    lines: tuple[Line, ...]
    shapes: tuple[Shape, ...]


def scene(network: Network, *, title: bool = True) -> Scene:
    """Lay out the drawing of a network, with its name and size above if `title`.

    Raises `CnnGenError` for a network of more than `MAX_NODES` operations.
    """
    if len(network) > MAX_NODES:
        raise CnnGenError(
            f"a network of {len(network):,} operations is too large to draw",
            hint=f"At most {MAX_NODES:,} can be drawn.",
        )
    labels = [box_label(node) for node in network.nodes]
    joins = [node.operation.sign for node in network.nodes]
    width = _common_width(labels, joins)
    sizes = [
        (JOIN_SIZE, JOIN_SIZE) if join else (width, LINE_HEIGHT[label.lines])
        for label, join in zip(labels, joins, strict=True)
    ]
    drawing = layout(network, sizes, _stacked(network))
    name, above = _title(network), HEADER if title else 0
    header = (
        Text(MARGIN, MARGIN + 13, name, TITLE_SIZE, bold=True),
        Text(MARGIN, MARGIN + 31, _facts(network), colour=FAINT),
    )[: 2 if title else 0]
    widths = [text_width(text.text, text.size, bold=text.bold) for text in header]
    return Scene(
        width=round(max([drawing.width, *widths])) + 2 * MARGIN + 1,
        height=drawing.height + above + 2 * MARGIN + 1,
        title=name,
        header=header,
        lines=tuple(_line(wire, above) for wire in drawing.wires),
        shapes=tuple(
            _shape(*of, above) for of in zip(network.nodes, labels, drawing.boxes, strict=True)
        ),
    )


def _common_width(labels: list[Label], joins: list[str]) -> int:
    """Return one even width for all boxes that fits every text, also those beside a join."""
    width = 0
    for label, join in zip(labels, joins, strict=True):
        beside = 2 * (JOIN_SIZE // 2 + 8 + text_width(f"{label.title} {label.shape}", SMALL))
        width = max(width, round(beside) if join else label.width)
    return width + width % 2


def _stacked(network: Network) -> set[int]:
    """Return the nodes that come from the same word as the node before, as in `convbn`."""
    stacked: set[int] = set()
    layers = (
        index
        for index, node in enumerate(network.nodes)
        if node.inputs and not node.operation.joined
    )
    for word in network.description.layers():
        for number, _ in enumerate(WORDS[word.kind].build(word.parameters)):
            index = next(layers, None)
            if number and index is not None:
                stacked.add(index)
    return stacked


def _title(network: Network) -> str:
    name = network.name or f"network {network.id}"
    return name if len(name) <= 48 else name[:47] + "…"


def _facts(network: Network) -> str:
    cost = network.cost
    facts = [
        f"{cost.layers:,} layers",
        f"{short(cost.parameters)} parameters",
        f"{short(cost.flops)} FLOPs",
        f"input {times(shape_text(network.input_shape))}",
        f"{network.classes:,} classes" if network.classes else "no classification",
    ]
    return ", ".join(facts)


def _line(wire: Wire, above: int) -> Line:
    return Line(
        wire.source,
        wire.target,
        tuple((x + MARGIN, y + MARGIN + above) for x, y in _turns(wire.points)),
        SKIP if wire.skips else LINE,
        head=not wire.stacked,
    )


def _turns(points: tuple[Point, ...]) -> list[Point]:
    """Keep the ends, and the points between where the line turns."""
    kept = [points[0]]
    for at, after in pairwise(points[1:]):
        before = kept[-1]
        straight = before[0] == at[0] == after[0] or before[1] == at[1] == after[1]
        if at != before and not straight:
            kept.append(at)
    return [*kept, points[-1]]


def _distance(start: Point, end: Point) -> int:
    return abs(end[0] - start[0]) + abs(end[1] - start[1])


def _towards(start: Point, end: Point, step: int) -> Point:
    """Return the point `step` pixels from `start` on the straight line to `end`."""
    length = _distance(start, end) or 1
    return (
        start[0] + step * (end[0] - start[0]) // length,
        start[1] + step * (end[1] - start[1]) // length,
    )


def _shape(node: Node, label: Label, placed: Box, above: int) -> Shape:
    box = Box(placed.x + MARGIN, placed.y + MARGIN + above, placed.width, placed.height)
    about = f"{node.name}: {label.title}"
    about += f", {label.detail}" if label.detail else ""
    about += f" → {label.shape}"
    sign = node.operation.sign
    texts = _join_texts(sign, label, box) if sign else _box_texts(label, box)
    return Shape(node, about, box, bool(sign), colour(node.operation), texts)


def _box_texts(label: Label, box: Box) -> tuple[Text, ...]:
    left, right = box.x + 9, box.x + box.width - 8
    first = box.y + (15 if label.lines == 1 else 14)
    title = Text(left, first, label.title, bold=True)
    shape = Text(right, first, label.shape, anchor="end")
    if not label.detail:
        return title, shape
    if label.lines == 1:
        left += round(text_width(label.title, SIZE, bold=True)) + 8
        return title, shape, Text(left, first, label.detail, SMALL)
    return title, shape, Text(left, box.y + 28, label.detail, SMALL)


def _join_texts(sign: str, label: Label, box: Box) -> tuple[Text, ...]:
    middle = box.y + box.height // 2
    return (
        Text(box.x + box.width // 2, middle + 4, sign, bold=True, anchor="middle"),
        Text(box.x - 6, middle + 3, f"{label.title} {label.shape}", SMALL, anchor="end"),
    )
