"""Formats syntax trees as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cnngen.language.trampoline import Recursive, run_recursive
from cnngen.language.tree import (
    Body,
    Description,
    Layer,
    Merge,
    Node,
    ends,
    layer_text,
    line,
    opening,
)

WIDTH = 88
"""Maximum line length of the long form; a single longer layer exceeds it."""

MAX_INDENT = 20
"""Columns of indentation are capped at this depth: indenting n levels takes n² characters."""

FOLLOWERS = {"dropout", "max_pooling", "avg_pooling", "pooling"}
"""Layers that stay on the line of the convolution or merge before them."""


def format(description: Description, *, long: bool = False, named: bool = True) -> str:
    """Format a description as text that parses to an equal description.

    The short form is a single line. With `long`, each convolution has a line of its own,
    together with its dropout and pooling, and merges are indented. Without `named`, the
    name of the architecture is left out.
    """
    if not long:
        return line(description, named=named)
    begin, end = ends(description, named=named)
    lines = [begin]
    run_recursive(_write(description.features, 1, lines))
    lines += _head_lines(description.head)
    return "\n".join([*lines, end]) + "\n"


def _write(nodes: Iterable[Node], depth: int, lines: list[str]) -> Recursive[None]:
    """Append the lines of nodes in sequence."""
    indent = "  " * min(depth, MAX_INDENT)
    alone = True
    for node in nodes:
        if isinstance(node, Merge):
            lines.append(indent + opening(node))
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


def _write_body(body: Body, depth: int, lines: list[str]) -> Recursive[None]:
    """Append a body, or branches, on one line if they fit."""
    indent = "  " * min(depth, MAX_INDENT)
    sides = list(map(_on_one_line, body.sides))
    line = " | ".join(sides) if body.bare else f"( {' , '.join(sides)} )"
    if all(sides) and len(indent) + len(line) <= WIDTH:
        lines.append(indent + line)
        return
    sign = "("
    for number, side in enumerate(body.sides):
        if not body.bare:
            lines.append(indent + sign)
        first = len(lines)
        if side:
            yield _write(side, depth + 1, lines)
        else:
            lines.append(indent + "  Empty")
        if body.bare and number:
            lines[first] = f"{indent}| {lines[first].lstrip()}"
        sign = ","
    if not body.bare:
        lines.append(indent + ")")


def _on_one_line(side: Sequence[Node]) -> str:
    """Format a side without merges; empty for another one."""
    layers = [layer_text(node) for node in side if isinstance(node, Layer)]
    return "" if len(layers) < len(side) else " ".join(layers) or "Empty"


def _head_lines(head: Iterable[Layer]) -> Iterable[str]:
    """Yield the lines of the head: each dense layer with the dropout before it."""
    dropout = ""
    for layer in head:
        if layer.kind == "dropout":
            dropout = layer_text(layer) + " "
        else:
            yield f"  {dropout}{layer_text(layer)}"
            dropout = ""
