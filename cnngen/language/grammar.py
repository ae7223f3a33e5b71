"""`grammar.tx`, compiled by textX into a form that an explicit stack can run.

textX's own parser recurses for every level of nesting and takes about 0.16 ms a token;
the language is LL(1), so its compiled rules can be run predictively, in linear time and
at any depth. Tests hold the two parsers against each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

LABELS = {
    "Name": "a name",
    "Arrow": "'->'",
    "Count": "a whole number",
    "Extent": "a size such as 3 or 3x5",
    "Shape": "a shape such as 32x32x3",
    "Number": "a number",
}


@dataclass(slots=True, eq=False)
class Expression:
    """A grammar expression and the terminals it can begin with."""

    first_words: dict[str, None] = field(default_factory=dict)
    first_patterns: tuple[Terminal, ...] = ()
    nullable: bool = False


@dataclass(slots=True, eq=False)
class Terminal(Expression):
    """A literal word or sign, or a pattern."""

    literal: str | None = None
    pattern: re.Pattern[str] | None = None
    label: str = ""


@dataclass(slots=True, eq=False)
class Sequence(Expression):
    """Parts one after the other; `reversed_parts` are in the order of a stack."""

    reversed_parts: tuple[Expression, ...] = ()


@dataclass(slots=True, eq=False)
class Choice(Expression):
    options: tuple[Expression, ...] = ()


@dataclass(slots=True, eq=False)
class Repeat(Expression):
    """`part?`, `part*` or `part+`, with a separator; `attribute` collects the values."""

    part: Expression = field(default_factory=Expression)
    at_least_one: bool = False
    once: bool = False
    separator: Terminal | None = None
    attribute: str | None = None


@dataclass(slots=True, eq=False)
class Assign(Expression):
    """The value of `part` becomes an attribute of the rule it stands in."""

    part: Expression = field(default_factory=Expression)
    attribute: str = ""


@dataclass(slots=True, eq=False)
class Rule(Expression):
    """A rule with attributes: it builds an object."""

    name: str = ""
    part: Expression = field(default_factory=Expression)


@dataclass(frozen=True)
class Grammar:
    """The compiled grammar: its start rule, its comments and its reserved words."""

    start: Rule
    comment: re.Pattern[str]
    words: frozenset[str]


def grammar_file() -> Path:
    """`grammar.tx`: inside an installed package, at the top of a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "grammar.tx"
    return inside if inside.exists() else package.parent / "grammar.tx"


@cache
def grammar() -> Grammar:
    """Compile `grammar.tx` (30 ms, once a process)."""
    from textx import metamodel_from_file

    metamodel = metamodel_from_file(str(grammar_file()))
    parser = metamodel._parser_blueprint
    compiled: dict[int, Expression] = {}
    start = _compile(parser.parser_model.nodes[0], compiled)
    assert isinstance(start, Rule)
    words = {
        e.literal
        for e in compiled.values()
        if isinstance(e, Terminal) and e.literal and e.literal.isidentifier()
    }
    _find_first(list(compiled.values()))
    comment = re.compile(rf"(?:\s+|{metamodel['Comment']._tx_peg_rule.to_match})*")
    return Grammar(start, comment, frozenset(words))


def _compile(peg: Any, compiled: dict[int, Expression]) -> Expression:
    """One of Arpeggio's expressions as one of ours; `compiled` closes the cycles."""
    if id(peg) in compiled:
        return compiled[id(peg)]
    expression: Expression
    kind = type(peg).__name__
    attribute = getattr(peg, "_attr_name", None)
    rule = getattr(peg, "_tx_class", None)
    if kind == "StrMatch":
        expression = Terminal(literal=peg.to_match, label=f"'{peg.to_match}'")
    elif kind == "RegExMatch":
        label = LABELS.get(peg.rule_name, peg.rule_name)
        expression = Terminal(pattern=re.compile(peg.to_match), label=label)
    elif kind in ("Optional", "ZeroOrMore", "OneOrMore"):
        expression = Repeat(
            at_least_one=kind == "OneOrMore", once=kind == "Optional", attribute=attribute
        )
        compiled[id(peg)] = expression
        expression.part = _compile(peg.nodes[0], compiled)
        if getattr(peg, "sep", None) is not None:
            separator = _compile(peg.sep, compiled)
            assert isinstance(separator, Terminal)
            expression.separator = separator
    elif kind == "OrderedChoice":
        expression = compiled[id(peg)] = Choice()
        expression.options = tuple(_compile(node, compiled) for node in peg.nodes)
        if rule is not None and rule._tx_type == "common":
            choice = Choice(options=expression.options)
            compiled[id(choice)] = choice
            expression = compiled[id(peg)] = Rule(name=peg.rule_name, part=choice)
    elif kind == "Sequence" and attribute is not None:
        expression = compiled[id(peg)] = Assign(attribute=attribute)
        expression.part = _compile(peg.nodes[0], compiled)
    elif kind == "Sequence":
        sequence = Sequence()
        expression = sequence
        if rule is not None and rule._tx_type == "common":
            expression = Rule(name=peg.rule_name, part=sequence)
            compiled[id(sequence)] = sequence
        compiled[id(peg)] = expression
        parts = tuple(_compile(node, compiled) for node in peg.nodes)
        sequence.reversed_parts = parts[::-1]
    else:
        raise NotImplementedError(f"grammar.tx uses {kind}, which the machine does not run")
    compiled[id(peg)] = expression
    return expression


def _find_first(expressions: list[Expression]) -> None:
    """Fill in, to a fixed point, what each expression can begin with."""
    changed = True
    while changed:
        changed = False
        for e in expressions:
            words: dict[str, None] = {}
            patterns: dict[Terminal, None] = {}
            nullable = False
            match e:
                case Terminal():
                    if e.literal is not None:
                        words[e.literal] = None
                    else:
                        patterns[e] = None
                    parts: tuple[Expression, ...] = ()
                case Sequence():
                    parts = e.reversed_parts[::-1]
                    nullable = all(part.nullable for part in parts)
                    cut = next((i for i, p in enumerate(parts) if not p.nullable), len(parts))
                    parts = parts[: cut + 1]
                case Choice():
                    parts = e.options
                    nullable = any(part.nullable for part in parts)
                case Repeat():
                    parts = (e.part,)
                    nullable = not e.at_least_one or e.part.nullable
                case Assign() | Rule():
                    parts = (e.part,)
                    nullable = e.part.nullable
                case _:
                    raise AssertionError(e)
            for part in parts:
                words.update(part.first_words)
                patterns.update(dict.fromkeys(part.first_patterns))
            found = (words, tuple(patterns), nullable)
            if found != (e.first_words, e.first_patterns, e.nullable):
                e.first_words, e.first_patterns, e.nullable = found
                changed = True
