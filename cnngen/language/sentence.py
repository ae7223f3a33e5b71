"""Checks that a tree built in Python follows the grammar.

A sequence of layers is encoded as a string with one character per layer, and each rule of
`grammar.tx` becomes a regular expression over such strings. So a tree is checked without
formatting and parsing it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

from cnngen.errors import DescriptionError
from cnngen.language import parser
from cnngen.language.build import SYNONYMS
from cnngen.language.formatter import format
from cnngen.language.grammar import (
    Assign,
    Choice,
    Expression,
    Repeat,
    Rule,
    Sequence,
    grammar,
    parts,
)
from cnngen.language.tree import KINDS, Body, Description, Layer, Merge

_MERGE = "M"
_BARE = {kind: chr(0x100 + number) for number, kind in enumerate(KINDS)}
_GIVEN = {kind: chr(0x200 + number) for number, kind in enumerate(KINDS)}
"""The character that encodes each layer, without and with hyper-parameters."""


class Rows(NamedTuple):
    """The pattern of each kind of layer sequence in a tree."""

    features: re.Pattern[str]
    head: re.Pattern[str]
    left: re.Pattern[str]
    right: re.Pattern[str]
    branch: re.Pattern[str]


def walk(description: Description) -> list[Layer | Merge | str]:
    """The walk of a description that follows the grammar. Raises as `check` does."""
    check(description)
    return list(description.walk())


def check(description: Description) -> None:
    """Check that a description follows the grammar, so that its text parses to the same tree.

    Raises `DescriptionError`, with the position in the formatted text, if it does not.
    """
    rows = _rows()
    pending: list[tuple[Merge, int]] = []
    layers = bodies = branches = 0

    def fits(row: re.Pattern[str], nodes: Iterable[object], depth: int) -> bool:
        nonlocal layers
        text = ""
        for node in nodes:
            if type(node) is Layer:
                text += (_GIVEN if node.parameters else _BARE)[node.kind]
                layers += 1
            elif type(node) is Merge:
                text += _MERGE
                pending.append((node, depth + 1))
            else:
                raise DescriptionError(f"a {type(node).__name__} is neither a layer nor a merge")
        return row.fullmatch(text) is not None

    whole = fits(rows.features, description.features, 0) and fits(rows.head, description.head, 0)
    while whole and pending:
        merge, depth = pending.pop()
        if depth > parser.MAX_DEPTH:
            raise DescriptionError(f"merges are nested deeper than {parser.MAX_DEPTH:,}")
        whole = bool(merge.bodies)
        bodies += len(merge.bodies)
        if bodies > parser.MAX_BODIES:
            raise DescriptionError(f"there are more than {parser.MAX_BODIES:,} bodies of merges")
        for body in merge.bodies:
            if type(body) is not Body:
                raise DescriptionError(f"a merge cannot hold a {type(body).__name__}, only bodies")
            if body.bare:
                whole = whole and len(merge.bodies) == 1
                wanted = [rows.branch] * len(body.sides)
                branches += len(body.sides)
            else:
                wanted = [rows.left, rows.right]
            if branches > parser.MAX_BRANCHES:
                raise DescriptionError(
                    f"there are more than {parser.MAX_BRANCHES:,} branches of merges"
                )
            whole = whole and len(body.sides) == len(wanted)
            whole = whole and all(
                fits(row, side, depth) for row, side in zip(wanted, body.sides, strict=True)
            )
    if layers > parser.MAX_LAYERS:
        raise DescriptionError(f"there are more than {parser.MAX_LAYERS:,} layers")
    if not whole or description.name in grammar().words:
        # Parsing its text finds the position of the mistake.
        parser.parse(format(description), "the description's text")
        raise DescriptionError(
            "the parts of the description do not follow the grammar, though its text does",
            hint="Put the interstice and dense layers into `head`, all others into `features`.",
        )


@cache
def _rows() -> Rows:
    """Compile the patterns from the grammar."""
    start = grammar().start
    body = _find(start, "bodies")
    return Rows(
        re.compile(_repeated(_find(start, "features"))),
        re.compile(
            f"(?:{_pattern(_find(start, 'interstice'))}{_repeated(_find(start, 'classification'))})?+"
        ),
        re.compile(_pattern(_find(body, "left"))),
        re.compile(_pattern(_find(body, "right"))),
        re.compile(_pattern(_find(body, "first"))),
    )


def _repeated(e: Expression) -> str:
    return f"(?:{_pattern(e)})++"


def _find(e: Expression, attribute: str) -> Expression:
    """Return the expression of the first assignment to an attribute anywhere in a rule."""
    return next(each.part for each in _assignments(e, {}) if each.attribute == attribute)


def _assignments(e: Expression, seen: dict[int, None]) -> Iterator[Assign]:
    if id(e) in seen:
        return
    seen[id(e)] = None
    if isinstance(e, Assign):
        yield e
    for part in parts(e):
        yield from _assignments(part, seen)


def _pattern(e: Expression) -> str:
    """Convert an expression into a pattern without backtracking, as the language is LL(1)."""
    match e:
        case Rule("Merge"):
            return _MERGE
        case Rule(part=Sequence((Assign(attribute="kind") as kind, *rest))):
            return _layer(kind.first_words, rest)
        case Rule():
            return _pattern(e.part)
        case Sequence():
            return "".join(map(_pattern, e.parts))
        case Choice():
            return f"(?:{'|'.join(map(_pattern, e.options))})"
        case Repeat():
            return f"(?:{_pattern(e.part)}){'?+' if e.once else '*+'}"
        case Assign():
            return _pattern(e.part)
        case _:
            return ""  # brackets, commas and `Empty`


def _layer(kinds: Iterable[str], rest: Iterable[Expression]) -> str:
    """Match any of a rule's words, also without hyper-parameters where they are optional."""
    words = {SYNONYMS.get(word, word) for word in kinds}
    takes = any(True for part in rest for _ in _assignments(part, {}))
    codes = [_GIVEN[word] for word in words] if takes else []
    if all(part.nullable for part in rest):
        codes += [_BARE[word] for word in words]
    return f"[{''.join(sorted(codes))}]"
