"""Write a report as one HTML file, or as Markdown with pictures in a folder.

The content of a block is plain text; both writers escape any markup in it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cnngen.runs.dataset_card import plain
from cnngen.system import markup


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of a chapter."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts; all columns after the first `texts` are figures, aligned to the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 1


@dataclass(frozen=True, slots=True)
class Image:
    """An SVG picture with the name of its file and a caption."""

    name: str
    caption: str
    svg: bytes


Block = Heading | Paragraph | Table | Image

# No scripts, fonts or requests, not even from an untrusted picture.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

STYLE = """
body { font: 16px/1.55 system-ui, sans-serif; color: #1a1a1a; background: #fff;
  max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; font-size: 0.9rem; display: block; overflow-x: auto; }
th, td { padding: 0.25rem 0.7rem; border-bottom: 1px solid #ddd; text-align: left; }
th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1.5rem 0; } figcaption { font-size: 0.9rem; color: #4d4d4d; }
img { max-width: 100%; height: auto; }
"""


def to_html(title: str, blocks: Sequence[Block]) -> str:
    """Return a self-contained HTML page without scripts."""
    body = "\n".join(line for block in blocks for line in _html(block))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{markup.text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{markup.text(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def to_markdown(title: str, blocks: Sequence[Block], pictures: str) -> str:
    """Return Markdown that refers to pictures in the folder `pictures`."""
    lines = [f"# {plain(title)}", ""]
    for block in blocks:
        lines += [*_markdown(block, pictures), ""]
    return "\n".join(lines)


def _html(block: Block) -> Iterator[str]:
    match block:
        case Heading(text):
            yield f"<h2>{markup.text(text)}</h2>"
        case Paragraph(text):
            yield f"<p>{markup.text(text)}</p>"
        case Image(_, caption, svg):
            data = base64.b64encode(svg).decode()
            yield f'<figure><img alt="{markup.text(caption)}" src="data:image/svg+xml;base64,{data}">'
            yield f"<figcaption>{markup.text(caption)}</figcaption></figure>"
        case Table(columns, rows, texts):
            yield markup.table(columns, rows, texts)


def _markdown(block: Block, pictures: str) -> Iterator[str]:
    match block:
        case Heading(text):
            yield f"## {plain(text)}"
        case Paragraph(text):
            yield plain(text)
        case Image(name, caption, _):
            yield f"![{plain(caption)}]({pictures}/{file_name(name)})"
            yield ""
            yield f"*{plain(caption)}*"
        case Table(columns, rows, texts):
            yield "| " + " | ".join(map(plain, columns)) + " |"
            yield "|" + "---|" * texts + "---:|" * (len(columns) - texts)
            for row in rows:
                yield "| " + " | ".join(map(plain, row)) + " |"


def file_name(name: str) -> str:
    """Return the file name of a picture, made of lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") + ".svg"
