"""Hover: the shapes, hyper-parameters, weights and FLOPs of the word under the cursor."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from cnngen.editor.analysis import DEFAULTS, Analysis, Element, TextSettings, analyse
from cnngen.editor.meanings import meaning
from cnngen.editor.recovery import SyntaxToken
from cnngen.errors import Span
from cnngen.language.grammar import LABELS
from cnngen.language.tree import Layer, Merge, layer_text, value_text
from cnngen.network import Network
from cnngen.network.cost import short
from cnngen.operations import shapes
from cnngen.operations.shapes import Shape


@dataclass(frozen=True, slots=True)
class Hover:
    """Information on the word in `span`, as Markdown.

    `shape` is the output shape for one example, `parameters` the number of trained weights,
    `flops` twice the multiply-adds of one example. They are None for a word without operations,
    or if the dimensions are unknown.
    """

    span: Span
    markdown: str
    shape: Shape | None = None
    parameters: int | None = None
    flops: int | None = None


def hover(text: str, offset: int, settings: TextSettings = DEFAULTS) -> Hover | None:
    """Return information on the word at an offset; None between words and in comments."""
    analysis = analyse(text, settings)
    token = _token_at(analysis.parsed.tokens, offset)
    if token is None:
        return None
    word = text[token.span.start : token.span.end]
    if token.terminal.label in (LABELS["Name"], LABELS["Arrow"]) or token.rule in (
        "Input",
        "Output",
    ):
        return _of_network(analysis, token, word)
    element = _element_at(analysis.elements, token)
    if token.rule.endswith("Parameter"):
        return _of_parameter(token, element)
    if element is not None and isinstance(element.written, Layer):
        return _of_layer(analysis, element)
    if element is not None and token.terminal.literal in ("[", "]", "add", "concat"):
        return _of_merge(analysis, element)
    note = meaning(word)
    if not note:
        return None
    lines = [f"**{word}** – {note}"]
    if analysis.network is None:
        lines.append(_why_unknown(analysis))
    return Hover(token.span, "\n\n".join(lines))


def drawn(element: Element) -> frozenset[str]:
    """Return what a layer or merge left open: hyper-parameters, `kind`, or `mode`."""
    match element.written, element.resolved:
        case Layer() as written, Layer() as resolved:
            kind = {"kind"} if written.kind != resolved.kind else set()
            return frozenset(kind | (resolved.parameters.keys() - written.parameters.keys()))
        case Merge(mode=None), _:
            return frozenset({"mode"})
        case _:
            return frozenset()


def _token_at(tokens: tuple[SyntaxToken, ...], offset: int) -> SyntaxToken | None:
    """Return the token around an offset, or else the one that ends there."""
    at = bisect_right(tokens, offset, key=lambda token: token.span.start) - 1
    return tokens[at] if at >= 0 and offset <= tokens[at].span.end else None


def _element_at(elements: tuple[Element, ...], token: SyntaxToken) -> Element | None:
    """Return the innermost layer or merge around a token."""
    at = (
        bisect_right(elements, token.span.start, key=lambda element: element.written.span.start) - 1
    )
    while at >= 0 and elements[at].written.span.end < token.span.end:
        at -= 1
    return elements[at] if at >= 0 else None


def _of_network(analysis: Analysis, token: SyntaxToken, word: str) -> Hover:
    network = analysis.network
    if network is None:
        note = meaning(word) or "the network's name"
        return Hover(token.span, f"**{word}** – {note}\n\n{_why_unknown(analysis)}")
    cost = network.cost
    first = shapes.text(network.input_shape)
    last = shapes.text(network.output_shape)
    what = "a backbone" if network.is_backbone else f"{network.classes} classes"
    lines = [
        f"**{network.name or 'network'}** – {first} → {last}, {what}",
        f"{cost.layers} layers · {cost.parameters:,} parameters · {short(cost.flops)} FLOPs",
    ]
    if any(drawn(element) for element in analysis.elements):
        lines.append(_seed_note(analysis, "What is open"))
    shape = network.input_shape if token.rule == "Input" else network.output_shape
    return Hover(token.span, "\n\n".join(lines), shape, cost.parameters, cost.flops)


def _of_layer(analysis: Analysis, element: Element) -> Hover:
    assert analysis.network is not None
    assert isinstance(element.resolved, Layer)
    first, last = element.nodes[0], element.nodes[-1]
    (before,) = analysis.network.input_shapes(first)
    parameters, flops = _cost(analysis.network, element)
    lines = [
        f"**{element.resolved.kind}** – {meaning(element.resolved.kind)}",
        f"{shapes.text(before)} → **{shapes.text(last.shape)}** · {parameters:,} parameters · "
        f"{short(flops)} FLOPs",
    ]
    if element.resolved.parameters:
        lines.append(f"`{layer_text(element.resolved)}`")
    lines += _drawn_note(analysis, element)
    return Hover(element.written.span, "\n\n".join(lines), last.shape, parameters, flops)


def _of_merge(analysis: Analysis, element: Element) -> Hover:
    assert analysis.network is not None
    assert isinstance(element.resolved, Merge)
    mode = element.resolved.mode or ""
    joins = [
        " + ".join(shapes.text(shape) for shape in analysis.network.input_shapes(node))
        + f" → **{shapes.text(node.shape)}**"
        for node in element.nodes
    ]
    lines = [f"**{mode}** – {meaning(mode)}", "  \n".join(joins), *_drawn_note(analysis, element)]
    span = Span(element.written.span.start, element.written.span.start + 1)
    return Hover(span, "\n\n".join(lines), element.nodes[-1].shape, 0, 0)


def _of_parameter(token: SyntaxToken, element: Element | None) -> Hover | None:
    written = element.written if element else None
    if not isinstance(written, Layer):
        return None
    for name, span in written.parameter_spans.items():
        if span.start <= token.span.start < span.end:
            value = value_text(written.parameters[name])
            return Hover(span, f"**{name}={value}** – {meaning(name)}")
    return None


def _cost(network: Network, element: Element) -> tuple[int, int]:
    inputs = [(node.operation, network.input_shapes(node)) for node in element.nodes]
    parameters = sum(operation.parameters(*given) for operation, given in inputs)
    return parameters, 2 * sum(operation.multiply_adds(*given) for operation, given in inputs)


def _drawn_note(analysis: Analysis, element: Element) -> list[str]:
    names = drawn(element)
    if not names:
        return []
    order = ["kind", "mode"]
    if isinstance(element.resolved, Layer):
        order += element.resolved.parameters
    return [_seed_note(analysis, ", ".join(sorted(names, key=order.index)) + " left open:", "")]


def _seed_note(analysis: Analysis, what: str, verb: str = " is") -> str:
    settings = analysis.settings
    return f"*{what}{verb} drawn from space `{settings.space}` with seed {settings.seed}*"


def _why_unknown(analysis: Analysis) -> str:
    if analysis.contradiction is not None:
        return "*unknown shape: the dimensions contradict each other*"
    return f"*unknown shape: {analysis.unchecked or 'the text has too many errors'}*"
