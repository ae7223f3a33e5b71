"""Which texts are sentences: held against the published grammar, an Earley parser and textX."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from earley import accepts
from sentences import Writer, spoil, write
from texts import ACCEPTED, REJECTED

from cnngen.errors import DescriptionError
from cnngen.language import Description, parse, read
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
from cnngen.language.tree import Body, Layer, Merge, gather

CONFORMANCE = Path(__file__).parents[2] / "shared" / "conformance"


def parses(text: str) -> bool:
    try:
        parse(text)
    except DescriptionError:
        return False
    return True


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_sentence_is_accepted(name: str) -> None:
    assert isinstance(parse(ACCEPTED[name]), Description)


@pytest.mark.parametrize("name", REJECTED)
def test_what_is_no_sentence_is_refused(name: str) -> None:
    assert not parses(REJECTED[name][0])


@pytest.mark.skipif(not CONFORMANCE.exists(), reason="no ../shared/conformance; texts.py stands in")
def test_the_shared_conformance_files_are_judged_as_they_are_sorted() -> None:
    accept, reject = (sorted((CONFORMANCE / kind).glob("*.cnn")) for kind in ("accept", "reject"))
    assert accept
    assert reject
    for path in accept:
        read(path)
    assert [path.name for path in reject if parses(path.read_text("utf-8"))] == []


def test_random_sentences_right_and_spoiled_are_judged_as_earley_judges_them() -> None:
    """Law: we accept a text if and only if an Earley parser of the published grammar does."""
    random = Random(1)
    right = wrong = 0
    for _ in range(1000):
        words = Writer(random).architecture()
        sentence = write(words, random)
        assert accepts(sentence)
        assert parses(sentence), sentence
        for _ in range(2):
            text = write(spoil(words, random), random)
            expected = accepts(text)
            assert parses(text) == expected, text
            right, wrong = right + expected, wrong + (not expected)
    # Of the spoiled ones, too, both kinds must be there in numbers.
    assert right > 200
    assert wrong > 1000


def test_the_earley_parser_knows_the_texts_kept_by_hand() -> None:
    """The judge itself is judged: it agrees with our lists."""
    # A mark of byte order is no matter of grammar.
    assert [n for n, text in ACCEPTED.items() if not accepts(text.lstrip("\ufeff"))] == []
    assert [name for name, (text, *_) in REJECTED.items() if accepts(text)] == []


def test_the_grammar_is_ll1() -> None:
    """Law: no two ways on begin alike, so that predicting by one lexeme misses no sentence."""
    expressions = grammar().expressions
    follow = follow_sets(expressions)
    for e in expressions:
        match e:
            case Choice():
                ways = [first(option) for option in e.options]
            case Repeat():
                ways = [first(e.part), follow[e]]
            case _:
                continue
        assert len(set().union(*ways)) == sum(map(len, ways)), ways


def first(e: Expression) -> set[str]:
    return {*e.first_words, *(pattern.label for pattern in e.first_patterns)}


def follow_sets(expressions: tuple[Expression, ...]) -> dict[Expression, set[str]]:
    """What can come after each expression, to a fixed point."""
    follow: dict[Expression, set[str]] = {e: set() for e in expressions}
    size = -1
    while size != (size := sum(map(len, follow.values()))):
        for e in expressions:
            after = set(follow[e])
            match e:
                case Sequence(parts=parts):
                    for part in reversed(parts):
                        follow[part] |= after
                        after = first(part) | (after if part.nullable else set())
                case Choice(options=options):
                    for option in options:
                        follow[option] |= after
                case Repeat(part=part, once=once):
                    follow[part] |= after | (set() if once else first(part))
                case Assign(part=part) | Rule(part=part):
                    follow[part] |= after
                case Terminal():
                    pass
    return follow


def test_a_tree_holds_what_was_written_and_where() -> None:
    text = "Net -> input(8x9x1) conv(kernel=3x5) [add (conv, Empty)(pooling bnconv, conv convbn)]"
    text += " flatten dropout(rate=.5) fullyConnected output(7)"
    description = parse(text)
    assert (description.name, description.input_shape, description.classes) == ("Net", (8, 9, 1), 7)
    conv, merge = description.features
    assert isinstance(conv, Layer)
    assert isinstance(merge, Merge)
    assert conv.parameters == {"kernel": (3, 5)}
    assert merge.mode == "add"
    assert [[layer.kind for layer in body.right] for body in merge.bodies] == [
        [],
        ["conv", "convbn"],
    ]
    assert [layer.kind for layer in description.head] == ["flatten", "dropout", "dense"]

    def at(piece: Layer | Merge | Body) -> str:
        return text[piece.span.start : piece.span.end]

    assert at(conv) == "conv(kernel=3x5)"
    assert at(merge).startswith("[add")
    assert at(merge).endswith("convbn)]")
    assert at(merge.bodies[1]) == "(pooling bnconv, conv convbn)"
    assert at(description.head[1]) == "dropout(rate=.5)"
    span = description.input_span
    assert text[span.start : span.end] == "input(8x9x1)"


def test_descriptions_are_equal_when_they_say_the_same() -> None:
    written = "Net → input conv( filters = 08 ) /* ! */ flatten fullyConnected output"
    again = "Net -> input conv(filters=8) flatten dense output"
    assert parse(written) == parse(again)
    assert hash(parse(written)) == hash(parse(again))
    different = [
        again.replace("8", "9"),
        again.replace("Net -> ", ""),
        again.replace("output", "output(2)"),
        again.replace("conv(filters=8)", "[ ( conv(filters=8) , Empty ) ]"),
    ]
    assert len({parse(text) for text in [again, *different]}) == 5


def test_a_name_that_could_reach_code_is_refused_without_a_text_too() -> None:
    for name in ['x"); import os', "a\nb", "", "1st", "n" * 65, "réseau"]:
        with pytest.raises(DescriptionError, match="cannot be a name"):
            Description(parse("input conv output").features, name=name)


def test_gathering_a_walk_gives_the_nodes_again() -> None:
    """Law: gather(d.walk()) is the features and head of d, spans and all."""
    random = Random(10)
    for _ in range(200):
        text = write(Writer(random).architecture(), random)
        description = parse(text)
        nodes = gather(description.walk())
        features = nodes[: len(description.features)]
        assert replace(description, features=features) == description
        assert nodes[len(features) :] == description.head
        copy = pickle.loads(pickle.dumps(description))
        for again in (features, copy.features):
            assert spans(again) == spans(description.features)


def spans(nodes: tuple[Layer | Merge, ...]) -> list[Any]:
    return [
        (n.span, [(b.span, [spans(side) for side in b.sides]) for b in n.bodies])
        if isinstance(n, Merge)
        else n.span
        for n in nodes
    ]
