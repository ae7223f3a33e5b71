"""Writes out open hyper-parameters as the seed draws them."""

from __future__ import annotations

from cnngen.editor.analysis import DEFAULTS, Element, TextSettings, analyse, word_at
from cnngen.editor.edits import Edit
from cnngen.errors import Span
from cnngen.language.tree import Layer, Merge, value_text
from cnngen.operations import WORDS, shapes


def fill(text: str, settings: TextSettings = DEFAULTS, within: Span | None = None) -> list[Edit]:
    """Return edits that write out what is left open, in a text or in a part of it.

    The values are those that the seed of the settings draws. What is given stays as written,
    with its comments. Once all is filled in, every seed gives the same network. Empty if nothing
    is open, or if the text has errors.
    """
    analysis = analyse(text, settings)
    description = analysis.parsed.description
    if analysis.network is None or description is None or not analysis.parsed.is_sentence:
        return []
    edits: list[Edit] = []
    if not description.input_shape and _touch(description.input_span, within):
        shape = shapes.text(analysis.network.input_shape)
        edits.append(_after(description.input_span, f"({shape})"))
    for element in analysis.elements:
        span = element.written.span
        match element.written:
            case Layer() if _touch(span, within):
                edits += _layer(text, element)
            case Merge() if _touch(Span(span.start, span.start + 1), within):
                edits += _merge(text, element)
    classes = analysis.network.classes
    if description.classes is None and classes and _touch(description.output_span, within):
        edits.append(_after(description.output_span, f"({classes})"))
    return edits


def _layer(text: str, element: Element) -> list[Edit]:
    written, resolved = element.written, element.resolved
    assert isinstance(written, Layer)
    assert isinstance(resolved, Layer)
    edits = []
    if resolved.kind != written.kind:
        edits.append(Edit(word_at(text, written.span.start), resolved.kind))
    missing = ", ".join(
        f"{name}={value_text(resolved.parameters[name])}"
        for name in WORDS[resolved.kind].parameter_names
        if name in resolved.parameters and name not in written.parameters
    )
    if missing and written.parameters:
        last = max(span.end for span in written.parameter_spans.values())
        edits.append(Edit(Span(last, last), f", {missing}"))
    elif missing:
        edits.append(_after(written.span, f"({missing})"))
    return edits


def _merge(text: str, element: Element) -> list[Edit]:
    written, resolved = element.written, element.resolved
    assert isinstance(written, Merge)
    assert isinstance(resolved, Merge)
    if written.mode is not None or resolved.mode is None:
        return []
    after = written.span.start + 1
    gap = "" if text[after].isspace() else " "
    return [Edit(Span(after, after), resolved.mode + gap)]


def _after(span: Span, text: str) -> Edit:
    return Edit(Span(span.end, span.end), text)


def _touch(span: Span, within: Span | None) -> bool:
    return within is None or (span.start <= within.end and within.start <= span.end)
