"""The description language: parsing text into syntax trees, and formatting trees as text."""

from cnngen.language.comments import format_text
from cnngen.language.formatter import format
from cnngen.language.parser import MAX_CHARACTERS, decode, parse, read
from cnngen.language.tree import Body, Description, Layer, Merge

__all__ = [
    "MAX_CHARACTERS",
    "Body",
    "Description",
    "Layer",
    "Merge",
    "decode",
    "format",
    "format_text",
    "parse",
    "read",
]
