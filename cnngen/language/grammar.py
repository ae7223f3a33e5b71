"""Compiles `grammar.tx`, through textX, into expressions that the parser runs on a stack.

textX's own parser recurses for every level of nesting. The language is LL(1), so the compiled
rules can be run predictively: in linear time, at any depth, and several times as fast
(`benchmarks/parse.py`). Tests compare the two parsers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from cnngen.errors import shorten

LABELS = {
    "Name": "a name (up to 64 of A-Z a-z 0-9 _)",
    "Arrow": "'->'",
    "Count": "a whole number",
    "Extent": "a size such as 3 or 3x5",
    "Shape": "a shape such as 32x32x3",
    "Number": "a number",
}


@dataclass(slots=True, eq=False, repr=False)
class Expression:
    """A grammar expression with its first set: the words, signs and patterns it can start with."""

    first_words: dict[str, None] = field(default_factory=dict, init=False)
    first_patterns: tuple[Terminal, ...] = field(default=(), init=False)
    nullable: bool = field(default=False, init=False)

    def __repr__(self) -> str:
        # Expressions are cyclic: printing their parts would not terminate.
        firsts = [*self.first_words, *(terminal.label for terminal in self.first_patterns)]
        return f"<{type(self).__name__} that starts with {shorten(', '.join(firsts), 60)}>"


@dataclass(slots=True, eq=False, repr=False)
class Terminal(Expression):
    """A literal word or sign, or a pattern."""

    label: str
    literal: str | None = None
    pattern: re.Pattern[str] | None = None


@dataclass(slots=True, eq=False, repr=False)
class Sequence(Expression):
    """Parts in sequence."""

    parts: tuple[Expression, ...] = ()


@dataclass(slots=True, eq=False, repr=False)
class Choice(Expression):
    """One of several options, chosen by the next word."""

    options: tuple[Expression, ...] = ()
    by_word: dict[str, Expression] = field(default_factory=dict, init=False)
    """Maps each word or sign to the option that starts with it."""


@dataclass(slots=True, eq=False, repr=False)
class Repeat(Expression):
    """`part*`, or `part?` if `once`."""

    part: Expression
    once: bool = False


@dataclass(slots=True, eq=False, repr=False)
class Assign(Expression):
    """Assigns the value of `part` to an attribute of its rule; with `many`, appends it."""

    part: Expression
    attribute: str
    many: bool = False
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.store = Store(self.attribute, self.many)


@dataclass(slots=True, eq=False, repr=False)
class Store(Expression):
    """Marks the end of an assignment: its value has been matched and is stored."""

    attribute: str
    many: bool


@dataclass(slots=True, eq=False, repr=False)
class Rule(Expression):
    """A rule with attributes, which builds a tree node."""

    name: str
    part: Expression
    close: Close = field(init=False)

    def __post_init__(self) -> None:
        self.close = Close(self)


@dataclass(slots=True, eq=False, repr=False)
class Close(Expression):
    """Marks the end of a rule: its part has been matched and its node is built."""

    rule: Rule


@dataclass(frozen=True, repr=False)
class Grammar:
    """The compiled grammar.

    `lexeme` matches white space and comments, then the next word or sign as its group.
    `words` are the reserved words. `expressions` are all those reachable from `start`.
    """

    start: Rule
    lexeme: re.Pattern[str]
    words: frozenset[str]
    expressions: tuple[Expression, ...]

    def __repr__(self) -> str:
        return f"<Grammar of {len(self.expressions)} expressions, {len(self.words)} words>"


def grammar_file() -> Path:
    """Return the path of `grammar.tx`: in the installed package, or at the top of a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "grammar.tx"
    return inside if inside.exists() else package.parent / "grammar.tx"


@cache
def grammar() -> Grammar:
    """Compile `grammar.tx`, once per process (30 ms)."""
    # Imported here because it takes 50 ms, which `import cnngen` should not cost.
    from textx import metamodel_from_file

    metamodel = metamodel_from_file(str(grammar_file()))
    compiled: dict[int, Expression] = {}
    start = _compile(metamodel._parser_blueprint.parser_model.nodes[0], compiled)
    assert isinstance(start, Rule)
    expressions = _reachable(start)
    words = {e.literal for e in expressions if isinstance(e, Terminal) and e.literal}
    for e in expressions:
        _find_first(e)
    # Possessive quantifiers: otherwise the regex engine keeps a backtracking state per comment.
    space = rf"(?:\s++|{metamodel['Comment']._tx_peg_rule.to_match})*+"
    lexeme = re.compile(rf"{space}(?P<next>\w++|[^\w\s])?")
    return Grammar(start, lexeme, frozenset(filter(str.isidentifier, words)), expressions)


def _compile(peg: Any, compiled: dict[int, Expression]) -> Expression:
    """Convert an Arpeggio expression; `compiled` holds those already done, to close cycles."""
    if id(peg) in compiled:
        return compiled[id(peg)]
    if getattr(peg, "_tx_class", None) is not None and peg._tx_class._tx_type == "common":
        rule = compiled[id(peg)] = Rule(peg.rule_name, Sequence())
        rule.part = _compile_body(peg, compiled)
        return rule
    # Only rules with attributes, and choices between them, are recursive.
    return _compile_body(peg, compiled)


def _compile_body(peg: Any, compiled: dict[int, Expression]) -> Expression:
    match type(peg).__name__:
        case "StrMatch":
            return Terminal(f"'{peg.to_match}'", literal=peg.to_match)
        case "RegExMatch":
            return Terminal(LABELS.get(peg.rule_name, peg.rule_name), pattern=peg.regex)
        case "OrderedChoice":
            return Choice(tuple(_compile(node, compiled) for node in peg.nodes))
        case "Sequence":
            parts = tuple(_compile(node, compiled) for node in peg.nodes)
            attribute = getattr(peg, "_attr_name", None)
            return Sequence(parts) if attribute is None else Assign(parts[0], attribute)
        case "Optional":
            return Repeat(_compile(peg.nodes[0], compiled), once=True)
        case "OneOrMore":
            part = Assign(_compile(peg.nodes[0], compiled), peg._attr_name, many=True)
            if getattr(peg, "sep", None) is None:
                return Sequence((part, Repeat(part)))
            return Sequence((part, Repeat(Sequence((_compile(peg.sep, compiled), part)))))
        case kind:
            raise NotImplementedError(f"grammar.tx uses {kind}, which the parser does not support")


def parts(e: Expression) -> tuple[Expression, ...]:
    """Return the expressions that an expression is made of."""
    match e:
        case Sequence():
            return e.parts
        case Choice():
            return e.options
        case Repeat() | Assign() | Rule():
            return (e.part,)
        case _:
            return ()


def _reachable(start: Expression) -> tuple[Expression, ...]:
    found = {start: None}
    pending: list[Expression] = [start]
    while pending:
        new = [part for part in parts(pending.pop()) if part not in found]
        found.update(dict.fromkeys(new))
        pending += new
    return tuple(found)


def _find_first(e: Expression) -> None:
    """Compute the first set of an expression. An LL(1) rule is never left-recursive."""
    if e.first_words or e.first_patterns:
        return
    if isinstance(e, Terminal):
        if e.literal is None:
            e.first_patterns = (e,)
        else:
            e.first_words = {e.literal: None}
        return
    own = parts(e)
    for part in own:
        _find_first(part)
        if isinstance(e, Choice):
            e.by_word |= dict.fromkeys(part.first_words, part)
        e.first_words |= part.first_words
        e.first_patterns += part.first_patterns
        if isinstance(e, Sequence) and not part.nullable:
            break
    some = any if isinstance(e, Choice) else all
    e.nullable = isinstance(e, Repeat) or some(part.nullable for part in own)
