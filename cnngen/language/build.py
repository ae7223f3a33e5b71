"""Builds the nodes of the syntax tree from the rules that the parser has matched."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, TypeVar

from cnngen.errors import DescriptionError, Source, Span, shorten
from cnngen.language.tree import Body, Description, Layer, Merge, Node, Value
from cnngen.language.values import parse_count, parse_shape, parse_value

Word = tuple[str, Span]
"""A matched terminal: its text and its span."""

Attributes = dict[str, Any]
"""A rule's attributes by name: each a `Word`, a built node, or a list of these."""

SYNONYMS = {"fullyConnected": "dense"}


def build(rule: str, attributes: Attributes, span: Span, source: Source) -> object:
    """Build the tree node of a matched rule.

    Raises `DescriptionError` for a number out of range or a repeated hyper-parameter.
    """
    return _BUILDERS.get(rule, _layer)(attributes, span, source)


def _layer(attributes: Attributes, span: Span, source: Source) -> Layer:
    kind, _ = attributes["kind"]
    parameters: dict[str, Value] = {}
    spans: dict[str, Span] = {}
    for (name, name_span), (text, text_span) in attributes.get("parameters", ()):
        if name in parameters:
            _refuse(f"'{name}' is given twice", name_span, source)
        parameters[name] = _read(partial(parse_value, name), name, text, text_span, source)
        spans[name] = Span(name_span.start, text_span.end)
    return Layer(SYNONYMS.get(kind, kind), parameters, span, spans)


def _parameter(attributes: Attributes, span: Span, source: Source) -> tuple[Word, Word]:
    return attributes["name"], attributes["value"]


def _input(
    attributes: Attributes, span: Span, source: Source
) -> tuple[tuple[int, int, int] | None, Span]:
    shape: Word | None = attributes.get("shape")
    return _read(parse_shape, "input", *shape, source) if shape else None, span


def _output(attributes: Attributes, span: Span, source: Source) -> tuple[int | None, Span]:
    classes: Word | None = attributes.get("classes")
    return _read(parse_count, "output", *classes, source) if classes else None, span


def _chain(attributes: Attributes, span: Span, source: Source) -> list[Node]:
    """Flatten layers in sequence into one list."""
    chain: list[Node] = []
    for value in attributes.values():
        for part in value if isinstance(value, list) else [value]:
            chain += part if isinstance(part, list) else [part]
    return chain


def _side(attributes: Attributes, span: Span, source: Source) -> list[Node]:
    attributes.pop("empty", None)
    return _chain(attributes, span, source)


def _body(attributes: Attributes, span: Span, source: Source) -> Body:
    return Body(tuple(attributes["left"]), tuple(attributes["right"]), span)


def _branches(attributes: Attributes, span: Span, source: Source) -> Body:
    left, right, *more = map(tuple, (attributes["first"], *attributes["others"]))
    return Body(left, right, span, tuple(more), bare=True)


def _merge(attributes: Attributes, span: Span, source: Source) -> Merge:
    mode = attributes.get("mode")
    bodies = attributes.get("bodies") or [attributes["branches"]]
    return Merge(mode and mode[0], tuple(bodies), span)


def _architecture(attributes: Attributes, span: Span, source: Source) -> Description:
    name = attributes.get("name")
    input_shape, input_span = attributes["input"]
    classes, output_span = attributes["output"]
    head = [attributes["interstice"]] if "interstice" in attributes else []
    for chain in attributes.get("classification", ()):
        head += chain
    return Description(
        tuple(node for chain in attributes["features"] for node in chain),
        tuple(head),
        name and name[0],
        input_shape,
        classes,
        source,
        input_span,
        output_span,
    )


Result = TypeVar("Result")


def _read(
    read: Callable[[str], Result], name: str, text: str, span: Span, source: Source
) -> Result:
    try:
        return read(text)
    except ValueError as error:
        _refuse(f"'{name}' cannot be {shorten(text)}; it is {error}", span, source)


def _refuse(message: str, span: Span, source: Source) -> NoReturn:
    raise DescriptionError(message, source=source, span=span)


# Any other rule is a layer, with the attributes `kind` and `parameters`.
_BUILDERS: dict[str, Callable[[Attributes, Span, Source], object]] = {
    "Architecture": _architecture,
    "Input": _input,
    "Output": _output,
    "FeatureExtraction": _chain,
    "ConvDrop": _chain,
    "Left": _chain,
    "Classification": _chain,
    "Right": _side,
    "MergeBody": _body,
    "Branch": _side,
    "Branches": _branches,
    "Merge": _merge,
    "ConvParameter": _parameter,
    "NormParameter": _parameter,
    "OrderParameter": _parameter,
    "ActivateParameter": _parameter,
    "SqueezeParameter": _parameter,
    "PoolingParameter": _parameter,
    "DropoutParameter": _parameter,
    "DenseParameter": _parameter,
}
