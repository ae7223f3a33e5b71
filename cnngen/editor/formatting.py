"""Formats a text in its canonical form."""

from __future__ import annotations

from cnngen.editor.analysis import MAX_CHARACTERS
from cnngen.editor.edits import Edit, difference
from cnngen.errors import DescriptionError
from cnngen.language.comments import format_text


def formatting(text: str) -> list[Edit]:
    """Return the edits that `cnngen format` would make; none if the text is not valid."""
    if len(text) > MAX_CHARACTERS:
        return []
    try:
        return difference(text, format_text(text))
    except DescriptionError:
        return []
