"""The outline of a text with its layers and merges, and its folding ranges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from cnngen.editor.analysis import (
    DEFAULTS,
    Element,
    TextSettings,
    analyse,
    comments,
    parse_result,
    word_at,
)
from cnngen.editor.rename import name_span
from cnngen.errors import Span
from cnngen.language.trampoline import Recursive, run_recursive
from cnngen.language.tree import Body, Layer, Merge, Node
from cnngen.operations import shapes

MAX_DEPTH = 20
MAX_SYMBOLS = 10_000
"""Maximum number of symbols: editors recurse into an outline and draw all of it."""

SymbolKind = Literal["network", "end", "layer", "merge", "side"]


@dataclass(frozen=True, slots=True)
class Symbol:
    """A part of the text. `span` covers all of it, `word` its name."""

    name: str
    kind: SymbolKind
    span: Span
    word: Span
    detail: str = ""
    children: tuple[Symbol, ...] = ()


def symbols(text: str, settings: TextSettings = DEFAULTS) -> list[Symbol]:
    """Return the outline: the network, its layers with their output shapes, its merges' sides.

    Empty if the text cannot be parsed.
    """
    analysis = analyse(text, settings)
    description = analysis.parsed.description
    if description is None:
        return []
    writer = _Outline(text, {element.written: element for element in analysis.elements})
    inner: list[Symbol] = []
    first, last = description.input_span, description.output_span
    if first.start < first.end:
        detail = shapes.text(analysis.input_node.shape) if analysis.input_node else ""
        inner.append(Symbol("input", "end", first, first, detail))
    inner += run_recursive(writer.chain(description.features, 0))
    inner += run_recursive(writer.chain(description.head, 0))
    if last.start < last.end:
        inner.append(Symbol("output", "end", last, last))
    tokens = analysis.parsed.tokens
    whole = Span(tokens[0].span.start, tokens[-1].span.end) if tokens else Span(0, len(text))
    word = name_span(text) or (first if first.start < first.end else Span(whole.start, whole.start))
    cost = analysis.network.cost if analysis.network else None
    detail = f"{cost.layers} layers, {cost.parameters:,} parameters" if cost else ""
    name = description.name or "network"
    return [Symbol(name, "network", whole, word, detail, tuple(inner))]


def folds(text: str) -> list[Span]:
    """Return the spans of merges, bodies and comments of several lines, which can be folded.

    A span starts on its first line and ends on its last, both of which stay visible.
    """
    description = parse_result(text).description
    found = list(comments(text)) if description else []
    for item in description.walk() if description else ():
        if isinstance(item, Merge):
            found += [item.span, *(body.span for body in item.bodies)]
    return sorted(span for span in found if "\n" in text[span.start : span.end])


class _Outline:
    """Builds the symbols of a tree, limited in number and depth for editors."""

    def __init__(self, text: str, elements: Mapping[Node, Element]) -> None:
        self.text = text
        self.elements = elements
        self.count = 0

    def chain(self, nodes: Iterable[Node], depth: int) -> Recursive[list[Symbol]]:
        found: list[Symbol] = []
        for node in nodes:
            self.count += 1
            if self.count > MAX_SYMBOLS:
                break
            if node.span.start >= node.span.end:
                continue
            element = self.elements.get(node)
            detail = shapes.text(element.nodes[-1].shape) if element and element.nodes else ""
            if isinstance(node, Layer):
                word = word_at(self.text, node.span.start)
                name = self.text[word.start : word.end]
                found.append(Symbol(name, "layer", node.span, word, detail))
                continue
            sides: list[Symbol] = []
            if depth < MAX_DEPTH:
                for number, body in enumerate(node.bodies, 1):
                    sides += yield self.body(body, f" {number}" * (len(node.bodies) > 1), depth)
            resolved = element.resolved if element else node
            mode = resolved.mode if isinstance(resolved, Merge) else None
            opening = Span(node.span.start, node.span.start + 1)
            found.append(Symbol(mode or "merge", "merge", node.span, opening, detail, tuple(sides)))
        return found

    def body(self, body: Body, number: str, depth: int) -> Recursive[list[Symbol]]:
        sides = []
        for place, nodes in enumerate(body.sides):
            name = body.side_name(place)
            standing = [node for node in nodes if node.span.start < node.span.end]
            if standing:
                span = Span(standing[0].span.start, standing[-1].span.end)
                inner = yield self.chain(nodes, depth + 1)
                sides.append(Symbol(name + number, "side", span, span, "", tuple(inner)))
        return sides
