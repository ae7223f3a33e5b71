"""Error-recovering parser: continues after a mistake and reports all of them.

At an unexpected word, the parser takes the cheapest repair: it skips some words or inserts
missing ones. Skipped words are missing from the tree, and inserted layers have an empty span.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from typing import NamedTuple

from cnngen.editor.repair import Words, key, repairs
from cnngen.errors import DescriptionError, Source, Span
from cnngen.language.build import Attributes, Word
from cnngen.language.grammar import Close, Expression, Repeat, Store, Terminal, grammar
from cnngen.language.parser import Machine
from cnngen.language.tree import Description

MAX_ERRORS = 20
"""Maximum number of mistakes, after which the rest of a text is not parsed."""

MAX_SKIPPED = 1000
MAX_MISSING = 8
MAX_MISSING_AT_END = 1000
"""Maximum number of words skipped or inserted at one mistake. A text that is still being written
lacks the brackets of all its open merges.
"""

_LEXEME = re.compile(r"/\*.*|-?[0-9.][\w.]*|\w+|->|.", re.DOTALL)
"""What is skipped as a unit: 3.5 is one mistake, not three, and so is an unclosed comment."""

_PATTERN = "\0"
"""Stands for a missing number or name; not a word."""


class SyntaxToken(NamedTuple):
    """A word of the text, with the terminal it matched and the rule that contains it."""

    terminal: Terminal
    rule: str
    span: Span


@dataclass(frozen=True)
class ParseResult:
    """The result of parsing a text with recovery: its tree (None if too much is wrong), all
    mistakes, and the tokens.
    """

    description: Description | None
    errors: tuple[DescriptionError, ...]
    tokens: tuple[SyntaxToken, ...] = field(repr=False)

    @cached_property
    def is_sentence(self) -> bool:
        return self.description is not None and not self.errors


def parse_on(source: Source) -> ParseResult:
    """Parse a text, recovering from mistakes. The error that `parse` raises is among them."""
    errors: list[DescriptionError] = []
    tokens: list[SyntaxToken] = []
    try:
        description = _Reader(source, errors, tokens).run()
    except DescriptionError as error:
        if error not in errors:
            errors.append(error)
        error.with_traceback(None)
        description = None
    errors.sort(key=_start)
    return ParseResult(description, tuple(errors), tuple(tokens))


@dataclass(frozen=True, slots=True)
class Expected:
    """The words that may come next at the end of a text that is still being written.

    `words` are words and signs, `patterns` are names and numbers. Inside the brackets of a layer,
    `layer` is its word, `given` its hyper-parameters so far, and `parameter` the one whose value
    comes next.
    """

    words: tuple[str, ...] = ()
    patterns: tuple[Terminal, ...] = ()
    rule: str = ""
    layer: str | None = None
    given: tuple[str, ...] = ()
    parameter: str | None = None


def expected(text: str) -> Expected:
    """Return what the grammar allows after a text, which may have mistakes."""
    try:
        _Beginning(Source(text), [], []).run()
    except _Ended as end:
        return end.expected
    except DescriptionError:
        pass
    return Expected()


class _Reader(Machine):
    """The parser of the language, with a repair wherever it would fail."""

    def __init__(
        self, source: Source, errors: list[DescriptionError], tokens: list[SyntaxToken]
    ) -> None:
        self.errors = errors
        self.tokens = tokens
        self.missing: deque[Terminal] = deque()
        """Words to insert here."""
        super().__init__(source, grammar())

    def skip(self) -> None:
        super().skip()
        if not self._fits():
            self._recover()

    def take(self, terminal: Terminal) -> Word:
        if not self.missing:
            word = super().take(terminal)
            self.tokens.append(SyntaxToken(terminal, self.open[-1].rule.name, word[1]))
            return word
        assert self.matches(terminal), "inserted words are chosen to match"
        self.missing.popleft()
        self.passed.clear()
        self._look()
        return terminal.literal or "", Span(self.end, self.end)

    def matches(self, terminal: Terminal) -> int:
        if self.missing and self.missing[0].literal is None:
            return int(terminal is self.missing[0])
        return super().matches(terminal)

    def build(self, rule: str, attributes: Attributes, span: Span) -> object:
        _keep(attributes, _is_written)
        if span.start >= span.end:
            span = Span(span.end, span.end)
        while True:
            try:
                return super().build(rule, attributes, span)
            except DescriptionError as error:
                self._note(error)
                _keep(attributes, partial(_is_not_at, error.span))

    def _fits(self) -> bool:
        """Return whether the next lexeme, or the end of the text, can come here."""
        for e in reversed(self.stack):
            if self.begins(e):
                return True
            if not _is_optional(e):
                return False
        return self.at == len(self.text)

    def _note(self, error: DescriptionError) -> None:
        # A traceback would keep this parser and its whole state alive as long as the error.
        self.errors.append(error.with_traceback(None))
        if len(self.errors) >= MAX_ERRORS:
            raise error

    def _recover(self) -> None:
        """Record the mistake, and continue at the nearest possible position."""
        missing: Expression | None = None
        self.passed = []
        for e in reversed(self.stack):
            if not _is_optional(e):
                missing = e
                break
            if isinstance(e, Repeat):
                self.passed.append(e)
        try:
            self.fail(missing)
        except DescriptionError as error:
            self._note(error)
        best: Words | None = None
        cost = MAX_SKIPPED
        skipped = 0
        begin = self.at
        while skipped < cost:
            words = self._shortest_repair(cost - skipped)
            if words is not None:
                best, cost, begin = words, skipped + len(words), self.at
            lexeme = _LEXEME.match(self.text, self.at)
            if lexeme is None:
                break
            self.at = lexeme.end()
            skipped += 1
            super().skip()
        if best is None:
            raise self.errors[-1]
        self.at = begin
        self.missing.extend(best)
        self._look()

    def _shortest_repair(self, below: int) -> Words | None:
        """Return the fewest words, fewer than `below`, after which the next lexeme can come."""
        table = repairs()
        at_end = self.at == len(self.text)
        below = min(below, (MAX_MISSING_AT_END if at_end else MAX_MISSING) + 1)
        names = [self.lexeme, *(key(t) for t in _patterns() if super(_Reader, self).matches(t))]
        best: Words | None = None
        passed: list[Terminal] = []
        for e in reversed(self.stack):
            if isinstance(e, (Store, Close)):
                continue
            for name in names:
                way = table.before[e].get(name)
                if way is not None and len(passed) + len(way) < below:
                    best = (*passed, *way)
                    below = len(best)
            passed += table.whole[e]
            if len(passed) >= below:
                return best
        return tuple(passed) if at_end else best

    def _look(self) -> None:
        """Continue with the next inserted word, or else with the text."""
        if self.missing:
            self.lexeme = self.missing[0].literal or _PATTERN
        else:
            super().skip()


def _start(error: DescriptionError) -> int:
    return error.span.start if error.span else 0


class _Ended(Exception):
    def __init__(self, expected: Expected) -> None:
        super().__init__()
        self.expected = expected


class _Beginning(_Reader):
    """Parses the beginning of a text, and stops at its end."""

    def skip(self) -> None:
        Machine.skip(self)
        if self.at < len(self.text) and not self._fits():
            self._recover()
        if self.at == len(self.text) and not self.missing:
            raise _Ended(self._expected())

    def _shortest_repair(self, below: int) -> Words | None:
        return () if self.at == len(self.text) else super()._shortest_repair(below)

    def _expected(self) -> Expected:
        words: dict[str, None] = {}
        patterns: list[Terminal] = []
        for e in reversed(self.stack):
            words |= e.first_words
            patterns += e.first_patterns
            if not _is_optional(e):
                break
        rules = self.open[-2:]
        layer = next((rule for rule in reversed(rules) if "kind" in rule.attributes), None)
        inner = self.open[-1] if self.open else None
        parameter = inner.attributes.get("name") if inner and layer and inner is not layer else None
        return Expected(
            tuple(words),
            tuple(patterns),
            inner.rule.name if inner else "",
            layer.attributes["kind"][0] if layer else None,
            tuple(name for (name, _), _ in layer.attributes.get("parameters", ())) if layer else (),
            parameter and parameter[0],
        )


def _is_optional(e: Expression) -> bool:
    return e.nullable or isinstance(e, (Store, Close))


def _is_written(word: Word) -> bool:
    """Return whether a word is in the text, and was not inserted."""
    return word[1].start < word[1].end


def _is_not_at(span: Span | None, word: Word) -> bool:
    return word[1] != span


def _keep(attributes: Attributes, good: Callable[[Word], bool]) -> None:
    """Remove invalid optional attributes from those of a rule."""
    ends = ("shape", "classes") if "value" in attributes else ("shape", "classes", "name")
    for name in ends:
        if name in attributes and not good(attributes[name]):
            del attributes[name]
    if "parameters" in attributes:
        attributes["parameters"] = [
            (name, value) for name, value in attributes["parameters"] if good(name) and good(value)
        ]


@cache
def _patterns() -> tuple[Terminal, ...]:
    """Return one terminal for each pattern of the grammar."""
    terminals = (e for e in grammar().expressions if isinstance(e, Terminal))
    return tuple({t.label: t for t in terminals if t.literal is None}.values())
