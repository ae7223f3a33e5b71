"""Formats a text and keeps its comments."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cnngen.errors import LINE_END
from cnngen.language.formatter import format
from cnngen.language.parser import parse

_LEXEME = re.compile(r"//[^\r\n]*|/\*.*?\*/|[A-Za-z_]\w*|->|[\[\](),|→]", re.DOTALL)
_NO_PARAMETERS = {"add", "concat", "["}


def format_text(text: str, name: str = "<text>") -> str:
    """Format a description in its long form and keep its comments.

    A comment at the end of a line of code stays at the end of that line; any other comment
    goes above the line of the word that follows it. `name` identifies the text in messages.
    Raises `DescriptionError` if the text is not a valid description.
    """
    formatted = format(parse(text, name), long=True)
    if "/" not in text:
        return formatted
    lines = formatted.split("\n")[:-1]
    line_of = [formatted.count("\n", 0, at) for at in _words(formatted)]
    before: dict[int, list[str]] = {}
    behind: dict[int, list[str]] = {}
    words = list(_words(text))
    passed = 0
    for comment in _comments(text):
        while passed < len(words) and words[passed] < comment.start():
            passed += 1
        line_begin = max(text.rfind(end, 0, comment.start()) for end in "\r\n") + 1
        alone = not text[line_begin : comment.start()].strip()
        if passed and not alone and not LINE_END.search(comment.group()):
            behind.setdefault(line_of[passed - 1], []).append(comment.group().rstrip())
        else:
            line = line_of[passed] if passed < len(words) else len(lines)
            before.setdefault(line, []).append(comment.group().rstrip())
    kept: list[str] = []
    for number, code in enumerate([*lines, ""]):
        indent = code[: len(code) - len(code.lstrip())]
        kept += (indent + comment for comment in before.get(number, ()))
        # A `//` comment runs to the end of its line, so a line can hold only one, at its end.
        ends = sorted(behind.get(number, ()), key=lambda comment: comment.startswith("//"))
        while len(ends) > 1 and ends[-2].startswith("//"):
            kept.append(indent + ends.pop(-2))
        kept.append("  ".join([code, *ends]))
    return "\n".join(kept).rstrip("\n") + "\n"


def _comments(text: str) -> Iterator[re.Match[str]]:
    return (match for match in _LEXEME.finditer(text) if match.group()[0] == "/")


def _words(text: str) -> Iterator[int]:
    """Yield the offset of each word and bracket, except hyper-parameters, which formatting may
    reorder."""
    previous = "["
    inside = False
    for match in _LEXEME.finditer(text):
        word = match.group()
        if word[0] == "/":
            continue
        if inside:
            inside = word != ")"
        elif word == "(" and previous not in _NO_PARAMETERS and previous not in ")]":
            inside = True
        else:
            yield match.start()
        previous = word
