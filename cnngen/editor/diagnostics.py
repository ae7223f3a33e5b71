"""What is wrong with a text, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cnngen.editor.analysis import DEFAULTS, TextSettings, analyse
from cnngen.errors import CnnGenError, Source, Span

Severity = Literal["error", "information", "hint"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A mistake or remark. `span` is empty where something is missing, as at the text's end;
    `hint` says what would be right."""

    span: Span
    severity: Severity
    message: str
    hint: str | None = None


def diagnostics(text: str, settings: TextSettings = DEFAULTS) -> list[Diagnostic]:
    """Everything that is wrong with a text, in its order.

    Errors: every mistake of syntax and every number out of range; in a text without those,
    the first contradiction of its dimensions. There is an error exactly where `cnngen check`
    refuses the text. Hint: the text is a backbone, which cannot be trained. Information:
    something was not checked.
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
    # A space that cannot be read has a place in its own file, none in this text.
    span = error.span if error.span is not None and error.source == source else Span(0, 0)
    return Diagnostic(span, "error", error.message, error.hint)
