"""Parses text into a syntax tree by running the compiled grammar on an explicit stack."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from cnngen.errors import DescriptionError, Source, Span, shorten
from cnngen.language.build import Attributes, build
from cnngen.language.grammar import (
    LABELS,
    Assign,
    Choice,
    Close,
    Expression,
    Grammar,
    Repeat,
    Rule,
    Sequence,
    Store,
    Terminal,
    grammar,
)
from cnngen.language.other_names import hint_for
from cnngen.language.tree import Description

MAX_CHARACTERS = 72 * 2**20
"""Longer texts are refused before they are read. The longest that a tree within the limits below
is written as has some 70 million: 220 a layer, 264 a body with the merge around it."""

MAX_LAYERS = 200_000
"""Limits memory: a layer takes about half a kilobyte, and a text may hold millions."""

MAX_DEPTH = 100_000
"""Maximum nesting of merges."""

MAX_BODIES = 100_000
"""Bodies of merges, which may hold nothing but a merge; so there are no more merges than that."""

MAX_BRANCHES = 100_000
"""Branches of merges, separated by `|`, which may all be `Empty`."""

_FOUND = re.compile(r"-?[0-9.][\w.]*|\w+|->|/\*|.", re.DOTALL)


def parse(text: str, name: str = "<text>") -> Description:
    """Parse the text of one description. `name` identifies the text in messages.

    Raises `DescriptionError`, with line and column, if the text is not valid in the language
    or a number is out of range.
    """
    source = Source(text, name)
    if len(text) > MAX_CHARACTERS:
        raise DescriptionError(
            f"the text has {len(text):,} characters, more than {MAX_CHARACTERS:,}",
            hint="A description holds one network.",
            source=source,
        )
    return Machine(source, grammar()).run()


def read(path: str | Path) -> Description:
    """Parse a `.cnn` file, encoded in UTF-8.

    Raises `DescriptionError` for another extension, an unreadable file, or an invalid text.
    """
    path = Path(path)
    source = Source("", str(path))
    if path.suffix != ".cnn":
        raise DescriptionError("descriptions end in .cnn", source=source)
    try:
        # Reading a device or a pipe may never end.
        if path.exists() and not path.is_file():
            raise DescriptionError("not a regular file", source=source)
        with path.open("rb") as file:
            content = file.read(MAX_CHARACTERS + 1)
    except OSError as error:
        raise DescriptionError(f"cannot be read: {error.strerror}", source=source) from None
    except ValueError:
        raise DescriptionError("not a valid file path", source=source) from None
    return decode(content, str(path))


def decode(content: bytes, name: str) -> Description:
    """Parse the content of a file. `name` identifies it in messages.

    Raises `DescriptionError` as `parse` does, and for bytes that are not UTF-8.
    """
    if len(content) > MAX_CHARACTERS:
        raise DescriptionError(
            f"is too large for a description: more than {MAX_CHARACTERS:,} bytes",
            source=Source("", name),
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DescriptionError(
            f"not a text file: byte {error.start} is not UTF-8", source=Source("", name)
        ) from None
    return parse(text, name)


@dataclass(slots=True)
class _Open:
    """A rule that is being matched, with the attributes found so far."""

    rule: Rule
    start: int
    attributes: Attributes = field(default_factory=dict)


class Machine:
    """One run of the parser: a stack of expressions still to match and a stack of open rules.

    `cnngen.editor.recovery` overrides `skip`, `take` and `build` to go on after a mistake, so
    check it when you change when these are called.
    """

    def __init__(self, source: Source, grammar: Grammar) -> None:
        self.source = source
        self.text = source.text
        self.grammar = grammar
        self.stack: list[Expression] = [grammar.start]
        self.open: list[_Open] = []
        self.passed: list[Repeat] = []
        """Repetitions that ended here, and could have continued with the next lexeme."""
        self.at = int(self.text.startswith("\ufeff"))
        self.end = self.at
        self.skip()

    def run(self) -> Description:
        stack = self.stack
        value: object = None
        depth = layers = bodies = branches = 0
        while stack:
            e = stack.pop()
            # Most frequent first. A `match` statement makes parsing a third slower.
            if type(e) is Assign:
                stack.append(e.store)
                stack.append(e.part)
            elif type(e) is Terminal:
                value = self.take(e)
            elif type(e) is Store:
                attributes = self.open[-1].attributes
                if e.many:
                    attributes.setdefault(e.attribute, []).append(value)
                else:
                    attributes[e.attribute] = value
            elif type(e) is Repeat:
                if not self.begins(e.part):
                    self.passed.append(e)
                elif e.once:
                    stack.append(e.part)
                else:
                    stack += (e, e.part)
            elif type(e) is Sequence:
                stack += e.parts[::-1]
            elif type(e) is Choice:
                stack.append(e.by_word.get(self.lexeme) or self.choose(e))
            elif type(e) is Rule:
                depth += e.name == "Merge"
                if depth > MAX_DEPTH:
                    self.refuse(f"merges are nested deeper than {MAX_DEPTH:,}")
                self.open.append(_Open(e, self.at))
                stack.append(e.close)
                stack.append(e.part)
            elif type(e) is Close:
                rule = e.rule
                depth -= rule.name == "Merge"
                done = self.open.pop()
                span = Span(done.start, self.end)
                layers += "kind" in done.attributes
                if layers > MAX_LAYERS:
                    self.refuse(f"there are more than {MAX_LAYERS:,} layers", span)
                bodies += rule.name == "MergeBody"
                if bodies > MAX_BODIES:
                    self.refuse(f"there are more than {MAX_BODIES:,} bodies of merges", span)
                branches += rule.name == "Branch"
                if branches > MAX_BRANCHES:
                    self.refuse(f"there are more than {MAX_BRANCHES:,} branches of merges", span)
                value = self.build(rule.name, done.attributes, span)
        if self.at < len(self.text):
            self.fail(None)
        assert isinstance(value, Description)
        return value

    def build(self, rule: str, attributes: Attributes, span: Span) -> object:
        """Build the tree node of a matched rule."""
        return build(rule, attributes, span, self.source)

    def skip(self) -> None:
        """Skip white space and comments, and find the next lexeme."""
        found = self.grammar.lexeme.match(self.text, self.at)
        assert found is not None
        self.lexeme = lexeme = found["next"] or ""
        self.at = found.end() - len(lexeme)

    def begins(self, e: Expression) -> bool:
        """Return whether the next lexeme can start an expression."""
        if self.lexeme in e.first_words:
            return True
        return e.first_patterns != () and any(map(self.matches, e.first_patterns))

    def choose(self, e: Choice) -> Expression:
        """Return the option that the next lexeme can start."""
        for option in e.options:
            if self.begins(option):
                return option
        return self.fail(e)

    def matches(self, terminal: Terminal) -> int:
        """Return how many of the next characters a terminal matches; 0 if it does not match."""
        if terminal.pattern is None:
            return len(self.lexeme) if self.lexeme == terminal.literal else 0
        match = terminal.pattern.match(self.text, self.at)
        return len(match.group()) if match and self.lexeme not in self.grammar.words else 0

    def take(self, terminal: Terminal) -> tuple[str, Span]:
        length = self.matches(terminal)
        if not length:
            self.fail(terminal)
        start = self.at
        self.at = self.end = start + length
        self.passed.clear()
        self.skip()
        return self.text[start : self.end], Span(start, self.end)

    def fail(self, missing: Expression | None) -> NoReturn:
        """Raise an error that says what was found and what was expected.

        `missing` is the expression that did not match, None for the end of the text.
        """
        expected = _expected([*self.passed, *([missing] if missing else [])])
        if missing is None:
            expected.append("the end of the text")
        found = _FOUND.match(self.text, self.at)
        if found is None:
            message = f"found the end of the text, expected {_either(expected)}"
            self.refuse(message, Span(self.end, self.end))
        word = found.group()
        shown = f"'{shorten(word)}'" if word.isprintable() else f"the character U+{ord(word):04X}"
        message = f"found {shown}, expected {_either(expected)}"
        self.refuse(message, Span(*found.span()), self.hint(word, expected))

    def hint(self, word: str, expected: list[str]) -> str | None:
        """Guess what was meant by an unexpected word."""
        if word == "/*":
            return "The comment is not closed: */ is missing."
        if expected == [LABELS["Arrow"]]:
            return "A description begins with 'input', or with its name and '->'."
        if expected == ["'('"] and self.open[-1].rule.name == "LateDropout":
            return "A dropout stands before the pooling, or names its rate: dropout(rate=0.2)."
        allowed = {option.strip("'") for option in expected}
        is_name = LABELS["Name"] in expected
        if not is_name and (named := hint_for(word, allowed)) is not None:
            return named
        if word in self.grammar.words:
            return f"'{word}' is reserved and cannot be a name." if is_name else None
        options = {option.strip("'").lower(): option for option in expected}
        close = difflib.get_close_matches(word[:64].lower(), options, n=1, cutoff=0.75)
        return f"Did you mean {options[close[0]]}?" if close else None

    def refuse(self, message: str, span: Span | None = None, hint: str | None = None) -> NoReturn:
        span = span or Span(self.at, self.at + 1)
        raise DescriptionError(message, hint=hint, source=self.source, span=span)


def _expected(beginnings: list[Expression]) -> list[str]:
    """List what expressions can start with: words, then names and numbers, then signs."""
    labels: dict[str, None] = {}
    for e in beginnings:
        labels |= dict.fromkeys(f"'{word}'" for word in e.first_words)
        labels |= dict.fromkeys(terminal.label for terminal in e.first_patterns)
    return sorted(labels, key=_rank)


def _rank(label: str) -> int:
    if label[0] != "'":
        return 1
    return 0 if label[1].isalpha() else 2


def _either(options: list[str]) -> str:
    if len(options) < 2:
        return "".join(options)
    return f"{', '.join(options[:-1])} or {options[-1]}"
