"""Draws a network as PDF: one page with lines and texts, for papers."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from cnngen.network.network import Network
from cnngen.network.picture.scene import Line, Scene, Shape, Text, scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 72
"""Points an inch; a pixel of the SVG is a point."""

STROKE = 1.2
ALIGNED = {"start": "left", "middle": "center", "end": "right"}


def to_pdf(network: Network, *, title: bool = True) -> bytes:
    """Draw a network as PDF, with the shapes of the SVG and texts that can be searched.

    `title` draws its name and size above. Equal networks give equal files. Raises `CnnGenError`
    for a network that is too large to draw.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    page = scene(network, title=title)
    with mpl.rc_context(
        {"pdf.fonttype": 42, "font.family": "DejaVu Sans", "text.parse_math": False}
    ):
        figure = Figure(figsize=(page.width / POINTS, page.height / POINTS))
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, page.width), ylim=(page.height, 0))
        axes.axis("off")
        _draw(page, axes)
        file = BytesIO()
        figure.savefig(file, format="pdf", metadata={"CreationDate": None, "Title": page.title})
    return file.getvalue()


def _draw(page: Scene, axes: Axes) -> None:
    for text in page.header:
        _text(text, axes)
    for line in page.lines:
        _line(line, axes)
    for shape in page.shapes:
        _shape(shape, axes)


def _text(text: Text, axes: Axes) -> None:
    axes.text(
        text.x,
        text.y,
        text.text,
        fontsize=text.size,
        fontweight="bold" if text.bold else "normal",
        horizontalalignment=ALIGNED[text.anchor],
        verticalalignment="baseline",
        color=text.colour,
    )


def _line(line: Line, axes: Axes) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    points, codes = [line.points[0]], [Path.MOVETO]
    for before, turn, after, _ in line.corners():
        points += [before, turn, after]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    points.append(line.end())
    codes.append(Path.LINETO)
    axes.add_patch(PathPatch(Path(points, codes), fill=False, ec=line.colour, lw=STROKE))
    if line.head:
        x, y = line.points[-1]
        sides = (
            [(x - 4, y - 6), (x + 4, y - 6)]
            if line.goes_down()
            else [(x + 6, y - 4), (x + 6, y + 4)]
        )
        axes.fill(*zip((x, y), *sides, strict=True), color=line.colour, lw=0)


def _shape(shape: Shape, axes: Axes) -> None:
    from matplotlib.patches import Circle, FancyBboxPatch, Patch

    box, fill, edge = shape.box, shape.colour.fill, shape.colour.line
    patch: Patch
    if shape.circle:
        radius = box.width / 2
        patch = Circle((box.x + radius, box.y + radius), radius, fc=fill, ec=edge, lw=1)
    else:
        patch = FancyBboxPatch(
            (box.x, box.y), box.width, box.height, boxstyle="round,pad=0,rounding_size=3", fc=fill,
            ec=edge, lw=1,
        )  # fmt: skip
    axes.add_patch(patch)
    for text in shape.texts:
        _text(text, axes)
