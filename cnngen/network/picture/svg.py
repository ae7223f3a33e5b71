"""Draws a network as SVG: one file without scripts, style sheets or references.

Each node is a group `<g class="node">` with its name, its number and its range in the text as
`data-node`, `data-index` and `data-span` (start and end), so that a page can make it clickable.
Each edge is a path with the numbers of its two nodes in `data-edge`.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from cnngen.network.network import Network
from cnngen.network.picture.labels import SIZE
from cnngen.network.picture.scene import INK, LINE, Line, Scene, Shape, Text, scene

FONTS = "'DejaVu Sans', Verdana, Geneva, Arial, sans-serif"


def to_svg(network: Network, *, title: bool = True) -> str:
    """Draw a network as SVG: boxes from top to bottom, right sides of merges beside them.

    `title` draws its name and size above. The output is deterministic. Raises `CnnGenError` for a
    network that is too large to draw.
    """
    return "\n".join(_elements(scene(network, title=title))) + "\n"


def _elements(page: Scene) -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{page.width}" height="{page.height}" '
        f'viewBox="0 0 {page.width} {page.height}" font-family="{FONTS}" font-size="{SIZE}" '
        f'fill="{INK}">'
    )
    yield f"<title>{_safe(page.title)}</title>"
    yield f'<rect width="{page.width}" height="{page.height}" fill="#ffffff"/>'
    yield from map(_text, page.header)
    # Shifted by half a pixel, a line one pixel wide fills exactly one row of pixels.
    yield '<g transform="translate(0.5 0.5)">'
    yield f'<g fill="none" stroke="{LINE}" stroke-width="1.2">'
    for line in page.lines:
        yield f'<path data-edge="{line.source} {line.target}" d="{_path(line)}"{_stroke(line)}/>'
    yield "</g>"
    for colour in sorted({line.colour for line in page.lines if line.head}):
        heads = (_head(line) for line in page.lines if line.head and line.colour == colour)
        yield f'<path fill="{colour}" d="{"".join(heads)}"/>'
    yield "</g>"
    for index, shape in enumerate(page.shapes):
        yield _node(index, shape)
    yield "</svg>"


def _node(index: int, shape: Shape) -> str:
    box, span = shape.box, shape.node.span
    paint = f'fill="{shape.colour.fill}" stroke="{shape.colour.line}"'
    if shape.circle:
        radius = box.width // 2
        outline = f'<circle cx="{box.x + radius}.5" cy="{box.y + radius}.5" r="{radius}" {paint}/>'
    else:
        outline = (
            f'<rect x="{box.x}.5" y="{box.y}.5" width="{box.width}" height="{box.height}" rx="3" '
            f"{paint}/>"
        )
    texts = "".join(map(_text, shape.texts))
    return (
        f'<g class="node" data-node={quoteattr(_clean(shape.node.name))} data-index="{index}" '
        f'data-span="{span.start} {span.end}"><title>{_safe(shape.about)}</title>'
        f"{outline}{texts}</g>"
    )


def _text(text: Text) -> str:
    style = f' font-size="{text.size}"' if text.size != SIZE else ""
    style += ' font-weight="bold"' if text.bold else ""
    style += f' text-anchor="{text.anchor}"' if text.anchor != "start" else ""
    style += f' fill="{text.colour}"' if text.colour != INK else ""
    return f'<text x="{text.x}" y="{text.y}"{style}>{_safe(text.text)}</text>'


def _stroke(line: Line) -> str:
    return f' stroke="{line.colour}"' if line.colour != LINE else ""


def _path(line: Line) -> str:
    (x, y), parts = line.points[0], []
    for (in_x, in_y), (x_turn, y_turn), (out_x, out_y), _ in line.corners():
        parts.append(f"L{in_x} {in_y}Q{x_turn} {y_turn} {out_x} {out_y}")
    end_x, end_y = line.end()
    return f"M{x} {y}{''.join(parts)}L{end_x} {end_y}"


def _head(line: Line) -> str:
    x, y = line.points[-1]
    return f"M{x} {y}l-3.5 -6h7z" if line.goes_down() else f"M{x} {y}l6 -3.5v7z"


def _safe(text: str) -> str:
    return escape(_clean(text))


def _clean(text: str) -> str:
    """Replace characters that XML cannot represent."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
