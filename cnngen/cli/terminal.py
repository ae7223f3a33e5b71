"""Filters terminal output, as names and messages may come from untrusted files.

A terminal obeys escape sequences, which move its cursor, set its title or write the clipboard.
So every non-printable character is replaced with a space before it is printed. Characters that
the terminal's encoding lacks are replaced with plainer ones.
"""

from __future__ import annotations

import codecs
import errno
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from cnngen.errors import printable_lines

FALLBACK = "cnngen-plainer"
"""The name of the error handler that replaces characters an encoding lacks."""

_PLAINER = {
    **dict(zip("▁▂▃▄▅▆▇█", "_.-~=+*#", strict=True)),
    **dict.fromkeys("─━╴╶╸╺═╌┄", "-"),
    **dict.fromkeys("│┃╵╷║╎┆", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯┏┓┗┛┡┩╇╔╗╚╝╠╣╦╩╬", "+"),
    **dict(
        zip(
            "–—−‘’“”•×÷→←≤≥✓✗·",
            (
                "-",
                "-",
                "-",
                "'",
                "'",
                '"',
                '"',
                "*",
                "x",
                "/",
                "->",
                "<-",
                "<=",
                ">=",
                "+",
                "x",
                ".",
            ),
            strict=True,
        )
    ),
}


def _plainer(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that cannot be encoded with similar ones: é with e, others with a
    question mark.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(_in_ascii(c) for c in lost), error.end


def _in_ascii(character: str) -> str:
    if character in _PLAINER:
        return _PLAINER[character]
    parts = unicodedata.normalize("NFKD", character)
    return "".join(c for c in parts if c.isascii()) or "?"


codecs.register_error(FALLBACK, _plainer)


def never_fail(stream: TextIO) -> None:
    """Make a stream replace characters that its encoding lacks."""
    if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
        reconfigure(errors=FALLBACK)


class Door:
    """A text stream that passes only printable characters and line breaks.

    Rich bypasses it, because it writes escape sequences for colours; `cnngen.cli.output` filters
    its text.
    """

    def __init__(self, stream: TextIO) -> None:
        never_fail(stream)
        self._stream = self.rich_proxied_file = stream

    def write(self, text: str) -> int:
        self._stream.write(printable_lines(text))
        return len(text)

    def writelines(self, lines: Iterator[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextmanager
def doors() -> Iterator[None]:
    """Replace stdout and stderr with filtering streams."""
    streams = {name: getattr(sys, name) for name in ("stdout", "stderr")}
    # Without a console, as under pythonw, there are no streams.
    put = {name: Door(stream) for name, stream in streams.items() if stream is not None}
    for name, door in put.items():
        setattr(sys, name, door)
    try:
        yield
    finally:
        for name, door in put.items():
            if getattr(sys, name) is door:  # Typer replaces them when a pipe breaks
                setattr(sys, name, streams[name])


def delivered(command: Callable[[], int]) -> int:
    """Run a command until all that it prints has gone out; gives its exit code.

    That is 1, and no traceback, where the disk under stdout is full or its reader has gone.
    """
    try:
        code = command()
        if sys.stdout is not None:
            sys.stdout.flush()  # else Python does at its end, where nobody catches a failure
    except OSError as error:
        with suppress(OSError):
            if error.errno != errno.EPIPE:
                print(f"cnngen: {error.strerror or error}", file=sys.stderr)
        with suppress(OSError), open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())  # Python is not to try again
        return 1
    return code
