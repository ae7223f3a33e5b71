"""Source code as statements of tokens, its numbers kept as numbers."""

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
"""Of a file; what comes after is not read. A network of 350 operations has some 700."""

NUMBER = "<number>"

SKIPPED = (tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER, tokenize.ENCODING)

PART = re.compile(r"\d+|[^\d_]+")
"""Names such as `left_2` and `conv12` are words and numbers."""


class Encoded(NamedTuple):
    """Tokens as numbers: `words` and `statements` of shape (tokens,), `values` (tokens, 4)."""

    words: NDArray[np.int64]
    values: NDArray[np.float32]
    statements: NDArray[np.int64]
    length: int


class Token(NamedTuple):
    """A word, or `NUMBER` with its value."""

    word: str
    value: float = 0.0


Statements = tuple[tuple[Token, ...], ...]


@lru_cache(4096)
def network_statements(network: Network, backend: str) -> Statements:
    """The statements of the code that a backend writes of a network."""
    return statements(network.to_source(backend))


def statements(source: str) -> Statements:
    """The statements of Python source, without comments and docstrings.

    What stands around the code, such as the description that generated it, is not read.
    """
    found: list[tuple[Token, ...]] = []
    current: list[Token] = []
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


def _tokens(token: tokenize.TokenInfo) -> list[Token]:
    match token.type:
        case tokenize.INDENT | tokenize.DEDENT:
            return [Token(tokenize.tok_name[token.type])]
        case tokenize.NUMBER:
            return [Token(NUMBER, float(token.string.replace("_", "")))]
        case tokenize.NAME:
            parts = PART.findall(token.string)
            return [Token(NUMBER, float(part)) if part.isdigit() else Token(part) for part in parts]
    return [Token(token.string)]
