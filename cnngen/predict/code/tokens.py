"""Split source code into statements of tokens, with numbers kept as values."""

from __future__ import annotations

import re
import tokenize
from functools import lru_cache
from io import StringIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnngen.network import Network

MOST_STATEMENTS = 1024
"""Most statements read of a file. A network of 350 operations has about 700."""

NUMBER = "<number>"

SKIPPED = (tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER, tokenize.ENCODING)

PART = re.compile(r"\d+|[^\d_]+")
"""Splits names such as `left_2` and `conv12` into words and numbers."""


class EncodedSource(NamedTuple):
    """Encoded tokens: `words` and `statements` of shape (tokens,), `values` of (tokens, 4).

    `length` is the number of statements.
    """

    words: NDArray[np.int64]
    values: NDArray[np.float32]
    statements: NDArray[np.int64]
    length: int


class SourceToken(NamedTuple):
    """A word, or `NUMBER` with its value."""

    word: str
    value: float = 0.0


Statements = tuple[tuple[SourceToken, ...], ...]


@lru_cache(4096)
def network_statements(network: Network, backend: str) -> Statements:
    """Return the statements of the code that a backend generates for a network."""
    return statements(network.to_source(backend))


def statements(source: str) -> Statements:
    """Return the statements of Python source, without comments and docstrings.

    These are left out because they contain the description that the code was generated from.
    """
    found: list[tuple[SourceToken, ...]] = []
    current: list[SourceToken] = []
    kinds: list[int] = []
    for token in tokenize.generate_tokens(StringIO(source).readline):
        if token.type == tokenize.NEWLINE:
            if set(kinds) - {tokenize.INDENT, tokenize.DEDENT} != {tokenize.STRING}:
                found.append(tuple(current))
            current, kinds = [], []
            if len(found) == MOST_STATEMENTS:
                break
        elif token.type not in SKIPPED:
            current += _tokens(token)
            kinds.append(token.type)
    return tuple(found)


def _tokens(token: tokenize.TokenInfo) -> list[SourceToken]:
    match token.type:
        case tokenize.INDENT | tokenize.DEDENT:
            return [SourceToken(tokenize.tok_name[token.type])]
        case tokenize.NUMBER:
            return [SourceToken(NUMBER, float(token.string.replace("_", "")))]
        case tokenize.NAME:
            parts = PART.findall(token.string)
            return [
                SourceToken(NUMBER, float(part)) if part.isdigit() else SourceToken(part)
                for part in parts
            ]
    return [SourceToken(token.string)]
