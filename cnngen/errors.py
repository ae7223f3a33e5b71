"""Every error a user can cause: what is wrong, where, and what would be right.

The command line prints them, an editor can underline them: both read the same fields.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True, slots=True, order=True)
class Span:
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
        starts, at = [0], self.text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = self.text.find("\n", at + 1)
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of a character, both counted from 1."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        start = self._line_starts[number - 1]
        end = self.text.find("\n", start)
        return self.text[start : end if end >= 0 else len(self.text)]

    def excerpt(self, span: Span, width: int = 76) -> str:
        """The line a span starts in, cut to `width`, with carets under the span."""
        number, column = self.position(span.start)
        line = self.line(number)
        start = max(0, min(column - 1 - width // 2, len(line) - width))
        shown = line[start : start + width]
        # A control character would move the caret or the terminal.
        shown = "".join(c if c.isprintable() else " " for c in shown)
        at = column - 1 - start
        carets = max(1, min(span.end - span.start, width - at, len(shown) - at))
        return f"  {shown}\n  {' ' * at}{'^' * carets}"


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
            place = f"{self.source.name}:"
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


class SpaceError(CnnGenError):
    """A space that is not valid, or whose bounds no sampled network met."""


class BackendError(CnnGenError):
    """A backend that is unknown, broken, or lacks its framework."""


class DataError(CnnGenError):
    """A data set that cannot be found, read or used."""


class StoreError(CnnGenError):
    """A record or folder of records that cannot be read or written."""
