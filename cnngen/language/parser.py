"""Text to syntax tree: the compiled grammar, run on an explicit stack."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cnngen.errors import DescriptionError, Source, Span
from cnngen.language.grammar import (
    Assign,
    Choice,
    Expression,
    Grammar,
    Repeat,
    Rule,
    Sequence,
    Terminal,
    grammar,
)
from cnngen.language.tree import Body, Description, Layer, Merge, Node
from cnngen.language.values import parse_count, parse_shape, parse_value

MAX_CHARACTERS = 8 * 2**20
"""Longer texts are refused before they are read: they are no networks."""

MAX_DEPTH = 100_000
"""Merges inside merges, so that 8 MB of brackets cannot fill the memory."""

SYNONYMS = {"fullyConnected": "dense"}

_LEXEME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|.", re.DOTALL)
_FOUND = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9][0-9.x]*|->|.", re.DOTALL)


def parse(text: str, name: str = "<text>") -> Description:
    """Parse one description. `name` stands for the text in messages.

    Raises `DescriptionError` with line and column where the text is no sentence of the
    language or a number is out of range.
    """
    source = Source(text, name)
    if len(text) > MAX_CHARACTERS:
        raise DescriptionError(
            f"the text has {len(text):,} characters, more than {MAX_CHARACTERS:,}",
            hint="A description holds one network.",
            source=source,
        )
    description = _Machine(source, grammar()).run()
    assert isinstance(description, Description)
    return description


def read(path: str | Path) -> Description:
    """Parse a `.cnn` file, UTF-8.

    Raises `DescriptionError` for another extension, an unreadable file, or a bad text.
    """
    path = Path(path)
    source = Source("", str(path))
    if path.suffix != ".cnn":
        raise DescriptionError("descriptions end in .cnn", source=source)
    try:
        if path.stat().st_size > 4 * MAX_CHARACTERS:
            raise DescriptionError("the file is too large for a description", source=source)
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DescriptionError(f"cannot be read: {error.strerror}", source=source) from None
    except UnicodeDecodeError as error:
        raise DescriptionError(
            f"is no text: byte {error.start} is not UTF-8", source=source
        ) from None
    return parse(text, str(path))


class _Close:
    """Stack entries that finish what was begun: a rule, an attribute."""

    __slots__ = ("rule",)

    def __init__(self, rule: Rule) -> None:
        self.rule = rule


class _Machine:
    """One parse: a stack of expressions still to match, a stack of rules being built."""

    def __init__(self, source: Source, grammar: Grammar) -> None:
        self.source = source
        self.text = source.text
        self.grammar = grammar
        self.expected: dict[str, None] = {}
        self.at = self.end = 0
        self.skip()

    def skip(self) -> None:
        """Pass white space and comments, and look at what comes next."""
        match = self.grammar.comment.match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        lexeme = _LEXEME.match(self.text, self.at)
        self.lexeme = lexeme.group() if lexeme else ""

    def begins(self, e: Expression) -> bool:
        """Whether the next lexeme can begin an expression."""
        if self.lexeme in e.first_words:
            return True
        for terminal in e.first_patterns:
            assert terminal.pattern is not None
            if self.lexeme not in self.grammar.words and terminal.pattern.match(self.text, self.at):
                return True
        return False

    def expect(self, e: Expression) -> None:
        self.expected.update(dict.fromkeys(f"'{word}'" for word in e.first_words))
        self.expected.update(dict.fromkeys(t.label for t in e.first_patterns))

    def take(self, terminal: Terminal) -> tuple[str, Span]:
        start = self.at
        if terminal.literal is not None:
            if self.lexeme != terminal.literal:
                self.fail(terminal)
            self.end = start + len(terminal.literal)
        else:
            assert terminal.pattern is not None
            match = terminal.pattern.match(self.text, start)
            if match is None or self.lexeme in self.grammar.words:
                self.fail(terminal)
            self.end = match.end()
        self.at = self.end
        self.expected.clear()
        self.skip()
        return self.text[start : self.end], Span(start, self.end)

    def run(self) -> object:
        stack: list[Expression | _Close | Assign | str] = [self.grammar.start]
        open_rules: list[tuple[dict[str, Any], int]] = []
        depth = 0
        value: Any = None
        while stack:
            e = stack.pop()
            match e:
                case Terminal():
                    value = self.take(e)
                case Sequence():
                    stack += e.reversed_parts
                case Choice():
                    for option in e.options:
                        if self.begins(option):
                            stack.append(option)
                            break
                    else:
                        self.fail(e)
                case Repeat():
                    self.repeat(e, stack)
                case Assign():
                    stack += (e.attribute, e.part)
                case Rule():
                    if e.name == "Merge":
                        depth += 1
                        if depth > MAX_DEPTH:
                            self.error(f"merges are nested deeper than {MAX_DEPTH:,}")
                    open_rules.append(({}, self.at))
                    stack += (_Close(e), e.part)
                case _Close():
                    name = e.rule.name
                    depth -= name == "Merge"
                    attributes, start = open_rules.pop()
                    build = _BUILDERS.get(name, _layer)
                    value = build(self, attributes, Span(start, self.end))
                case str():
                    if e.endswith("+"):
                        open_rules[-1][0].setdefault(e[:-1], []).append(value)
                    else:
                        open_rules[-1][0][e] = value
        if self.at < len(self.text):
            self.expected["the end"] = None
            self.fail(None)
        return value

    def repeat(self, e: Repeat, stack: list[Any]) -> None:
        """One round of a repetition; the next is left on the stack."""
        if not e.at_least_one and not self.begins(e.part):
            self.expect(e.part)
            return
        if not e.once:
            stack.append(_again(e))
        if e.attribute is not None:
            stack.append(f"{e.attribute}+")
        stack.append(e.part)

    def fail(self, e: Expression | None) -> Any:
        """Say what was found and what could stand there."""
        if e is not None:
            self.expect(e)
        found = _FOUND.match(self.text, self.at)
        word = found.group() if found else ""
        expected = list(self.expected)
        shown = f"'{word}'" if word.isprintable() else f"the character U+{ord(word[0]):04X}"
        hint = None
        close = difflib.get_close_matches(
            f"'{word}'".lower(), [option.lower() for option in expected], n=1, cutoff=0.75
        )
        if close and word:
            hint = f"Did you mean {next(x for x in expected if x.lower() == close[0])}?"
        elif self.text.startswith("/*", self.at):
            hint = "The comment is not closed: */ is missing."
        self.error(
            f"found {shown[:60] if word else 'the end of the text'}, expected {_either(expected)}",
            Span(self.at, self.at + max(1, len(word))),
            hint,
        )

    def error(self, message: str, span: Span | None = None, hint: str | None = None) -> None:
        raise DescriptionError(
            message, hint=hint, source=self.source, span=span or Span(self.at, self.at + 1)
        )


_AGAIN: dict[Repeat, Repeat] = {}


def _again(e: Repeat) -> Repeat:
    """The rounds of a repetition after its first: the separator decides, or the part."""
    if e not in _AGAIN:
        part = e.part
        if e.separator is not None:
            part = Sequence(reversed_parts=(e.part, e.separator))
            part.first_words = e.separator.first_words
        _AGAIN[e] = again = Repeat(part=part, attribute=e.attribute)
        _AGAIN[again] = again
    return _AGAIN[e]


def _either(options: list[str]) -> str:
    if len(options) < 2:
        return "".join(options)
    return f"{', '.join(options[:-1])} or {options[-1]}"


# What each rule of the grammar builds, from its attributes. Rules that are not named here
# are layers: their attributes are `kind` and `parameters`.

Attributes = dict[str, Any]


def _layer(machine: _Machine, attributes: Attributes, span: Span) -> Layer:
    kind, kind_span = attributes["kind"]
    parameters: dict[str, Any] = {}
    spans: dict[str, Span] = {}
    for name, name_span, value, value_span in attributes.get("parameters", ()):
        if name in parameters:
            machine.error(f"'{name}' is given twice", name_span)
        parameters[name] = _checked(machine, name, value, value_span)
        spans[name] = Span(name_span.start, value_span.end)
    kind = SYNONYMS.get(kind, kind)
    if not parameters:
        return Layer(kind, span=kind_span)
    return Layer(kind, parameters, span, spans)


def _checked(machine: _Machine, name: str, text: str, span: Span) -> Any:
    try:
        if name == "input":
            return parse_shape(text)
        return parse_count(text) if name == "output" else parse_value(name, text)
    except ValueError as error:
        machine.error(f"'{name}' cannot be {text[:40]}; it is {error}", span)


def _parameter(machine: _Machine, attributes: Attributes, span: Span) -> tuple[Any, ...]:
    return (*attributes["name"], *attributes["value"])


def _input(machine: _Machine, attributes: Attributes, span: Span) -> tuple[Any, Span]:
    shape = attributes.get("shape")
    return shape and _checked(machine, "input", *shape), span


def _output(machine: _Machine, attributes: Attributes, span: Span) -> tuple[Any, Span]:
    classes = attributes.get("classes")
    return classes and _checked(machine, "output", *classes), span


def _chain(machine: _Machine, attributes: Attributes, span: Span) -> list[Node]:
    """Layers that stand in sequence, as one flat list."""
    chain: list[Node] = []
    for value in attributes.values():
        for part in value if isinstance(value, list) else [value]:
            chain += part if isinstance(part, list) else [part]
    return chain


def _right(machine: _Machine, attributes: Attributes, span: Span) -> list[Layer]:
    return attributes.get("convolutions", [])


def _body(machine: _Machine, attributes: Attributes, span: Span) -> Body:
    return Body(tuple(attributes["left"]), tuple(attributes["right"]), span)


def _merge(machine: _Machine, attributes: Attributes, span: Span) -> Merge:
    mode = attributes.get("mode")
    return Merge(mode and mode[0], tuple(attributes["bodies"]), span)


def _architecture(machine: _Machine, attributes: Attributes, span: Span) -> Description:
    name = attributes.get("name")
    input_shape, input_span = attributes["input"]
    classes, output_span = attributes["output"]
    head = [attributes["interstice"]] if "interstice" in attributes else []
    return Description(
        tuple(node for chain in attributes["features"] for node in chain),
        tuple(head + [layer for chain in attributes.get("classification", ()) for layer in chain]),
        name and name[0],
        input_shape,
        classes,
        machine.source,
        input_span,
        output_span,
    )


_BUILDERS: dict[str, Callable[[_Machine, Attributes, Span], Any]] = {
    "Architecture": _architecture,
    "Input": _input,
    "Output": _output,
    "FeatureExtraction": _chain,
    "ConvDrop": _chain,
    "Left": _chain,
    "Classification": _chain,
    "Right": _right,
    "MergeBody": _body,
    "Merge": _merge,
    "ConvParameter": _parameter,
    "NormParameter": _parameter,
    "PoolingParameter": _parameter,
    "DropoutParameter": _parameter,
    "DenseParameter": _parameter,
}
