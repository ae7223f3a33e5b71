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
from cnngen.language import Layer, Merge
from cnngen.space import sampling
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
