"""Semantic tokens: the words of a text with their kinds, for syntax highlighting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cnngen.editor.analysis import comments, parse_result
from cnngen.editor.meanings import kind_of
from cnngen.errors import Span
from cnngen.language.grammar import LABELS, Terminal

TokenKind = Literal["name", "keyword", "layer", "parameter", "value", "number", "comment"]


@dataclass(frozen=True, slots=True)
class Coloured:
    """A word and its kind."""

    span: Span
    kind: TokenKind


def tokens(text: str) -> list[Coloured]:
    """Return the words, numbers and comments of a text, in its order, without signs."""
    read = parse_result(text).tokens
    found = [Coloured(span, "comment") for span in comments(text)] if read else []
    for token in read:
        kind = _kind(token.terminal)
        if kind is not None:
            found.append(Coloured(token.span, kind))
    return sorted(found, key=lambda token: token.span)


def _kind(terminal: Terminal) -> TokenKind | None:
    if terminal.literal is None:
        return {LABELS["Name"]: "name", LABELS["Arrow"]: None}.get(terminal.label, "number")
    kind = kind_of(terminal.literal)
    return None if kind == "sign" else kind
