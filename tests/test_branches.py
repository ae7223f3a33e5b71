"""Merges of branches, `[concat conv | conv conv | max_pooling conv ]`, through every stage."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cnngen.backend.definitions import evaluate, random_weights
from cnngen.backend.testing.random_networks import random_branches
from cnngen.editor import Action, actions, apply, completions, fill, formatting, hover, symbols
from cnngen.errors import ResolveError, SpaceError, Span
from cnngen.language import Layer, format, format_text, parse, sentence
from cnngen.network import Network
from cnngen.network.adjacency import graph
from cnngen.predict import features
from cnngen.predict.domain import BRANCHED, extensions
from cnngen.predict.graph.encoding import encode
from cnngen.space.resolution import lower, resolve
from cnngen.space.sampling import sample
from cnngen.space.variation import cross, inside, vary

NETWORKS = [random_branches(seed) for seed in range(120)]


def test_every_text_of_branches_reads_as_the_same_network() -> None:
    """Law: parse(format(d)) == d, short and long, and what is resolved resolves to itself."""
    for network in NETWORKS:
        description = network.description
        sentence.check(description)
        for long in (False, True):
            text = format(description, long=long)
            assert parse(text) == description
            assert lower(parse(text)) == network
            assert format_text(text) == format(description, long=True)
        assert resolve(network.to_text()).id == network.id


def test_branches_and_bodies_of_the_same_layers_are_different_texts() -> None:
    one, other = parse("input [ conv | conv ] output"), parse("input [ ( conv , conv ) ] output")
    assert one != other
    shapes = [[node.shape for node in resolve(each, seed=3).nodes] for each in (one, other)]
    assert shapes[0] == shapes[1]


def test_channels_stand_in_the_order_of_the_text() -> None:
    conv = "conv(filters={}, kernel=1, stride=1, padding=same, activation=linear, bias=false)"
    branches = " | ".join(["Empty", conv.format(2), "Empty", conv.format(3)])
    network = resolve(f"input(4x4x1) [concat {branches} ] output")
    weights, images = random_weights(network), np.random.default_rng(0).normal(size=(2, 4, 4, 1))
    image, first, second, joined = evaluate(network, weights, images)
    assert np.array_equal(joined, np.concatenate([image, first, image, second], axis=-1))
    assert [network.nodes[i].name for i in network.nodes[-1].inputs] == [
        *("input", "conv1", "input", "conv2"),
    ]
    assert graph(network).edges == ((0, 1), (0, 2), (0, 3), (1, 3), (0, 3), (2, 3), (3, 4))


def test_sides_tells_which_branches_a_join_has() -> None:
    """Law: each side ends where it says, and begins where the merge or the body before did."""
    for network in [*NETWORKS, *(sample("paper", seed=seed) for seed in range(60))]:
        joins = [at for at, node in enumerate(network.nodes) if node.operation.joined]
        assert list(network.sides) == joins
        assert sorted(sum(network.sides.values(), ())) == [*range(1, len(network.branches))]
        for join, sides in network.sides.items():
            node = network.nodes[join]
            branches = [network.branches[side] for side in sides]
            assert len({(one.merge, one.body, one.parent) for one in branches}) == 1
            assert [one.place for one in branches] == [*range(1, len(node.inputs) + 1)]
            assert branches[0].parent == node.branch
            for source, side in zip(node.inputs, sides, strict=True):
                used = any(each.branch == side for each in network.nodes)
                assert not used or network.nodes[source].branch == side


def test_features_and_encodings_are_finite() -> None:
    for network in NETWORKS[:30]:
        assert np.isfinite([*features.features(network).values()]).all()
        encoded = encode(network)
        assert np.isfinite(encoded.nodes).all()
        assert encoded.edges.shape[1] == sum(len(node.inputs) for node in network.nodes)
        assert BRANCHED in extensions(network)
    assert BRANCHED not in extensions(sample("paper", seed=1))


@pytest.mark.parametrize("seed", range(6))
def test_search_refuses_branches_with_a_sentence(seed: int) -> None:
    """No space draws them yet: nothing is lost, and nothing fails in another way."""
    network, other = NETWORKS[seed], sample("paper", input_shape=NETWORKS[seed].input_shape)
    assert inside(network, "paper") == "no space has a merge of branches separated by '|'"
    with pytest.raises(SpaceError, match="branches separated"):
        vary(network, "paper")
    with pytest.raises(SpaceError, match="branches separated"):
        cross(resolve(other.to_text()), with_classes(network, 10))


def with_classes(network: Network, classes: int) -> Network:
    text = re.sub(r"units=5\b(?=[^()]*\) output)", f"units={classes}", network.to_text())
    return resolve(text.replace("output(5)", f"output({classes})"))


BROKEN = {
    "input [add conv(filters=8) | conv(filters=9) dropout | conv(filters=8) | conv ] output": (
        "Give branch 2's last convolution 8 filters, as others have"
    ),
    "input(8x8x5) [add conv(filters=8) activate | Empty | [add conv | Empty ] ] output": (
        "Give branch 1's last convolution 5 filters, as others have"
    ),
    "input(8x8x5) [add [add conv | Empty ] | conv(filters=9, stride=1) | Empty ] output": (
        "Give branch 2's last convolution 5 filters, as others have"
    ),
    "input(8x8x1) [concat [ Empty | conv ] | Empty | conv(stride=2, padding=same) ] output": (
        "Reduce branch 1 and branch 2 too: conv(kernel=1, stride=2, padding=same,"
        " activation=linear)"
    ),
    "input(8x8x1) [concat conv(stride=4) | Empty | conv(stride=4) | Empty ] output": (
        "Reduce branch 2 and branch 4 too: conv(kernel=1, stride=4, padding=same,"
        " activation=linear)"
    ),
    "input(8x8x1) [concat [ Empty | conv ] | max_pooling(stride=2, size=2) ] output": (
        "Reduce branch 1 too: conv(kernel=1, stride=2, padding=same, activation=linear)"
    ),
}


@pytest.mark.parametrize("text", BROKEN)
def test_the_editor_mends_branches(text: str) -> None:
    with pytest.raises(ResolveError):
        resolve(text)
    ways = [way for way in actions(text, Span(0, len(text))) if way.kind == "fix"]
    assert BROKEN[text] in [way.title for way in ways]
    for way in ways:
        assert kept(text, way) >= 1
        resolve(apply(text, way.edits))


def kept(text: str, way: Action) -> int:
    """How many layers more a text has when it is mended, and so no fewer, counted from 1."""
    layers = [len([*parse(each).layers()]) for each in (text, apply(text, way.edits))]
    return 1 + layers[1] - layers[0]


def test_the_editor_knows_branches() -> None:
    text = "input [concat conv(filters=8) | Empty | pooling ] flatten dense output"
    (network,) = symbols(text)
    merge = network.children[1]
    assert [side.name for side in merge.children] == ["branch 1", "branch 3"]
    shown = hover(text, 6)
    assert shown is not None
    assert "32x32x8 + 32x32x3 + 32x32x3 → **32x32x14**" in shown.markdown
    bar = hover(text, text.index("|"))
    assert bar is not None
    assert "between two branches" in bar.markdown
    words = {each.text for each in completions("input [ conv ", 13)}
    assert {"|", "dropout", "max_pooling", "activate"} <= words
    assert "]" not in words
    first = {each.text for each in completions("input [ ", 8)}
    assert {"(", "Empty", "max_pooling", "BatchNormalisation"} <= first
    filled = apply(text, fill(text))
    assert resolve(filled, seed=9).id == resolve(text).id


def test_a_text_of_branches_that_is_being_written_has_a_tree() -> None:
    """Law: with recovery, every beginning of a sentence keeps the layers it has."""
    text = "input(8x8x1) [add conv | [ conv | Empty ] dropout | max_pooling conv ] flatten dense output"
    from cnngen.editor.recovery import parse_on
    from cnngen.errors import Source

    for end in range(13, len(text) + 1):
        found = parse_on(Source(text[:end]))
        assert found.description is not None, text[:end]
        written = [one for one in found.description.layers() if one.span.start < one.span.end]
        words = re.findall(r"\b(?:conv|dropout|max_pooling|flatten|dense)\b", text[:end])
        assert [one.kind for one in written if isinstance(one, Layer)] == words
    assert apply(text, formatting(text)) == format_text(text)


def test_comments_between_branches_stay_at_their_branches() -> None:
    text = (
        "input\n  [concat\n      // points\n      conv(filters=64, kernel=1, stride=1, padding=same)\n"
        "    // wider\n    | conv(filters=96, kernel=1) conv(filters=128, kernel=3)  // two\n"
        "    | Empty  // as it is\n  ]\noutput\n"
    )
    formatted = format_text(text)
    assert format_text(formatted) == formatted
    assert parse(formatted) == parse(text)
    lines = formatted.splitlines()
    for comment, word in {"points": "filters=64", "wider": "filters=96"}.items():
        at = next(number for number, line in enumerate(lines) if comment in line)
        assert word in lines[at + 1]
    assert any(re.search(r"Empty +// as it is", line) for line in lines)
