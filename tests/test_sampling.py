"""Networks drawn at random: the space's shares, bounds, no repeats, the same for a seed."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import pytest

from cnngen.errors import SpaceError
from cnngen.language import Layer, Merge, parse
from cnngen.operations import Conv2d, Dense, Pool
from cnngen.space import load_space, sampling
from cnngen.space.resolution import resolve
from cnngen.space.resolution.windows import Given, moves
from cnngen.space.sampling import Bounds, sample, sample_description, sample_many


def test_2000_paper_networks_span_at_least_the_layers_of_the_paper() -> None:
    layers = sorted(len(network) for network in sample_many(2000, "paper", seed=0))
    assert layers[0] <= 9
    assert layers[-1] >= 272


def test_shares_of_what_is_drawn_are_those_of_the_space() -> None:
    """Law: each count lies within five standard deviations of the binomial law."""
    counts: Counter[str] = Counter()
    for seed in range(3000):
        features = sample_description("paper", seed=seed).features
        for node, after, later in zip(
            features, [*features[1:], None], [*features[2:], None, None], strict=False
        ):
            if isinstance(node, Layer) and node.kind not in ("conv", "convbn", "bnconv"):
                continue
            counts["extractions"] += 1
            counts["merges"] += isinstance(node, Merge)
            if isinstance(node, Layer):
                counts[node.kind] += 1
            dropped = isinstance(after, Layer) and after.kind == "dropout"
            counts["dropouts"] += dropped
            pooling = later if dropped else after
            counts["poolings"] += isinstance(pooling, Layer) and "pooling" in pooling.kind
    total = counts["extractions"]
    assert total > 10_000

    def close(name: str, share: float, of: int) -> None:
        assert abs(counts[name] - share * of) < 5 * math.sqrt(of * share * (1 - share)), name

    close("merges", 1 / 3, total)
    close("dropouts", 0.2, total)
    close("poolings", 0.66, total)
    for kind in ("conv", "convbn", "bnconv"):
        close(kind, 1 / 3, total - counts["merges"])


def test_a_right_side_is_empty_only_in_a_merge_of_one_body() -> None:
    for seed in range(300):
        for item in sample_description("paper", seed=seed).walk():
            if isinstance(item, Merge) and len(item.bodies) > 1:
                assert all(body.right for body in item.bodies)


def test_one_network_has_one_activation_and_one_mode() -> None:
    for seed in range(100):
        description = sample("paper", seed=seed).description
        activations = {
            layer.parameters["activation"]
            for layer in description.layers()
            if "filters" in layer.parameters
        }
        modes = {item.mode for item in description.walk() if isinstance(item, Merge)}
        assert len(activations) <= 1
        assert len(modes) <= 1


def test_bounds_hold_for_every_network() -> None:
    bounds = Bounds(layers=(12, 40), parameters=(None, 60_000), flops=(100_000, 5_000_000))
    for network in sample_many(40, "compact", seed=3, bounds=bounds):
        assert 12 <= len(network.nodes) <= 40
        assert network.cost.parameters <= 60_000
        assert 100_000 <= network.cost.flops <= 5_000_000


def test_bounds_that_nothing_meets_are_an_error_that_says_what_was_seen() -> None:
    with pytest.raises(SpaceError, match=r"none of 1,000 networks") as caught:
        sample("compact", bounds=Bounds(parameters=(None, 3)))
    assert "parameters" in str(caught.value)


def test_networks_do_not_repeat_and_number_i_does_not_depend_on_the_count() -> None:
    few = [network.id for network in sample_many(5, "compact", seed=9)]
    many = [network.id for network in sample_many(300, "compact", seed=9)]
    assert len(set(many)) == 300
    assert many[:5] == few


def test_a_space_with_few_networks_says_that_it_is_exhausted(tmp_path: Path) -> None:
    text = files("cnngen").joinpath("space/spaces/compact.toml").read_text()
    for key, value in {
        "count": "[1, 1]",
        "merge": "0",
        "pooling": "0",
        "kernels": "[1]",
        "strides": "[1]",
        "dense": "[1, 1]",
        "dropout": "0",
    }.items():
        text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
    (tmp_path / "few.toml").write_text(text)
    with pytest.raises(SpaceError, match=r"gave only .* different networks"):
        list(sample_many(100_000, tmp_path / "few.toml"))


def test_a_space_is_exhausted_only_where_repeats_follow_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 60 networks, each comes 30 times in a row; then there are no more."""
    ids = (str(min(number // 30, 59)) for number in itertools.count())
    monkeypatch.setattr(sampling, "sample", lambda *_, **__: SimpleNamespace(id=next(ids)))
    drawn = sampling.draws(61, "compact")
    assert [draw.network.id for draw in itertools.islice(drawn, 60)] == list(map(str, range(60)))
    with pytest.raises(sampling.ExhaustedError) as caught:
        next(drawn)
    assert caught.value.found == 60


def test_the_authors_space_draws_windows_as_their_program_does() -> None:
    """Against `GestionHPP.optimisationKernelPaddingStride`, enumerated; beyond 24 pixels it has
    strides that its own settings do not list."""
    space = load_space("authors")
    for size in range(1, 25):
        drawn = moves(space, Given(False, None, None, None), "full", (size, size))
        shares = {
            output[0]: weight / sum(drawn.weights)
            for output, weight in zip(drawn.sizes, drawn.weights, strict=True)
        }
        assert shares == pytest.approx(_ends_of_the_authors_program(size)), size


def _ends_of_the_authors_program(size: int) -> dict[int, float]:
    """The chance of each size of a map behind a layer that may reduce it."""
    ends: Counter[int] = Counter()
    few = {1: [1], 2: [1, 2]}.get(size)
    kernels = [1] if few else [k for k in range(1, 8) if k <= size]
    for kernel in kernels:
        steps = [size // kernel]
        if steps[0] > kernel:
            steps = [s for s in range(1, 5) if s <= kernel]
        for stride in steps:
            ends[(size - kernel) // stride + 1] += 0.5 / len(kernels) / len(steps)  # type: ignore[assignment]
    kernels = few or [k for k in range(1, 8) if k <= size // 2]
    for kernel in kernels:
        steps = [s for s in range(1, 5) if s <= kernel]
        for stride in steps:
            ends[-(-size // stride)] += 0.5 / len(kernels) / len(steps)  # type: ignore[assignment]
    return dict(ends)


def test_the_authors_networks_are_as_wide_and_as_dull_as_theirs() -> None:
    """Of 24 of their programs, 88 % of the convolutions and 89 % of the poolings had stride 1, and
    9 ended on a map of one pixel. Their 1,300 had 9 to 267 layers, which is one draw of many
    (docs/spaces.md)."""
    networks = list(sample_many(2000, "authors", input_shape=(28, 28, 1), seed=0))
    layers = sorted(len(network) for network in networks)
    assert layers[0] <= 10
    assert layers[-1] >= 200
    strides: dict[type, list[bool]] = {Conv2d: [], Pool: []}
    ends = []
    for network in networks:
        for node in network.nodes:
            if isinstance(node.operation, (Conv2d, Pool)):
                strides[type(node.operation)].append(node.operation.stride == (1, 1))
        last = [node.shape for node in network.nodes if len(node.shape) == 3][-1]
        ends.append(last[:2] == (1, 1))
    assert 0.85 < sum(strides[Conv2d]) / len(strides[Conv2d]) < 0.92
    assert 0.86 < sum(strides[Pool]) / len(strides[Pool]) < 0.93
    assert 0.2 < sum(ends) / len(ends) < 0.58  # 95 % of what 9 of 24 leave open


def test_beside_empty_the_authors_networks_keep_the_size_and_else_one_layer_a_side_reduces() -> (
    None
):
    for network in sample_many(300, "authors", seed=2):
        reducing: list[int] = []
        beside_empty: list[bool] = []
        bodies: list[list[bool]] = []
        for item in network.description.walk():
            match item:
                case Merge():
                    bodies.append([not body.right for body in item.bodies][::-1])
                case "(":
                    beside_empty.append(bodies[-1].pop() or any(beside_empty))
                    reducing.append(0)
                case "," | ")":
                    assert reducing.pop() <= (not beside_empty[-1])
                    if item == ",":
                        reducing.append(0)
                    else:
                        beside_empty.pop()
                case "]":
                    bodies.pop()
                case Layer() if reducing and "stride" in item.parameters:
                    keeps = item.parameters["stride"] == (1, 1)
                    reducing[-1] += not (keeps and item.parameters["padding"] == "same")


def test_the_authors_filters_grow_where_a_layer_is_free_and_shrink_behind_a_concat() -> None:
    chain = "A -> input " + 3 * "conv(stride=1, padding=same) " + "flatten dense output"

    def filters(text: str, space: str) -> list[int]:
        network = resolve(parse(text), space=space)
        return [n.operation.filters for n in network.nodes if isinstance(n.operation, Conv2d)]

    assert filters(chain, "authors") == [16, 32, 48]
    assert filters(chain, "paper") == [16, 16, 16]
    sides = "[concat ( conv(filters=20, stride=1) , conv(filters=24, stride=1) )]"
    behind = filters(f"A -> input {sides} conv flatten dense output", "authors")[-1]
    assert behind - 16 in {26, 32, 36, 40}  # 0.6, 0.7, 0.8, 0.9 of 44, made even


def test_wide_dense_layers_of_the_authors_are_limited_from_1000_units_on() -> None:
    def units(filters: int) -> int:
        text = f"A -> input(1x1x1) conv(filters={filters}) flatten dense dense output"
        [hidden, _] = [
            n.operation.units
            for n in resolve(parse(text), space="authors").nodes
            if isinstance(n.operation, Dense)
        ]
        return hidden

    assert units(4900) == 980
    assert units(5000) == 256
