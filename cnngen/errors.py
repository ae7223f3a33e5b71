"""Every error a user can cause: what is wrong, where, and what would be right.

The command line prints them, an editor can underline them: both read the same fields.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple


class Span(NamedTuple):
    """A half-open range of characters of a text, counted from 0."""

    start: int
    end: int


@dataclass(frozen=True)
class Source:
    """A text and the name under which messages speak of it."""

    text: str = field(repr=False)
    name: str = "<text>"

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(end.end() for end in LINE_END.finditer(self.text))]

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of a character, both counted from 1."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """A line, counted from 1, without its end."""
        start = self._line_starts[number - 1]
        end = LINE_END.search(self.text, start)
        return self.text[start : end.start() if end else len(self.text)]

    def excerpt(self, span: Span, width: int = 76) -> str:
        """The line a span starts in, cut to `width` characters, with carets under the span."""
        number, column = self.position(span.start)
        line = self.line(number)
        start = max(0, min(column - 1 - width // 2, len(line) - width))
        shown = printable(line[start : start + width])
        before = shown[: column - 1 - start]
        marked = shown[len(before) : len(before) + span.end - span.start]
        carets = "^" * max(1, _columns(marked))
        return f"  {shown.rstrip()}\n  {' ' * _columns(before)}{carets}"


LINE_END = re.compile(r"\r\n?|\n")
"""Where a line ends, for the grammar's comments, messages and editors alike: fewer characters
than Python's `splitlines` takes."""


def printable(text: str) -> str:
    """A text with a space for each character that is none to be seen.

    Such are control characters and escapes, which a terminal obeys, marks that turn the
    direction of writing, further ends of lines, and lone surrogates, which no file can hold.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def printable_lines(text: str) -> str:
    """The same for a text of several lines, which stay."""
    return "\n".join(map(printable, text.split("\n")))


def shorten(text: str, width: int = 40) -> str:
    """A text that fits into a message: printable, and cut to `width` characters."""
    return printable(text if len(text) <= width else text[: width - 1] + "…")


def counted(number: int, what: str) -> str:
    """A number of things, in the plural where it is not one."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


class CnnGenError(Exception):
    """A mistake in what CNNGen was given.

    `message` says what is wrong, `hint` what would be right; `source` and `span` say
    where, for errors in a text.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        source: Source | None = None,
        span: Span | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.source = source
        self.span = span

    @property
    def position(self) -> tuple[int, int] | None:
        """Line and column, from 1, where the error has a place in a text."""
        if self.source is None or self.span is None:
            return None
        return self.source.position(self.span.start)

    def __str__(self) -> str:
        place = ""
        if self.source is not None:
            place = f"{printable(self.source.name)}:"
            if self.position is not None:
                place += f"{self.position[0]}:{self.position[1]}:"
            place += " "
        lines = [place + self.message]
        if self.source is not None and self.span is not None:
            lines.append(self.source.excerpt(self.span))
        if self.hint:
            lines.append(self.hint)
        return "\n".join(lines)


class DescriptionError(CnnGenError):
    """A text that is not a sentence of the language."""


class ResolveError(CnnGenError):
    """A description whose dimensions cannot be made to fit."""


class MergeError(ResolveError):
    """The two sides of a merge's body do not meet.

    `sizes` are the heights and widths that the left and the right side can reach, or
    `channels` the channels they have.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        source: Source | None = None,
        span: Span | None = None,
        sizes: tuple[list[tuple[int, int]], list[tuple[int, int]]] | None = None,
        channels: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, source=source, span=span)
        self.sizes = sizes
        self.channels = channels


class SpaceError(CnnGenError):
    """A space that is not valid, or whose bounds no sampled network met."""


class BackendError(CnnGenError):
    """A backend that is unknown, broken, or lacks its framework."""


class BackendFault(CnnGenError):
    """What a backend does wrong with one network, and perhaps not with others."""


class DataError(CnnGenError):
    """A data set that cannot be found, read or used."""


class StoreError(CnnGenError):
    """A record or folder of records that cannot be read or written."""
