"""What to put in where words are missing: computed from the compiled grammar."""

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
    """For every expression of the grammar, the fewest words that help it on.

    `whole`: a shortest sentence of the expression. `before`: for each terminal that occurs in
    it, by `key`, the fewest words that may stand before it.
    """

    whole: Mapping[Expression, Words]
    before: Mapping[Expression, Mapping[str, Words]]


def key(terminal: Terminal) -> str:
    """A terminal's word or sign; the label of a pattern."""
    return terminal.literal or terminal.label


@cache
def repairs() -> Repairs:
    """The table for `grammar.tx` (once a process)."""
    # Parts are found after what contains them; from the back, few rounds are needed.
    expressions = grammar().expressions[::-1]
    whole: dict[Expression, Words] = {}
    before: dict[Expression, dict[str, Words]] = {e: {} for e in expressions}
    while sum(_grow_whole(e, whole) for e in expressions):
        pass
    while sum(_grow_before(e, before, whole) for e in expressions):
        pass
    return Repairs(whole, before)


def _grow_whole(e: Expression, whole: dict[Expression, Words]) -> bool:
    """Find a shorter sentence of an expression; whether there is one."""
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
            raise AssertionError(f"{e} is no expression of a grammar")
    if found is None or (e in whole and len(whole[e]) <= len(found)):
        return False
    whole[e] = found
    return True


def _grow_before(
    e: Expression, before: dict[Expression, dict[str, Words]], whole: Mapping[Expression, Words]
) -> bool:
    """Find terminals of an expression, or shorter ways to them; whether there are any."""
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
