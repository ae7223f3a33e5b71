"""Computes from the compiled grammar the shortest insertions that repair missing words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from cnngen.language.grammar import (
    Assign,
    Choice,
    Expression,
    Repeat,
    Rule,
    Sequence,
    Terminal,
    grammar,
)

Words = tuple[Terminal, ...]


@dataclass(frozen=True, slots=True)
class Repairs:
    """The shortest insertions for every expression of the grammar.

    `whole` is a shortest sentence of the expression. `before` has, for each terminal in it by
    `key`, the fewest words that may come before it.
    """

    whole: Mapping[Expression, Words]
    before: Mapping[Expression, Mapping[str, Words]]


def key(terminal: Terminal) -> str:
    """Return a terminal's word or sign, or the label of its pattern."""
    return terminal.literal or terminal.label


@cache
def repairs() -> Repairs:
    """Compute the table for `grammar.tx`, once per process."""
    # Parts come after what contains them, so going backwards takes few rounds.
    expressions = grammar().expressions[::-1]
    whole: dict[Expression, Words] = {}
    before: dict[Expression, dict[str, Words]] = {e: {} for e in expressions}
    while sum(_grow_whole(e, whole) for e in expressions):
        pass
    while sum(_grow_before(e, before, whole) for e in expressions):
        pass
    return Repairs(whole, before)


def _grow_whole(e: Expression, whole: dict[Expression, Words]) -> bool:
    """Update the shortest sentence of an expression; returns whether it changed."""
    found: Words | None
    match e:
        case Terminal():
            found = (e,)
        case Repeat():
            found = ()
        case Sequence():
            known = [whole.get(part) for part in e.parts]
            found = None if None in known else tuple(w for words in known for w in words or ())
        case Choice():
            found = min(filter(None, map(whole.get, e.options)), key=len, default=None)
        case Assign() | Rule():
            found = whole.get(e.part)
        case _:
            raise AssertionError(f"{e} is not a grammar expression")
    if found is None or (e in whole and len(whole[e]) <= len(found)):
        return False
    whole[e] = found
    return True


def _grow_before(
    e: Expression, before: dict[Expression, dict[str, Words]], whole: Mapping[Expression, Words]
) -> bool:
    """Update the words before the terminals of an expression; returns whether any changed."""
    mine = before[e]
    grown = False
    for name, words in _ways(e, before, whole):
        if name not in mine or len(words) < len(mine[name]):
            mine[name] = words
            grown = True
    return grown


def _ways(
    e: Expression,
    before: Mapping[Expression, Mapping[str, Words]],
    whole: Mapping[Expression, Words],
) -> Iterable[tuple[str, Words]]:
    match e:
        case Terminal():
            yield key(e), ()
        case Sequence():
            passed: Words = ()
            for part in e.parts:
                for name, words in before[part].items():
                    yield name, passed + words
                passed += whole[part]
        case Choice():
            for option in e.options:
                yield from list(before[option].items())
        case Repeat() | Assign() | Rule():
            yield from list(before[e.part].items())
