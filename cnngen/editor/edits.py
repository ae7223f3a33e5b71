"""Text edits: applying them, and finding the edit between two texts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cnngen.errors import Span


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """A replacement of a span by a text. The edits of one text never overlap."""

    span: Span
    text: str


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Apply all edits to a text."""
    parts: list[str] = []
    at = 0
    for edit in sorted(edits):
        parts += (text[at : edit.span.start], edit.text)
        at = edit.span.end
    return "".join([*parts, text[at:]])


def difference(old: str, new: str) -> list[Edit]:
    """Return the single edit that turns one text into another; no edit if they are equal."""
    if old == new:
        return []
    limit = min(len(old), len(new))
    start = next((i for i in range(limit) if old[i] != new[i]), limit)
    limit -= start
    end = next((i for i in range(limit) if old[-1 - i] != new[-1 - i]), limit)
    return [Edit(Span(start, len(old) - end), new[start : len(new) - end])]
