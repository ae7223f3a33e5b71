"""Draws a network as PNG with Pillow.

The picture has the same shapes as the SVG. Texts, corners and boxes recur, so each is drawn once
at a larger size, reduced for smooth edges, and kept as a mask. This takes a quarter of the time
of a general rasteriser such as resvg (`benchmarks/picture.py`).
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.util import find_spec
from io import BytesIO
from math import ceil, inf, sqrt
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from cnngen.errors import CnnGenError
from cnngen.network.network import Network
from cnngen.network.picture.layout import Point
from cnngen.network.picture.scene import Line, Scene, Shape, Text, scene

MAX_PIXELS = 50_000_000
SMOOTH = 4
"""Factor by which masks are drawn larger before they are reduced."""

Mask = Image.Image


def to_png(network: Network, scale: float = 1.0, *, title: bool = True) -> bytes:
    """Draw a network as PNG, with `scale` pixels for each pixel of the SVG.

    `title` draws its name and size above. A picture of more than `MAX_PIXELS` is scaled down.
    Raises `CnnGenError` for a network that is too large to draw, and for a scale that is not a
    number above 0.
    """
    if not 0 < scale < inf:
        raise CnnGenError(
            f"the scale cannot be {scale}", hint="1 is the size of the SVG, 2 is twice that."
        )
    page = scene(network, title=title)
    scale = min(scale, sqrt(MAX_PIXELS / (page.width * page.height)))
    file = BytesIO()
    _Painter(page, scale).image.save(file, "PNG", compress_level=1)
    return file.getvalue()


class _Painter:
    """A page being painted; `image` is the result."""

    def __init__(self, page: Scene, scale: float) -> None:
        self.scale = scale
        size = (max(1, int(page.width * scale)), max(1, int(page.height * scale)))
        self.image = Image.new("RGB", size, "#ffffff")
        self.canvas = ImageDraw.Draw(self.image)
        self.stroke = max(1, round(1.2 * scale))
        for text in page.header:
            self.text(text)
        for line in page.lines:
            self.line(line)
        for shape in page.shapes:
            self.shape(shape)

    def at(self, coordinate: int) -> float:
        """Convert a coordinate to pixels; lines run through the centres of pixels."""
        return (coordinate + 0.5) * self.scale

    def text(self, text: Text) -> None:
        mask, left, top, width = _text_mask(text.text, text.size * self.scale, text.bold)
        x = text.x * self.scale - {"start": 0, "middle": width / 2, "end": width}[text.anchor]
        self.stamp(mask, x + left, text.y * self.scale + top, text.colour)

    def line(self, line: Line) -> None:
        start = line.points[0]
        for before, turn, after, radius in line.corners():
            self.piece(start, before, line.colour)
            self.corner(before, turn, after, radius, line.colour)
            start = after
        self.piece(start, line.end(), line.colour)
        if line.head:
            x, y = map(self.at, line.points[-1])
            down = line.goes_down()
            mask = _head_mask(self.scale, down)
            if down:
                self.stamp(mask, x - mask.width / 2, y - 6 * self.scale, line.colour)
            else:
                self.stamp(mask, x, y - mask.height / 2, line.colour)

    def piece(self, start: Point, end: Point, colour: str) -> None:
        (left, right), (top, bottom) = sorted((start[0], end[0])), sorted((start[1], end[1]))
        x0, y0 = (round(self.at(c) - self.stroke / 2) for c in (left, top))
        x1, y1 = (round(self.at(c) - self.stroke / 2) for c in (right, bottom))
        self.canvas.rectangle((x0, y0, x1 + self.stroke - 1, y1 + self.stroke - 1), fill=colour)

    def corner(self, before: Point, turn: Point, after: Point, radius: int, colour: str) -> None:
        if not radius:
            return
        others = (before, after)
        right = any(x > turn[0] for x, _ in others)
        below = any(y > turn[1] for _, y in others)
        mask = _corner_mask(round(radius * self.scale), self.stroke, right, below)
        # The mask ends at the outer edges of the two lines, which meet at `turn`.
        x, y = (round(self.at(c) - self.stroke / 2) for c in turn)
        reach = mask.width - self.stroke
        self.stamp(mask, x if right else x - reach, y if below else y - reach, colour)

    def shape(self, shape: Shape) -> None:
        box = shape.box
        x0, y0 = (round(self.at(c) - self.stroke / 2) for c in (box.x, box.y))
        x1, y1 = (
            round(self.at(c) + self.stroke / 2) for c in (box.x + box.width, box.y + box.height)
        )
        radius = box.width * self.scale if shape.circle else 3.5 * self.scale
        edge = max(1, round(self.scale))
        outer = _box_mask(x1 - x0, y1 - y0, radius)
        inner = _box_mask(x1 - x0 - 2 * edge, y1 - y0 - 2 * edge, max(0, radius - edge))
        self.stamp(outer, x0, y0, shape.colour.line)
        self.stamp(inner, x0 + edge, y0 + edge, shape.colour.fill)
        for text in shape.texts:
            self.text(text)

    def stamp(self, mask: Mask, x: float, y: float, colour: str) -> None:
        """Paint a colour through a mask."""
        self.image.paste(colour, (round(x), round(y)), mask)


@lru_cache(4096)
def _text_mask(text: str, size: float, bold: bool) -> tuple[Mask, float, float, float]:
    """Return a text's mask, its offset from the start of its baseline, and its advance."""
    font = _font(size * SMOOTH, bold)
    # A margin of whole pixels around the text, so that reducing the mask does not shift it.
    left, top, right, bottom = font.getbbox(text, anchor="ls")
    left, top = SMOOTH * (int(left) // SMOOTH), SMOOTH * (int(top) // SMOOTH)
    mask = _large(ceil((right - left) / SMOOTH) + 1, ceil((bottom - top) / SMOOTH) + 1)
    ImageDraw.Draw(mask).text((-left, -top), text, fill=255, font=font, anchor="ls")
    return mask.reduce(SMOOTH), left / SMOOTH, top / SMOOTH, font.getlength(text) / SMOOTH


@lru_cache(256)
def _box_mask(width: int, height: int, radius: float) -> Mask:
    mask = _large(max(1, width), max(1, height))
    edges = (0, 0, mask.width - 1, mask.height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(edges, radius * SMOOTH, fill=255)
    return mask.reduce(SMOOTH)


@lru_cache(64)
def _head_mask(scale: float, down: bool) -> Mask:
    long, wide = SMOOTH * 6 * scale, SMOOTH * 7 * scale
    if down:
        mask = _large(ceil(7 * scale), ceil(6 * scale))
        points = [(0.0, 0.0), (wide, 0.0), (wide / 2, long)]
    else:
        mask = _large(ceil(6 * scale), ceil(7 * scale))
        points = [(0.0, wide / 2), (long, 0.0), (long, wide)]
    ImageDraw.Draw(mask).polygon(points, fill=255)
    return mask.reduce(SMOOTH)


@lru_cache(64)
def _corner_mask(radius: int, stroke: int, right: bool, below: bool) -> Mask:
    """Return the mask of a quarter ring that joins two lines leaving in the given directions."""
    size = radius + stroke
    mask = _large(size, size)
    outer, inner = SMOOTH * size, SMOOTH * (size - stroke)
    x, y = outer if right else 0, outer if below else 0
    canvas = ImageDraw.Draw(mask)
    for reach, fill in ((outer, 255), (inner, 0)):
        if reach:
            canvas.ellipse((x - reach, y - reach, x + reach - 1, y + reach - 1), fill=fill)
    return mask.reduce(SMOOTH)


def _large(width: int, height: int) -> Mask:
    return Image.new("L", (width * SMOOTH, height * SMOOTH))


@lru_cache(64)
def _font(size: float, bold: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = str(font_folder() / name)
    return ImageFont.truetype(path, max(1, int(size)), layout_engine=ImageFont.Layout.BASIC)


@cache
def font_folder() -> Path:
    """Return matplotlib's folder of DejaVu Sans, without importing matplotlib."""
    spec = find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
