"""Descriptions as text."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from cnngen.errors import CnnGenError
from cnngen.language.trampoline import Deep, run
from cnngen.language.tree import Body, Description, Layer, Merge, Node, Value
from cnngen.operations import WORDS, shapes
from cnngen.operations.hyperparameters import VALUE_WORDS, shown

WIDTH = 88
"""Longest line of the long form, unless one layer alone is longer."""

MAX_INDENT = 20
"""Deeper is not shown: indenting n levels truly takes n² characters."""

FOLLOWERS = {"dropout", "max_pooling", "avg_pooling", "pooling"}
"""Layers that belong to the convolution or merge before them."""


def format(description: Description, *, long: bool = False, named: bool = True) -> str:
    """A description as text that parses to an equal description.

    Short: one line. Long: a convolution with its dropout and pooling on each line, merges
    indented. Without `named`, the architecture's name is left out.
    """
    begin = _begin(description, named)
    end = _end(description)
    if not long:
        return " ".join([begin, *_words(description.walk()), end])
    lines = [begin]
    run(_write(description.features, 1, lines))
    lines += _head_lines(description.head)
    return "\n".join([*lines, end]) + "\n"


def beginning(description: Description, width: int) -> str:
    """The short form, or as much of it as `width` characters hold, however long it is."""
    text = _begin(description)
    for word in (*islice(_words(description.walk()), width // 2), _end(description)):
        text += f" {word}"
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _begin(description: Description, named: bool = True) -> str:
    begin = f"{description.name} -> " if named and description.name else ""
    shape = f"({shapes.text(description.input_shape)})" if description.input_shape else ""
    return f"{begin}input{shape}"


def _end(description: Description) -> str:
    return "output" if description.classes is None else f"output({description.classes})"


def layer_text(layer: Layer) -> str:
    """One layer with its given hyper-parameters, in canonical order."""
    if not layer.parameters:
        return layer.kind
    order = WORDS[layer.kind].parameter_names
    names = sorted(layer.parameters, key=order.index)
    given = ", ".join(f"{name}={value_text(layer.parameters[name])}" for name in names)
    return f"{layer.kind}({given})"


def value_text(value: Value) -> str:
    """A hyper-parameter's value as the language writes it.

    Raises `CnnGenError` for what is no value of the language, so that no text holds it.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case str() if value in VALUE_WORDS:
            return VALUE_WORDS[value]
        case int():
            return int.__repr__(value)
        case float():
            return float.__repr__(value)
        case (int(height), int(width)):
            both = int.__repr__(height), int.__repr__(width)
            return both[0] if height == width else "x".join(both)
        case _:
            raise CnnGenError(f"{shown(value)} is no value of a hyper-parameter")


def _words(items: Iterable[Layer | Merge | str]) -> Iterable[str]:
    previous: object = None
    for item in items:
        if (previous, item) == (",", ")"):
            yield "Empty"
        match item:
            case Layer():
                yield layer_text(item)
            case Merge():
                yield _opening(item)
            case _:
                yield item
        previous = item


def _opening(merge: Merge) -> str:
    return "[" if merge.mode is None else f"[{merge.mode}"


def _write(nodes: Iterable[Node], depth: int, lines: list[str]) -> Deep[None]:
    """Append the lines of nodes in sequence."""
    indent = "  " * min(depth, MAX_INDENT)
    alone = True
    for node in nodes:
        if isinstance(node, Merge):
            lines.append(indent + _opening(node))
            for body in node.bodies:
                yield _write_body(body, depth + 1, lines)
            lines.append(indent + "]")
            alone = False
            continue
        text = layer_text(node)
        follows = node.kind in FOLLOWERS and not alone
        if follows and len(lines[-1]) + 1 + len(text) <= WIDTH:
            lines[-1] += f" {text}"
        else:
            lines.append(indent + text)
        alone = False


def _write_body(body: Body, depth: int, lines: list[str]) -> Deep[None]:
    """Append a body: on one line where it fits there."""
    indent = "  " * min(depth, MAX_INDENT)
    if not any(isinstance(node, Merge) for node in body.left):
        layers = [layer_text(node) for node in body.left if isinstance(node, Layer)]
        right = [layer_text(layer) for layer in body.right] or ["Empty"]
        line = f"{indent}( {' '.join(layers)} , {' '.join(right)} )"
        if len(line) <= WIDTH:
            lines.append(line)
            return
    lines.append(indent + "(")
    yield _write(body.left, depth + 1, lines)
    lines.append(indent + ",")
    if body.right:
        yield _write(body.right, depth + 1, lines)
    else:
        lines.append(indent + "  Empty")
    lines.append(indent + ")")


def _head_lines(head: Iterable[Layer]) -> Iterable[str]:
    """The classification: each dense layer with the dropout before it."""
    dropout = ""
    for layer in head:
        if layer.kind == "dropout":
            dropout = layer_text(layer) + " "
        else:
            yield f"  {dropout}{layer_text(layer)}"
            dropout = ""
