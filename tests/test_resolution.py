"""Dimension inference: valid by construction, given hyper-parameters kept, contradictions named."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cnngen.errors import MergeError, ResolveError
from cnngen.language import Body, Description, Layer, Merge, format, parse
from cnngen.language.tree import Node, gather
from cnngen.network import Network
from cnngen.operations import Add, Concat, Conv2d, Dense, Pool
from cnngen.space.resolution import channels, resolve
from cnngen.space.sampling import sample, sample_description

INPUTS = [(8, 8, 1), (28, 28, 1), (32, 32, 3), (64, 48, 3)]
SPACES = ["paper", "compact", "authors"]

networks = pytest.mark.parametrize(
    ("space", "shape"), [(s, i) for s in SPACES for i in INPUTS], ids=str
)


def windows_that_fit(size: int, window: int, stride: int, padding: str) -> int:
    """Positions of a window counted one by one, straight from the definition."""
    if padding == "valid":
        return sum(1 for at in range(0, size, stride) if at + window <= size)
    return sum(1 for _ in range(0, size, stride))


@networks
def test_every_shape_follows_from_counting_window_positions(
    space: str, shape: tuple[int, int, int]
) -> None:
    for seed in range(60):
        network = sample(space, input_shape=shape, classes=7, seed=seed)
        for node in network.nodes:
            inputs = [network.nodes[i].shape for i in node.inputs]
            match node.operation:
                case Conv2d(kernel=window) | Pool(size=window) as operation:
                    expected = tuple(
                        windows_that_fit(n, k, s, operation.padding)
                        for n, k, s in zip(inputs[0], window, operation.stride, strict=False)
                    )
                    assert node.shape[:2] == expected
                case Add():
                    assert inputs[0] == inputs[1] == node.shape
                case Concat():
                    assert inputs[0][:2] == inputs[1][:2] == node.shape[:2]
            assert min(node.shape) >= 1
        assert network.output_shape == (7,)


def changed(
    description: Description, change: Callable[[Layer | Merge], Layer | Merge]
) -> Description:
    """The description with each layer and merge replaced by what `change` makes of it."""
    nodes = gather(item if isinstance(item, str) else change(item) for item in description.walk())
    end = len(nodes) - len(description.head)
    return replace(description, features=nodes[:end], head=nodes[end:])


def erased(description: Description, random_: random.Random, share: float) -> Description:
    """The description with a share of its hyper-parameters left open (modes stay)."""

    def erase(item: Layer | Merge) -> Layer | Merge:
        if isinstance(item, Merge):
            return item
        kept = {k: v for k, v in item.parameters.items() if random_.random() > share}
        return replace(item, parameters=kept)

    return changed(description, erase)


def with_random_modes(description: Description, random_: random.Random) -> Description:
    def choose(item: Layer | Merge) -> Layer | Merge:
        if isinstance(item, Layer):
            return item
        return replace(item, mode=random_.choice(["add", "concat"]))

    return changed(description, choose)


@networks
def test_what_is_given_is_kept_and_the_rest_is_solved_where_a_solution_exists(
    space: str, shape: tuple[int, int, int]
) -> None:
    """Law: open any part of a resolved description, and it resolves again around the rest."""
    random_ = random.Random(f"{space}{shape}")
    for seed in range(25):
        resolved = sample(space, input_shape=shape, seed=seed).description
        opened = erased(resolved, random_, random_.random())
        again = resolve(opened, space=space, seed=seed + 1)
        for before, after in zip(opened.layers(), again.description.layers(), strict=True):
            assert before.parameters.items() <= after.parameters.items()


def test_add_and_concat_in_one_network_still_find_their_channels() -> None:
    """Law: the same with modes mixed at random, where sums and equalities meet."""
    random_ = random.Random(5)
    solved = 0
    for seed in range(150):
        mixed = with_random_modes(sample_description("paper", seed=seed), random_)
        try:
            resolved = resolve(mixed, seed=seed).description
        except ResolveError:
            # A concatenation that must be as thin as its Empty side has no solution.
            continue
        solved += 1
        assert resolve(erased(resolved, random_, 0.5), seed=seed + 1)
    assert solved > 100


TINY = """
name = "tiny"
dropout_rates = [0.5]
batch_norm_epsilons = [1e-3]
[features]
count = [1, 2]
merge = 0.5
dropout = 0
pooling = 0.5
[convolution]
kinds = ["conv"]
kernels = [1, 2, 3]
strides = [1, 2]
paddings = ["same", "valid"]
activations = ["relu"]
first_filters = 4
filter_growth = 4
[pooling]
kinds = ["max_pooling"]
sizes = [1, 2]
strides = [1, 3]
paddings = ["same", "valid"]
[merge]
modes = ["concat"]
bodies = [1, 2]
empty_right = 0.3
right_convolutions = [1, 2]
left_convolutions = [1, 2]
pooling_first = 0.3
pooling_last = 0.3
dropout = 0
nested = 0.4
nested_merges = [1, 1]
nested_bodies = [1, 2]
convolutions_before_nested = [0, 1]
convolutions_after_nested = [0, 1]
max_depth = 2
[classification]
interstices = ["flatten"]
dense = [1, 1]
dropout = 0
wide = 0.2
wide_limit = 16
narrow = [0.5, 0.5]
"""

CONV = list(itertools.product([1, 2, 3], [1, 2], ["same", "valid"]))
POOL = list(itertools.product([1, 2], [1, 3], ["same", "valid"]))


def reachable(chain: tuple[Node, ...], start: set[int]) -> set[int]:
    """Sizes that a chain can end at, by trying every combination from every start."""
    for node in chain:
        if isinstance(node, Merge):
            ends: set[int] = set()
            for size in start:
                meeting = {size}
                for body in node.bodies:
                    meeting = {
                        end
                        for at in meeting
                        for end in set.intersection(*(reachable(s, {at}) for s in body.sides))
                    }
                ends |= meeting
            start = ends
        elif node.kind in ("conv", "max_pooling"):
            name = "kernel" if node.kind == "conv" else "size"
            given = node.parameters
            start = {
                windows_that_fit(size, window, stride, padding)
                for size in start
                for window, stride, padding in (CONV if node.kind == "conv" else POOL)
                for window in [given.get(name, (window, window))[0]]  # type: ignore[index, union-attr]
                for stride in [given.get("stride", (stride, stride))[0]]  # type: ignore[index, union-attr]
                for padding in [given.get("padding", padding)]
                if padding == "same" or window <= size
            }
    return start


def test_a_description_resolves_exactly_where_trying_everything_finds_a_solution(
    tmp_path: object,
) -> None:
    """Law: no solvable description is refused, none is solved wrongly; against brute force."""
    space = f"{tmp_path}/tiny.toml"
    with open(space, "w") as file:
        file.write(TINY)
    random_ = random.Random(11)

    def fix(item: Layer | Merge) -> Layer | Merge:
        name = {"conv": "kernel", "max_pooling": "size"}.get(getattr(item, "kind", ""))
        if isinstance(item, Merge) or name is None or random_.random() < 0.3:
            return item
        window, stride, padding = random_.choice(CONV if name == "kernel" else POOL)
        whole: dict[str, object] = {
            name: (window + random_.choice([0, 0, 2]),) * 2,
            "stride": (stride,) * 2,
            "padding": padding,
        }
        kept = {k: v for k, v in whole.items() if random_.random() < 0.6}
        return replace(item, parameters=kept)

    outcomes = {True: 0, False: 0}
    for seed in range(1500):
        description = changed(sample_description(space, seed=seed), fix)
        size = random_.randint(1, 7)
        solvable = bool(reachable(description.features, {size}))
        outcomes[solvable] += 1
        shape = (size, size, 1)
        if solvable:
            network = resolve(description, space=space, input_shape=shape, seed=seed)
            assert resolve(network.description) == network
        else:
            with pytest.raises(ResolveError):
                resolve(description, space=space, input_shape=shape, seed=seed)
    assert min(outcomes.values()) > 100


def test_branches_resolve_exactly_where_trying_everything_finds_a_solution(
    tmp_path: Path,
) -> None:
    """Law: the same for merges of branches, nested in any of them and behind poolings."""
    random_ = random.Random(12)

    def window(kind: str, name: str, options: list[tuple[int, int, str]]) -> Layer:
        extent, stride, padding = random_.choice(options)
        whole: dict[str, object] = {
            name: (extent,) * 2,
            "stride": (stride,) * 2,
            "padding": padding,
        }
        return Layer(kind, {k: v for k, v in whole.items() if random_.random() < 0.7})

    def branch(depth: int) -> tuple[Node, ...]:
        nodes: list[Node] = []
        if random_.random() < 0.3:
            nodes.append(window("max_pooling", "size", POOL))
        if depth < 2 and random_.random() < 0.4:
            nodes.append(branches(depth + 1))
        for _ in range(random_.choice((0, 0, 1, 2))):
            nodes.append(window("conv", "kernel", CONV))
        return tuple(nodes)

    def branches(depth: int) -> Merge:
        left, right, *more = (branch(depth) for _ in range(random_.choice((2, 3, 4))))
        return Merge("concat", (Body(left, right, more=tuple(more), bare=True),))

    space = tmp_path / "tiny.toml"
    space.write_text(TINY)
    outcomes = {True: 0, False: 0}
    for seed in range(1200):
        size = random_.randint(1, 7)
        description = Description((Layer("conv", {"stride": (1, 1)}), branches(1)))
        solvable = bool(reachable(description.features, {size}))
        outcomes[solvable] += 1
        if solvable:
            network = resolve(description, space=space, input_shape=(size, size, 1), seed=seed)
            assert resolve(network.description) == network
        else:
            with pytest.raises(ResolveError):
                resolve(description, space=space, input_shape=(size, size, 1), seed=seed)
    assert min(outcomes.values()) > 100


def test_channels_of_branches_match_exactly_where_some_filters_do() -> None:
    """Law: filters are found if and only if there are some; against all of up to 12."""
    random_ = random.Random(13)
    windows = "kernel=1, stride=1, padding=same"

    def term(depth: int, slots: list[int | None]) -> tuple[str, Callable[[Sequence[int]], int]]:
        """A branch as text, and its channels from the filters of all convolutions; below 0 where
        an addition has none."""
        kind = random_.random()
        if kind < 0.15:
            return "Empty", lambda _: 3
        if kind < 0.75 or depth == 2:
            given = random_.randint(1, 5) if random_.random() < 0.6 or len(slots) > 2 else None
            at = len(slots) if given is None else -1
            if given is None:
                slots.append(None)
            filters = "" if given is None else f"filters={given}, "
            return f"conv({filters}{windows})", lambda found: given or found[at]
        mode = random_.choice(("add", "concat"))
        parts = [term(depth + 1, slots) for _ in range(random_.choice((2, 3, 4)))]

        def joined(found: Sequence[int]) -> int:
            counts = [count(found) for _, count in parts]
            if min(counts) < 0 or (mode == "add" and len({*counts}) > 1):
                return -1
            return sum(counts) if mode == "concat" else counts[0]

        return f"[{mode} {' | '.join(text for text, _ in parts)} ]", joined

    outcomes = {True: 0, False: 0}
    while sum(outcomes.values()) < 400:
        slots: list[int | None] = []
        text, count = term(0, slots)
        if text[0] != "[" or len(slots) > 3:
            continue
        found = itertools.product(range(1, 13), repeat=len(slots))
        solvable = any(count(each) > 0 for each in found)
        outcomes[solvable] += 1
        text = f"input(4x4x3) {text} output"
        try:
            network = resolve(text)
        except ResolveError:
            assert not solvable, text
        else:
            assert solvable, text
            assert resolve(network.description) == network
    assert min(outcomes.values()) > 50


def test_every_solution_of_a_merge_is_drawn() -> None:
    description = parse("input(5x5x1) [ ( conv(kernel=3, padding=valid) , conv ) ] output")
    seen = {resolve(description, seed=seed).output_shape[:2] for seed in range(300)}
    assert seen == {(3, 3), (2, 2), (1, 1)}


def test_bodies_of_a_merge_go_on_in_two_columns() -> None:
    text = (
        "input(9x9x2) [add ( conv(filters=4) , conv(filters=4) ) "
        "( max_pooling conv(filters=6) , convbn(filters=6) ) ] output"
    )
    network = resolve(parse(text), seed=1)
    names = {node.name: node for node in network.nodes}
    inputs = {name: [network.nodes[i].name for i in node.inputs] for name, node in names.items()}
    assert inputs == {
        "input": [],
        "conv1": ["input"],
        "conv2": ["input"],
        "add1": ["conv1", "conv2"],
        "pool1": ["add1"],
        "conv3": ["pool1"],
        "conv4": ["conv2"],
        "norm1": ["conv4"],
        "add2": ["conv3", "norm1"],
    }


def test_empty_keeps_the_size_and_for_add_the_channels_of_its_input() -> None:
    for seed in range(50):
        network = resolve(parse("input conv [add ( conv conv , Empty ) ] output"), seed=seed)
        assert network.nodes[1].shape == network.output_shape


def test_concatenation_sums_the_channels_of_its_sides() -> None:
    text = "input conv(filters=5) [concat ( conv(filters=7) , Empty ) ] output"
    assert resolve(parse(text)).output_shape[2] == 12


def test_the_last_convolution_takes_the_channels_that_an_inner_sum_leaves() -> None:
    text = "input conv [add ( [concat ( conv(filters=9) , conv ) ] , conv(filters=14) ) ] output"
    network = resolve(parse(text))
    filters = [n.operation.filters for n in network.nodes if isinstance(n.operation, Conv2d)]
    assert filters[1:] == [9, 5, 14]


def test_a_convolution_before_a_sum_takes_what_the_sum_will_need() -> None:
    text = (
        "input(8x8x3) [concat ( conv , Empty )] "
        "[add ( [concat ( conv , conv(filters=33) )] , Empty )] output"
    )
    assert resolve(parse(text)).output_shape[2] >= 34


@pytest.mark.parametrize("shape", [(-5, 3, 3), (0, 8, 1), (32, 32), (2_000_000, 8, 1)])
def test_images_that_cannot_be_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ResolveError, match="shape"):
        resolve(parse("input conv flatten dense output"), input_shape=shape)
    with pytest.raises(ResolveError, match="classes"):
        resolve(parse("input conv flatten dense output"), classes=-3)


def test_filters_start_at_16_and_grow_with_each_reducing_convolution() -> None:
    text = (
        "input(32x32x3) conv(stride=1, padding=same) conv(stride=2) conv(stride=1, padding=same)"
        " conv(stride=2) output"
    )
    network = resolve(parse(text))
    assert [n.shape[2] for n in network.nodes[1:]] == [16, 32, 32, 48]


def test_filters_go_on_from_those_that_are_given() -> None:
    text = "input conv(filters=40) conv(stride=1, padding=same) conv(stride=2) output"
    assert [n.shape[2] for n in resolve(parse(text)).nodes[1:]] == [40, 40, 56]


def test_the_last_dense_layer_has_a_unit_for_each_class_and_gives_logits() -> None:
    network = resolve(parse("input conv flatten dense dense output(37)"))
    assert network.nodes[-1].operation == Dense(37, "linear")
    assert network.classes == 37


def test_a_backbone_has_no_classes() -> None:
    network = resolve(parse("input conv output"), classes=10)
    assert network.is_backbone
    assert len(network.output_shape) == 3


def test_a_bias_that_batch_norm_would_take_away_is_not_made() -> None:
    linear = resolve(parse("input convbn(activation=linear) output")).nodes[1].operation
    curved = resolve(parse("input convbn(activation=relu) output")).nodes[1].operation
    assert isinstance(linear, Conv2d)
    assert isinstance(curved, Conv2d)
    assert (linear.bias, curved.bias) == (False, True)


@networks
def test_the_resolved_description_gives_an_equal_network_without_a_seed(
    space: str, shape: tuple[int, int, int]
) -> None:
    for seed in range(40):
        network = sample(space, input_shape=shape, seed=seed)
        text = format(network.description, long=seed % 2 == 0)
        again = resolve(parse(text), space="compact", seed=seed + 99)
        assert again == network
        assert again.id == network.id
        assert again.description == network.description


def test_an_id_does_not_depend_on_the_name_of_the_architecture() -> None:
    text = resolve(parse("input conv flatten dense output")).to_text()
    assert resolve(parse("LENET -> " + text)).id == resolve(parse(text)).id


def test_ids_are_the_same_in_every_process_and_version() -> None:
    """Frozen on purpose: a change here breaks the ids of everybody's records."""
    code = (
        "from cnngen.space.sampling import sample as s;"
        "print(*[s('paper', seed=i).id for i in range(3)], s('compact', seed=7).id)"
    )
    for seed in ("0", "1"):
        printed = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert printed.stdout.split() == FROZEN_IDS


FROZEN_IDS = [
    "bd0a603ce4ac9464",
    "ae2b1b7667ce0e61",
    "d31b74c867680534",
    "102453983eb7c1a7",
]


def contradiction(text: str, **arguments: object) -> ResolveError:
    with pytest.raises(ResolveError) as caught:
        resolve(parse(text, "x.cnn"), **arguments)  # type: ignore[arg-type]
    assert len(str(caught.value).splitlines()) <= 5
    return caught.value


def test_sides_that_never_meet_are_reported_with_both_sizes_and_places() -> None:
    error = contradiction(
        "input(32x32x3)\n[ ( conv(stride=2, padding=same) ,\n    conv(stride=1, padding=same) ) ] output"
    )
    assert error.position == (2, 3)
    assert "left (line 2, column 5) can reach 16x16" in error.message
    assert "right (line 3, column 5) can reach 32x32" in error.message


def test_sides_that_reach_one_size_from_different_ones_are_shown_from_one() -> None:
    error = contradiction(
        "input(32x32x3) conv(kernel=1, padding=same) "
        "[ ( conv(stride=2, kernel=1, padding=same) , Empty ) ] output"
    )
    assert "from 32x32 (and the same from 3 other sizes)" in error.message
    assert "can reach 16x16, right" in error.message


def test_a_contradiction_inside_a_merge_is_found_at_its_own_place() -> None:
    error = contradiction(
        "input(32x32x3) [ ( conv [ ( conv(kernel=40, padding=valid) , Empty ) ] , conv ) ] output"
    )
    assert error.position == (1, 29)
    assert "no kernel" in error.message


def test_branches_that_do_not_fit_are_reported_by_their_numbers() -> None:
    with pytest.raises(MergeError) as sizes:
        resolve("input(8x8x1) [ conv(stride=2, padding=same) | conv | Empty ] output")
    assert "branch 1 (line 1, column 16) can reach 4x4, branch 3" in sizes.value.message
    assert "is Empty and stays at 8x8" in sizes.value.message
    assert sizes.value.sizes is not None
    assert [*map(len, sizes.value.sizes)][::2] == [1, 1]
    with pytest.raises(MergeError) as counts:
        resolve("input(8x8x1) [add conv(filters=2) | conv | conv(filters=3) ] output")
    assert "branch 1 (ends at line 1, column 19) has 2, branch 3" in counts.value.message
    assert counts.value.channels == (2, None, 3)
    with pytest.raises(ResolveError, match="give 4 channels, which its sides of 2, 2 and 1 or"):
        resolve(
            "input [add conv(filters=4) | [ conv(filters=2) | conv(filters=2) | conv ] ] output"
        )


def test_sides_that_only_meet_by_twos_are_all_told() -> None:
    sides = ("kernel=1, stride=1x2", "kernel=1x2, stride=1")
    text = f"input(1x4x1) [ conv({sides[0]}) | conv({sides[1]}) | conv(padding=same) ] output"
    with pytest.raises(ResolveError, match=r"branch 1 .* can reach 1x2, branch 2 .*1x4 or 1x3"):
        resolve(text)


@pytest.mark.parametrize("side", ["Empty", "conv", "conv(filters=1)"])
@pytest.mark.parametrize("mode", ["add", "concat"])
def test_very_many_branches_take_work_that_grows_with_their_number(
    side: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: sums are looked at some times for each branch, however many there are."""
    monkeypatch.setattr(channels, "MAX_FOLLOWED", 0)
    monkeypatch.setattr(channels, "MAX_FOLLOWED_EACH", 30)
    filters = "(filters=5000)" if mode == "concat" and side != "conv" else ""
    branches = " | ".join([f"conv{filters.replace('5000', '1')}", *[side] * 4999])
    network = resolve(f"input(4x4x1) [{mode} {branches} ] [add Empty | conv | Empty ] output")
    assert len(network.nodes[-1].inputs) == 3
    assert network.output_shape[2] >= (4999 if mode == "concat" else 1)


def test_sides_with_different_channels_are_reported_with_both_places() -> None:
    error = contradiction(
        "input conv [add ( conv(filters=16) , conv(filters=32) ) ] flatten dense output"
    )
    assert "left (ends at line 1, column 19) has 16" in error.message
    assert "right (ends at line 1, column 38) has 32" in error.message


def test_a_window_larger_than_the_map_is_reported_with_the_sizes_it_could_have() -> None:
    error = contradiction("input(8x8x1) conv(kernel=9, padding=valid) flatten dense output")
    assert error.position == (1, 14)
    assert "fits its input of 8x8" in error.message


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("input conv flatten dense(units=12) output(10)", {}),
        ("input conv flatten dense(units=12) output", {"classes": 10}),
        ("input conv flatten dense output(10)", {"classes": 7}),
        ("input(32x32x3) conv flatten dense output", {"input_shape": (8, 8, 1)}),
        ("input conv(filters=6) [add ( [concat ( conv , Empty ) ] , Empty ) ] output", {}),
    ],
)
def test_ends_and_sums_that_disagree_are_refused(text: str, arguments: dict[str, object]) -> None:
    contradiction(text, **arguments)


def test_a_thousand_nested_merges_resolve() -> None:
    text = "input conv " + "[ ( conv " * 1000 + ", conv ) ]" * 1000 + " flatten dense output"
    network = resolve(parse(text))
    assert len(network) == 3004
    assert resolve(network.description) == network


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The sums that were looked at, an entry each time; one too often fails."""
    seen: list[object] = []
    follow = channels._Channels._follow_sum

    def counted(self: channels._Channels, total: channels._Sum) -> list[int]:
        seen.append(total)
        assert len(seen) < 10_000
        return follow(self, total)

    monkeypatch.setattr(channels._Channels, "_follow_sum", counted)
    return seen


@pytest.mark.parametrize("before", ["conv", "conv(filters=3)"])
def test_nested_concatenations_are_looked_at_as_often_at_every_depth(
    before: str, looks: list[object]
) -> None:
    """Law: with each convolution only the sum that it is a part of, not all around that."""
    text = "input " + f"[concat ( {before} " * 1500 + ", conv ) ]" * 1500 + " flatten dense output"
    channels_at_end = resolve(parse(text)).nodes[-3].shape[2]
    assert channels_at_end > 1500
    assert len(looks) <= 3 * 1500


@pytest.mark.parametrize(
    "text",
    [
        "input [add ( [concat ( [concat ( conv , conv ) ] , conv ) ] , conv(filters=2) ) ] output",
        "input [add ( conv [concat ( conv , Empty ) ] [concat ( conv , Empty ) ] ,"
        " conv(filters=2) ) ] output",
        "input conv conv(filters=1) [add ( [concat ( conv [concat ( conv(filters=1) conv ,"
        " Empty ) ] , conv ) ] , Empty ) ] output",
    ],
)
def test_more_parts_than_channels_are_refused_at_once(text: str, looks: list[object]) -> None:
    """Their least numbers would rise for ever, each for the other's sake."""
    assert "cannot sum to" in contradiction(text).message
    assert len(looks) < 50


def test_looking_at_sums_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "MAX_FOLLOWED", 0)
    monkeypatch.setattr(channels, "MAX_FOLLOWED_EACH", 1)
    found = contradiction("input conv [concat ( conv , conv ) ] output")
    assert "too much to be matched" in found.message


@pytest.mark.parametrize("shape", ["1000000x1000000x3", "4000x3000x3", "1x1x1", "1x500x2"])
def test_images_of_any_size_resolve(shape: str) -> None:
    text = f"input({shape}) conv conv max_pooling [ ( conv pooling , conv ) ] flatten dense output"
    text = text.replace("conv pooling", "conv max_pooling")
    network: Network = resolve(parse(text))
    assert min(min(node.shape) for node in network.nodes) >= 1


@pytest.mark.parametrize(
    "text",
    [
        "input conv [add ( [concat ( conv , Empty )] , Empty )] output",
        "input conv [add ( [concat ( conv conv , Empty )] [concat ( conv , Empty )] , Empty )] output",
        "input conv [add ( [concat ( [concat ( conv , Empty )] , Empty )] , Empty )] output",
    ],
)
def test_a_concatenation_that_is_added_to_its_own_side_is_refused(text: str) -> None:
    with pytest.raises(ResolveError, match="no more channels than one of its sides"):
        resolve(parse(text))
    resolve(parse(text.replace(", Empty )] output", ", conv )] output")))
