"""Trees built in Python are resolved where they are sentences, and refused where they are not."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from cnngen.errors import CnnGenError, DescriptionError
from cnngen.language import Body, Description, Layer, Merge, format, parse, sentence
from cnngen.language.parser import MAX_DEPTH
from cnngen.language.tree import Node
from cnngen.operations import WORDS
from cnngen.space.resolution import resolve

HEAD = (Layer("flatten"), Layer("dense"))
SPACED = [*WORDS, "dropout", "conv", "conv", "conv", "max_pooling", "conv"]


def some_layer(random: Random) -> Layer:
    kind = random.choice(SPACED)
    return Layer(kind, {"rate": 0.5} if kind == "dropout" and random.random() < 0.5 else {})


def some_row(random: Random, depth: int = 0) -> tuple[Node, ...]:
    row: list[Node] = []
    for _ in range(random.choice((0, 1, 1, 1, 2, 2, 3, 4))):
        if depth < 2 and random.random() < 0.3:
            bodies = tuple(
                Body(
                    some_row(random, depth + 1),
                    some_row(random, random.choice((2, depth + 1))),
                    more=tuple(some_row(random, 2) for _ in range(random.choice((0, 0, 0, 2)))),
                    bare=random.random() < 0.3,
                )
                for _ in range(random.choice((0, 1, 1, 1, 2)))
            )
            row.append(Merge(random.choice((None, "add")), bodies))
        else:
            row.append(some_layer(random))
    return tuple(row)


def reads_as_itself(description: Description) -> bool:
    try:
        return parse(format(description)) == description
    except DescriptionError:
        return False


def test_a_tree_is_taken_exactly_where_its_text_reads_as_itself() -> None:
    """Law: the check by rows and the parser agree, for trees drawn without the grammar."""
    random = Random(0)
    verdicts = []
    for _ in range(8000):
        layers = tuple(layer for layer in some_row(random, 2) if isinstance(layer, Layer))
        head = random.choice(((), HEAD, HEAD, layers))
        name = random.choice((None, None, "Net", "conv"))
        description = Description(some_row(random), head, name)
        try:
            sentence.check(description)
        except DescriptionError:
            taken = False
        else:
            taken = True
        # Layers that stand in the wrong one of two rows are written as if in the right one.
        reads = reads_as_itself(description)
        divided = (
            reads
            and parse(format(description)).features != ()
            and len(parse(format(description)).head) == len(description.head)
        )
        assert taken == divided, format(description)
        verdicts.append(taken)
    assert 300 < sum(verdicts) < 7700


@pytest.mark.parametrize(
    ("description", "said"),
    [
        (Description((Layer("max_pooling"),), HEAD), "1:7: found 'max_pooling'"),
        (Description((), HEAD), "1:7: found 'flatten'"),
        (Description((Layer("conv"),), (Layer("flatten"),)), "1:20: found 'output'"),
        (Description((Layer("conv"), *HEAD)), "do not follow the grammar"),
        (Description((Layer("conv"),), HEAD, name="relu"), "'relu' is reserved"),
        (Description(("(",)), "a str is neither"),  # type: ignore[arg-type]
        (Description((Merge(None, ("x",)),)), "cannot hold a str"),  # type: ignore[arg-type]
        (Description((Merge("add", ()),)), "1:12: found ']'"),
    ],
)
def test_what_is_refused_says_what_is_wrong_and_where(description: Description, said: str) -> None:
    with pytest.raises(CnnGenError) as caught:
        resolve(description)
    assert said in str(caught.value)


def test_a_tree_has_the_limits_of_a_text() -> None:
    deep: Node = Layer("conv")
    for _ in range(MAX_DEPTH + 1):
        deep = Merge(None, (Body((deep,), ()),))
    with pytest.raises(DescriptionError, match="nested deeper"):
        resolve(Description((deep,)))
    while isinstance(deep, Merge):  # freed from the outside in: nothing recurses
        deep = deep.bodies[0].left[0]


def test_what_is_parsed_and_resolved_is_a_sentence() -> None:
    description = parse("input [(conv,Empty)(conv dropout, conv)] pooling dropout(rate=0.1) output")
    sentence.check(description)
    sentence.check(resolve(description).description)
    sentence.check(replace(description, name="Net"))
