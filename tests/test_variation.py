"""Children of networks: inside the space, resolved, near their parents, and enough of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import cnngen
from cnngen.errors import CnnGenError, SpaceError
from cnngen.network import Network
from cnngen.space import Space, load_space
from cnngen.space.sampling import Bounds, sample, sample_many
from cnngen.space.variation import OPERATORS, Variant, cross, edit_distance, inside, vary
from cnngen.space.variation.draft import Draft
from cnngen_torch.train import load

SPACES = ("compact", "paper", "authors")
ONE_PARENT = OPERATORS[:-1]
SMALL = """
name = "small"
dropout_rates = [0.1]
batch_norm_epsilons = [1e-3]
[features]
count = [1, 2]
merge = {merge}
dropout = 0.0
pooling = 0.0
[convolution]
kinds = ["conv"]
kernels = [1, 3]
strides = [1]
paddings = ["same"]
activations = ["relu", "tanh"]
first_filters = 8
filter_growth = 8
[pooling]
kinds = ["max_pooling"]
sizes = [2]
strides = [1]
paddings = ["same"]
[merge]
modes = ["add", "concat"]
bodies = [1, 1]
empty_right = 0.5
right_convolutions = [1, 1]
left_convolutions = [1, 1]
pooling_first = 0.0
pooling_last = 0.0
dropout = 0.0
nested = {nested}
nested_merges = [1, 1]
nested_bodies = [1, 1]
convolutions_before_nested = [0, 0]
convolutions_after_nested = [0, 1]
max_depth = 2
[classification]
interstices = ["flatten", "global_avg_pooling"]
dense = [1, 1]
dropout = 0.0
wide = 0.0
wide_limit = 128
narrow = [0.2, 0.8]
"""


def small_space(folder: Path, merge: float = 0.5, nested: float = 0.5) -> Space:
    path = folder / "small.toml"
    path.write_text(SMALL.format(merge=merge, nested=nested))
    return load_space(path)


def children(space: str, count: int, shape=(16, 16, 3)) -> list[tuple[Network, Variant]]:
    """Children by all operators, of networks and of their children."""
    made: list[tuple[Network, Variant]] = []
    impossible: Counter[str] = Counter()
    parents = list(sample_many(12, space, input_shape=shape, seed=4))
    for number in range(count):
        parent = parents[number % len(parents)]
        name = OPERATORS[number % len(OPERATORS)]
        if name == "cross":
            child = cross(parent, parents[(number * 5 + 1) % len(parents)], space, seed=number)
        else:
            try:
                child = vary(parent, space, seed=number, operators=[name])
            except SpaceError:  # as `unwrap` of a network without a merge
                impossible[name] += 1
                continue
        made.append((parent, child))
        parents[number % len(parents)] = child.network
    assert all(missed < count / len(OPERATORS) for missed in impossible.values()), impossible
    return made


@pytest.mark.parametrize("space", SPACES)
def test_children_are_inside_the_space_and_resolve_to_themselves(space: str) -> None:
    for parent, child in children(space, 150):
        network = child.network
        assert inside(network, space) is None
        assert network.id != parent.id
        assert (network.input_shape, network.classes) == (parent.input_shape, parent.classes)
        again = cnngen.resolve(cnngen.parse(network.to_text()), seed=99)
        assert again == network
        assert again.id == network.id


def test_children_can_be_built_and_run() -> None:
    import torch

    for _, child in children("compact", 27, (8, 8, 1)):
        model = load(child.network.to_source("torch"))
        assert model(torch.rand(2, 1, 8, 8)).shape == (2, 10)
        assert sum(p.numel() for p in model.parameters()) == child.network.cost.parameters


@pytest.mark.parametrize("space", SPACES)
def test_what_an_edit_does_not_touch_keeps_its_hyper_parameters(space: str) -> None:
    """One hyper-parameter differs after `change`, but for those that are said to be reopened."""
    for number, parent in enumerate(sample_many(60, space, input_shape=(16, 16, 3), seed=7)):
        child = vary(parent, space, seed=number, operators=["change"])
        pairs = zip(parent.description.layers(), child.network.description.layers(), strict=True)
        changed = [
            (one.kind != other.kind, name)
            for one, other in pairs
            for name in one.parameters.keys() & other.parameters.keys()
            if one.parameters[name] != other.parameters[name]
        ]
        names = {name for _, name in changed}
        if not child.reopened and len(changed) > 1:
            # What follows from the one that was changed: open parts of the head, and a bias.
            assert names <= {"activation"} or any(kind for kind, _ in changed)
        reopened = {name.partition(".")[2] for name in child.reopened}
        assert len(names - reopened) <= 2


def test_a_part_that_no_longer_fits_is_reopened_in_its_merge_alone() -> None:
    text = """input(16x16x3)
        conv(filters=16, kernel=3, stride=1, padding=same, activation=relu)
        [add (conv(filters=16, kernel=3, stride=1, padding=same, activation=relu), Empty)]
        [add (conv(filters=16, kernel=3, stride=1, padding=same, activation=relu),
              conv(filters=16, kernel=1, stride=1, padding=same, activation=relu))]
        flatten dense output(10)"""
    parent = cnngen.resolve(cnngen.parse(text), space="compact", seed=0)
    seen = set()
    for seed in range(400):
        child = vary(parent, "compact", seed=seed, operators=["change"])
        first = next(child.network.description.layers())
        if first.parameters["filters"] != 16:
            seen.add(child.reopened)
            second, *_ = list(child.network.description.layers())[1:]
            assert second.parameters["filters"] == first.parameters["filters"]
    assert seen == {("conv2.filters",)}


def test_equal_arguments_give_an_equal_child_and_others_another() -> None:
    parent, other = sample_many(2, "paper", seed=3)
    assert vary(parent, "paper", seed=5) == vary(parent, "paper", seed=5)
    assert cross(parent, other, "paper", seed=5) == cross(parent, other, "paper", seed=5)
    assert len({vary(parent, "paper", seed=seed).network.id for seed in range(30)}) > 20


def test_every_operator_does_what_its_name_says() -> None:
    parents = list(sample_many(30, "compact", seed=11))

    def made(name: str) -> list[tuple[Draft, Draft]]:
        pairs = []
        for number, parent in enumerate(parents):
            try:
                child = vary(parent, "compact", seed=number, operators=[name])
            except SpaceError:
                continue
            assert child.operator == name
            pairs.append((Draft.of(parent.description), Draft.of(child.network.description)))
        assert len(pairs) >= 10
        return pairs

    def layers(draft: Draft) -> int:
        return sum(1 for _ in draft.description().layers())

    def merges(draft: Draft) -> int:
        return sum(1 for _ in draft.merges())

    def kinds(draft: Draft) -> list[str]:
        return sorted(layer.kind for layer in draft.description().layers())

    assert all(layers(child) > layers(parent) for parent, child in made("insert"))
    assert all(layers(child) < layers(parent) for parent, child in made("delete"))
    assert all(layers(child) > layers(parent) for parent, child in made("duplicate"))
    assert all(kinds(child) == kinds(parent) for parent, child in made("swap"))
    assert all(merges(child) == merges(parent) + 1 for parent, child in made("wrap"))
    assert all(merges(child) == merges(parent) - 1 for parent, child in made("unwrap"))
    assert all(layers(child) == layers(parent) for parent, child in made("change"))


def test_any_sentence_of_a_small_space_is_reached(tmp_path: Path) -> None:
    """From one network to each of many others, by going where the distance becomes less."""
    space = small_space(tmp_path)
    start, *targets = sample_many(14, space, input_shape=(8, 8, 1), seed=1)
    for target in targets:
        here, steps = start, 0
        while here.id != target.id:
            steps += 1
            assert steps < 200, f"{here.to_text()} does not become {target.to_text()}"
            found = [vary(here, space, seed=1000 * steps + i).network for i in range(25)]
            here = min(found, key=lambda one: edit_distance(one, target))


def test_bounds_hold(tmp_path: Path) -> None:
    bounds = Bounds(layers=(None, 20), parameters=(None, 100_000))
    parent = sample("compact", seed=1, bounds=bounds)
    for seed in range(30):
        child = vary(parent, "compact", seed=seed, bounds=bounds).network
        assert bounds.broken_by(child) is None
    with pytest.raises(SpaceError, match="no child was found"):
        vary(parent, "compact", seed=0, bounds=Bounds(layers=(None, 3)))


def test_a_network_outside_the_space_is_refused_with_what_is_outside() -> None:
    large = cnngen.resolve(
        cnngen.parse("input(8x8x1) conv(kernel=7) conv conv flatten dense output(10)"), seed=0
    )
    assert inside(large, "paper") is None
    assert inside(large, "compact") == "conv(kernel=(7, 7))"
    with pytest.raises(SpaceError, match=r"does not draw conv\(kernel=\(7, 7\)\)"):
        vary(large, "compact")
    one = cnngen.resolve(cnngen.parse("input(8x8x1) conv flatten dense output(10)"), seed=0)
    assert inside(one, "paper") == "1 feature extractions, not 3 to 5"
    backbone = cnngen.resolve(cnngen.parse("input(8x8x1) conv conv conv output"), seed=0)
    assert "backbone" in str(inside(backbone, "paper"))


@pytest.mark.parametrize("space", SPACES)
def test_what_a_space_draws_is_inside_it(space: str) -> None:
    for network in sample_many(150, space, seed=21):
        assert inside(network, space) is None
        assert Draft.of(network.description).description() == network.description


def test_unknown_operators_and_unequal_images_are_refused() -> None:
    one, other = sample("compact", seed=0), sample("compact", seed=0, input_shape=(8, 8, 1))
    with pytest.raises(CnnGenError, match="no operator 'mutate' of one parent") as refused:
        vary(one, "compact", operators=["mutate"])
    assert "replace, insert" in str(refused.value.hint)
    with pytest.raises(CnnGenError, match="no operator is given"):
        vary(one, "compact", operators=[])
    with pytest.raises(CnnGenError, match="other images"):
        cross(one, other, "compact")


def test_the_distance_is_a_metric() -> None:
    networks = list(sample_many(12, "compact", seed=9))
    for a in networks:
        assert edit_distance(a, a) == 0
        for b in networks:
            assert edit_distance(a, b) == edit_distance(b, a)
            assert (edit_distance(a, b) == 0) == (a.id == b.id)
            assert all(
                edit_distance(a, c) <= edit_distance(a, b) + edit_distance(b, c) for c in networks
            )
    changed = vary(networks[0], "compact", seed=3, operators=["change"])
    assert not changed.reopened
    assert 0 < edit_distance(networks[0], changed.network) < 4
