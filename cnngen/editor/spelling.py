"""Corrects misspelt words."""

from __future__ import annotations

from difflib import get_close_matches

from cnngen.editor.analysis import parse_result
from cnngen.editor.edits import Edit, apply
from cnngen.editor.recovery import expected
from cnngen.errors import Span

CLOSE = 0.75
"""Minimum similarity of a word and its correction (difflib's ratio)."""

LONGEST = 64
MAX_WORDS = 8


def corrections(text: str) -> list[Edit]:
    """Return edits that correct misspelt words to words the grammar allows there.

    Empty if the text would still have a syntax error.
    """
    edits: list[Edit] = []
    moved = 0  # characters by which the text after the last edit has moved
    for _ in range(MAX_WORDS):
        parsed = parse_result(text)
        if parsed.is_sentence:
            return edits
        span = parsed.errors[0].span if parsed.errors else None
        edit = _correction(text, span) if span else None
        if edit is None or (edits and edit.span.start - moved < edits[-1].span.end):
            return []
        text = apply(text, [edit])
        edits.append(Edit(Span(edit.span.start - moved, edit.span.end - moved), edit.text))
        moved += len(edit.text) - (edit.span.end - edit.span.start)
    return []


def _correction(text: str, span: Span) -> Edit | None:
    if span.end - span.start > LONGEST:
        return None
    words = {word.lower(): word for word in expected(text[: span.start]).words}
    close = get_close_matches(text[span.start : span.end].lower(), words, n=1, cutoff=CLOSE)
    return Edit(span, words[close[0]]) if close else None
