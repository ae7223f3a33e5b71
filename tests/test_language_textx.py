"""The parser held against textX's own, which reads the same `grammar.tx` in another way."""

from __future__ import annotations

import re
from functools import cache
from random import Random
from typing import Any

import textx
from sentences import Writer, spoil, write

from cnngen.errors import DescriptionError
from cnngen.language import parse
from cnngen.language.build import SYNONYMS
from cnngen.language.grammar import grammar_file
from cnngen.language.tree import Layer, Merge


@cache
def textx_grammar() -> Any:
    return textx.metamodel_from_file(grammar_file(), autokwd=True)


def textx_words(model: Any) -> list[tuple[str, int, dict[str, str]]]:
    """Kind, place and hyper-parameters of each layer that textX found, in the text's order."""
    layers = textx.get_children(lambda node: hasattr(node, "kind"), model)
    return sorted(
        (
            (
                SYNONYMS.get(layer.kind, layer.kind),
                layer._tx_position,
                {p.name: p.value for p in getattr(layer, "parameters", ())},
            )
            for layer in layers
        ),
        key=lambda layer: layer[1],
    )


def test_textx_itself_reads_the_same_layers_at_the_same_places() -> None:
    """Law: our tree of a sentence has the layers, places and parameters that textX's model has."""
    random = Random(2)
    for _ in range(300):
        text = write(Writer(random, given=0.4).architecture(), random)
        description = parse(text)
        model = textx_grammar().model_from_str(text)
        theirs = textx_words(model)
        ours = list(description.layers())
        assert [(layer.kind, layer.span.start) for layer in ours] == [t[:2] for t in theirs]
        assert description.name == (model.name or None)
        for layer, (_, _, parameters) in zip(ours, theirs, strict=True):
            assert layer.parameters.keys() == parameters.keys()
            for name, span in layer.parameter_spans.items():
                written = text[span.start : span.end]
                assert written.startswith(name)
                assert written.endswith(parameters[name])
        assert shape(description.features) == textx_shape(model.features)


def shape(nodes: tuple[Layer | Merge, ...]) -> list[Any]:
    """How merges nest: for each, its mode and the counts of its sides."""
    return [
        (node.mode, [[(len(side), shape(side)) for side in b.sides] for b in node.bodies])
        for node in nodes
        if isinstance(node, Merge)
    ]


def textx_shape(features: list[Any]) -> list[Any]:
    found = []
    for feature in features:
        merge = getattr(feature, "core", feature)
        if type(merge).__name__ != "Merge":
            continue
        bodies = []
        for body in merge.bodies:
            left = body.left
            count = (left.before is not None) + (left.after is not None)
            for item in left.items:
                drop = getattr(item, "dropout", None)
                count += 1 + (drop is not None)
            right = len(body.right.convolutions)
            bodies.append([(count, textx_shape(left.items)), (right, [])])
        if merge.branches is not None:
            sides = [merge.branches.first, *merge.branches.others]
            bodies.append([(textx_length(side), textx_shape(side.features)) for side in sides])
        found.append((merge.mode or None, bodies))
    return found


def textx_length(branch: Any) -> int:
    """How many layers and merges stand in sequence on a branch."""
    optional = [branch.before, branch.late]
    for each in branch.features:
        optional += [each.dropout, each.pooling, each.late]
    return len(branch.features) + sum(part is not None for part in optional)


def test_textx_itself_stops_where_we_stop_and_expects_what_we_expect() -> None:
    """Law: on a text that is no sentence, textX reports our position and our expected words."""
    random = Random(3)
    compared = 0
    for _ in range(300):
        text = write(spoil(Writer(random).architecture(), random), random)
        ours = our_error(text)
        if ours and ("cannot be" in ours.message or "twice" in ours.message):
            continue
        if ours and re.match(r"found '(->|→)|.* or a name", ours.message):
            # For textX a reserved word may be a name, and `input` among them.
            continue
        theirs = textx_error(text)
        assert (ours is None) == (theirs is None), text
        if ours is None or theirs is None:
            continue
        compared += 1
        if "found the end of the text" not in ours.message:
            assert ours.position == (theirs.line, theirs.col)
        assert quoted(ours.message.split("expected", 1)[1]) == quoted(theirs.message)
    assert compared > 150


def our_error(text: str) -> DescriptionError | None:
    try:
        parse(text)
    except DescriptionError as error:
        return error
    return None


def textx_error(text: str) -> textx.TextXSyntaxError | None:
    try:
        textx_grammar().model_from_str(text)
    except textx.TextXSyntaxError as error:
        return error
    return None


def quoted(message: str) -> set[str]:
    """The words and signs that a message expects."""
    return set(message.split("=>")[0].split("'")[1::2]) - {"->"}
