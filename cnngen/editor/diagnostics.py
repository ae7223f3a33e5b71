"""Diagnostics: everything that is wrong with a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cnngen.editor.analysis import DEFAULTS, TextSettings, analyse
from cnngen.errors import CnnGenError, Source, Span

Severity = Literal["error", "information", "hint"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A mistake or remark. `span` is empty if something is missing, as at the end of the text.
    `hint` says what would be right.
    """

    span: Span
    severity: Severity
    message: str
    hint: str | None = None


def diagnostics(text: str, settings: TextSettings = DEFAULTS) -> list[Diagnostic]:
    """Return all diagnostics of a text, in its order.

    Errors are all mistakes of syntax and numbers out of range; in a text without any, the first
    contradiction of its dimensions. There is an error if and only if `cnngen check` refuses the
    text. A hint says that the text is a backbone, which cannot be trained. An information says
    that something was not checked.
    """
    analysis = analyse(text, settings)
    parsed = analysis.parsed
    found = [_error(error, analysis.source) for error in parsed.errors]
    if analysis.contradiction is not None and not found:
        found.append(_error(analysis.contradiction, analysis.source))
    if analysis.unchecked is not None:
        start = parsed.tokens[0].span if parsed.tokens else Span(0, 0)
        hint = "`cnngen check FILE` checks it."
        found.append(Diagnostic(start, "information", analysis.unchecked, hint))
    description = parsed.description
    if description is not None and parsed.is_sentence and description.is_backbone:
        found.append(
            Diagnostic(
                description.output_span,
                "hint",
                "a backbone: it can be drawn and generated, but not trained",
                "Before the output, add an interstice and a dense layer: flatten dense",
            )
        )
    return found


def _error(error: CnnGenError, source: Source) -> Diagnostic:
    # The error of an unreadable space has a position in its own file, not in this text.
    span = error.span if error.span is not None and error.source == source else Span(0, 0)
    return Diagnostic(span, "error", error.message, error.hint)
