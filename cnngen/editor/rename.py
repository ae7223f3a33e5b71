"""Renames the architecture."""

from __future__ import annotations

from cnngen.editor.analysis import parse_result
from cnngen.editor.edits import Edit
from cnngen.errors import CnnGenError, Span, shorten
from cnngen.language.grammar import LABELS, grammar
from cnngen.language.tree import NAME


def name_span(text: str) -> Span | None:
    """Return the span of the architecture's name; None if it has none."""
    for token in parse_result(text).tokens[:1]:
        if token.terminal.label == LABELS["Name"]:
            return token.span
    return None


def rename(text: str, name: str) -> list[Edit]:
    """Change or insert the name of the architecture.

    Raises `CnnGenError` for an invalid name.
    """
    if not NAME.fullmatch(name) or name in grammar().words:
        raise CnnGenError(
            f"'{shorten(name)}' cannot be a name",
            hint="A name has up to 64 of A-Z a-z 0-9 _, does not begin with a digit, and is not a "
            "reserved word.",
        )
    span = name_span(text)
    if span is not None:
        return [Edit(span, name)]
    first = parse_result(text).tokens[:1]
    start = first[0].span.start if first else 0
    return [Edit(Span(start, start), f"{name} -> ")]
