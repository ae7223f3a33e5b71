"""The exceptions that CNNGen raises for mistakes in its input, and helpers for their messages.

Every error says what is wrong, where, and what would be right. The command line prints these
fields and editors underline them.
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
    """A text and the name that messages use for it, such as its file's."""

    text: str = field(repr=False)
    name: str = "<text>"

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(end.end() for end in LINE_END.finditer(self.text))]

    def position(self, offset: int) -> tuple[int, int]:
        """Return the line and column of a character, both counted from 1."""
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def line(self, number: int) -> str:
        """Return a line, counted from 1, without its line ending."""
        start = self._line_starts[number - 1]
        end = LINE_END.search(self.text, start)
        return self.text[start : end.start() if end else len(self.text)]

    def excerpt(self, span: Span, width: int = 76) -> str:
        """Return the line where a span starts, cut to `width` characters, with carets below."""
        number, column = self.position(span.start)
        line = self.line(number)
        start = max(0, min(column - 1 - width // 2, len(line) - width))
        shown = printable(line[start : start + width])
        before = shown[: column - 1 - start]
        marked = shown[len(before) : len(before) + span.end - span.start]
        carets = "^" * max(1, _columns(marked))
        return f"  {shown.rstrip()}\n  {' ' * _columns(before)}{carets}"


LINE_END = re.compile(r"\r\n?|\n")
"""Line endings as comments, messages and editors count them: `\\r\\n`, `\\r` and `\\n`, but not
the other characters at which Python's `splitlines` splits."""


def printable(text: str) -> str:
    """Replace every non-printable character with a space.

    These are control characters and escape sequences, which a terminal would obey, marks that
    change the direction of writing, line endings, and lone surrogates, which cannot be encoded.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def printable_lines(text: str) -> str:
    """Replace non-printable characters with spaces, but keep line breaks."""
    return "\n".join(map(printable, text.split("\n")))


def shorten(text: str, width: int = 40) -> str:
    """Make a text fit into a message: printable, and at most `width` characters."""
    return printable(text if len(text) <= width else text[: width - 1] + "…")


def counted(number: int, what: str) -> str:
    """Format a count with its noun, in the plural unless it is 1: `2 layers`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _columns(text: str) -> int:
    """Return how many terminal columns a text takes."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


class CnnGenError(Exception):
    """Base class of the errors that CNNGen raises for mistakes in its input.

    `message` says what is wrong, `hint` what would be right. For errors in a text, `source`
    and `span` say where.
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
        """Line and column of the error in its text, both from 1; None if it has no text."""
        if self.source is None or self.span is None:
            return None
        return self.source.position(self.span.start)

    def __str__(self) -> str:
        prefix = ""
        if self.source is not None:
            prefix = f"{printable(self.source.name)}:"
            if self.position is not None:
                prefix += f"{self.position[0]}:{self.position[1]}:"
            prefix += " "
        lines = [prefix + self.message]
        if self.source is not None and self.span is not None:
            lines.append(self.source.excerpt(self.span))
        if self.hint:
            lines.append(self.hint)
        return "\n".join(lines)


class DescriptionError(CnnGenError):
    """A description that is not valid in the language."""


class ResolveError(CnnGenError):
    """A description whose dimensions cannot be made to fit."""


class LayerError(ResolveError):
    """A layer whose hyper-parameters fit neither each other nor its input."""


class MergeError(ResolveError):
    """The sides of a merge's body have different shapes.

    `sizes` holds the heights and widths that each side can reach, or `channels` the number of
    channels of each, None where it is open.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        source: Source | None = None,
        span: Span | None = None,
        sizes: tuple[list[tuple[int, int]], ...] | None = None,
        channels: tuple[int | None, ...] | None = None,
    ) -> None:
        super().__init__(message, hint=hint, source=source, span=span)
        self.sizes = sizes
        self.channels = channels


class SpaceError(CnnGenError):
    """A search space that is not valid, or bounds that no sampled network met."""


class BackendError(CnnGenError):
    """A backend that is unknown or broken, or whose framework is missing."""


class DeviceLostError(BackendError):
    """The device of this process does not work any more, whatever is computed on it.

    `absent`: it was not there when the process looked for it.
    """

    def __init__(self, message: str, *, hint: str | None = None, absent: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.absent = absent


class BackendFault(CnnGenError):
    """A backend that fails for one network, though perhaps not for others."""


class DataError(CnnGenError):
    """A data set that cannot be found, read or used."""


class ModelError(CnnGenError):
    """A model of another program that cannot be read, or is no sentence of the language.

    `operation` is the first operation that does not fit, by its own name, if it is one's fault.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, operation: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.operation = operation


class StoreError(CnnGenError):
    """A record or folder of records that cannot be read or written."""
