"""Changes to a text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cnngen.errors import Span


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """Text that takes the place of a span; several edits of one text never overlap."""

    span: Span
    text: str


def apply(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits made."""
    parts: list[str] = []
    at = 0
    for edit in sorted(edits):
        parts += (text[at : edit.span.start], edit.text)
        at = edit.span.end
    return "".join([*parts, text[at:]])


def difference(old: str, new: str) -> list[Edit]:
    """The one edit that makes a text another, none where they are equal."""
    if old == new:
        return []
    limit = min(len(old), len(new))
    start = next((i for i in range(limit) if old[i] != new[i]), limit)
    limit -= start
    end = next((i for i in range(limit) if old[-1 - i] != new[-1 - i]), limit)
    return [Edit(Span(start, len(old) - end), new[start : len(new) - end])]
