"""Inlay hints: the output shape after each layer."""

from __future__ import annotations

from dataclasses import dataclass

from cnngen.editor.analysis import DEFAULTS, Element, TextSettings, analyse
from cnngen.editor.hover import drawn
from cnngen.errors import Span
from cnngen.operations import shapes


@dataclass(frozen=True, slots=True)
class Hint:
    """A remark shown within a line, after an offset. It is `drawn` if it depends on the seed."""

    offset: int
    text: str
    drawn: bool


def hints(text: str, settings: TextSettings = DEFAULTS, within: Span | None = None) -> list[Hint]:
    """Return the output shape of the input and of every layer and merge in a part of the text."""
    analysis = analyse(text, settings)
    description = analysis.parsed.description
    if analysis.network is None or description is None:
        return []
    found: list[Hint] = []
    uncertain = False
    for element in analysis.elements:
        # Layers after a drawn layer depend on it.
        uncertain = uncertain or _is_drawn(element)
        if element.nodes:
            shape = shapes.text(element.nodes[-1].shape)
            found.append(Hint(element.written.span.end, f"→ {shape}", uncertain))
    if description.input_span.end > description.input_span.start and not description.input_shape:
        shape = shapes.text(analysis.network.input_shape)
        found.append(Hint(description.input_span.end, f"→ {shape}", True))
    if within is not None:
        found = [hint for hint in found if within.start <= hint.offset <= within.end]
    return sorted(found, key=lambda hint: hint.offset)


def _is_drawn(element: Element) -> bool:
    return bool(
        drawn(element) & {"filters", "kernel", "size", "stride", "padding", "units", "mode"}
    )
