"""Descriptions as text."""

from __future__ import annotations

from cnngen import shapes
from cnngen.language.tree import Description, Layer, Merge, Value
from cnngen.operations import WORDS

WIDTH = 88


def format(description: Description, *, long: bool = False, named: bool = True) -> str:
    """A description as text that parses to an equal description.

    Short: one line. Long: a layer with its dropout and pooling on each line, merges
    indented. Without `named`, the architecture's name is left out.
    """
    head = f"{description.name} -> " if named and description.name else ""
    head += "input"
    if description.input_shape:
        head += f"({shapes.text(description.input_shape)})"
    tail = "output" if description.classes is None else f"output({description.classes})"
    words = [head, *_words(description), tail]
    if not long:
        return " ".join(words)
    return "\n".join(_lines(words)) + "\n"


def layer_text(layer: Layer) -> str:
    """One layer with its given hyper-parameters, in canonical order."""
    if not layer.parameters:
        return layer.kind
    order = WORDS[layer.kind].parameter_names()
    names = sorted(layer.parameters, key=order.index)
    given = ", ".join(f"{name}={value_text(layer.parameters[name])}" for name in names)
    return f"{layer.kind}({given})"


def value_text(value: Value) -> str:
    """A hyper-parameter's value as the language writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case (height, width):
            return str(height) if height == width else f"{height}x{width}"
        case _:
            return str(value)


def _words(description: Description) -> list[str]:
    words = []
    previous: object = None
    for item in description.walk():
        if item == ")" and previous == ",":
            words.append("Empty")
        match item:
            case Layer():
                words.append(layer_text(item))
            case Merge():
                words.append("[" if item.mode is None else f"[{item.mode}")
            case str():
                words.append(item)
        previous = item
    return words


def _lines(words: list[str]) -> list[str]:
    """Lines of the long form: brackets open and close an indentation, layers share lines."""
    lines: list[str] = []
    depth = 0
    line: list[str] = []

    def flush() -> None:
        if line:
            lines.append("  " * min(depth, 40) + " ".join(line))
            line.clear()

    for word in words[:-1]:
        match word[0]:
            case "[":
                flush()
                line.append(word)
                flush()
                depth += 1
            case "(":
                line.append("(")
                flush()
                depth += 1
            case ",":
                flush()
                depth -= 1
                line.append(",")
                flush()
                depth += 1
            case ")" | "]":
                flush()
                depth -= 1
                line.append(word)
                flush()
            case _:
                follows = word.startswith(("dropout", "max_pool", "avg_pool", "pooling"))
                width = sum(map(len, line)) + len(line) + len(word) + 2 * depth
                if line and not (follows and width <= WIDTH):
                    flush()
                line.append(word)
    flush()
    lines = [lines[0], *("  " + text for text in lines[1:])]
    return [*lines, words[-1]]
