"""Groups, dilation and the order of norm and activation: by construction and as published."""

from __future__ import annotations

import hashlib
from math import prod

import numpy as np
import pytest

import cnngen
from cnngen.backend.definitions import evaluate, first_weights
from cnngen.backend.testing.networks import by_hand
from cnngen.errors import CnnGenError
from cnngen.network import Network
from cnngen.operations import Conv2d, Gate, SqueezeExcite
from cnngen.predict.features.propagation import follow

IDS = {"paper": "6a31d3793a241297", "compact": "58fb3c46f43bd237"}
"""Hashes of the ids of 1,000 networks of each space, computed before there were groups."""


def features(text: str, shape: tuple[int, int, int] = (16, 16, 8)) -> Network:
    return cnngen.resolve(f"input {text} output", input_shape=shape)


def convolutions(network: Network) -> list[Conv2d]:
    return [node.operation for node in network.nodes if isinstance(node.operation, Conv2d)]


@pytest.mark.parametrize("space", IDS)
def test_the_published_spaces_draw_what_they_drew(space: str) -> None:
    told = hashlib.sha256()
    for network in cnngen.sample_many(1000, space, seed=0):
        told.update(network.id.encode())
    assert told.hexdigest()[:16] == IDS[space]


def test_a_depthwise_convolution_keeps_the_channels_and_may_have_a_multiple() -> None:
    one, two = convolutions(features("conv(groups=depthwise) conv(groups=depthwise, filters=24)"))
    assert (one.filters, two.filters) == (8, 24)
    network = features("[add (conv(groups=depthwise) conv(kernel=1), Empty)]")
    assert [one.filters for one in convolutions(network)] == [8, 8]


def test_open_filters_can_be_shared_out_among_the_groups() -> None:
    for seed in range(20):
        text = "input conv(filters=24) conv(groups=6) conv(groups=3) output"
        network = cnngen.resolve(text, seed=seed)
        for node, convolution in zip(network.nodes[1:], convolutions(network), strict=True):
            (read,) = network.input_shapes(node)
            assert read[2] % convolution.group_count(read) == 0
            assert convolution.filters % convolution.group_count(read) == 0


def test_a_dilated_convolution_fits_with_stride_1_whatever_is_open() -> None:
    for seed in range(20):
        network = cnngen.resolve(
            "input [add (conv(dilation=2, kernel=3), conv(stride=1)) ] output",
            input_shape=(7, 9, 3),
            seed=seed,
        )
        (dilated, _) = convolutions(network)
        assert dilated.stride == (1, 1)
        lost = 4 if dilated.padding == "valid" else 0
        assert network.output_shape[:2] == (7 - lost, 9 - lost)


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("conv(groups=3)", 7, "8 channels cannot be shared out among 3 groups"),
        ("conv(filters=12, groups=8)", 7, "12 filters cannot be shared out among 8 groups"),
        ("conv(filters=12, groups=depthwise)", 7, "12 filters cannot be shared out among 8"),
        ("conv(stride=2, dilation=2)", 7, "a dilated convolution has stride 1"),
        ("conv squeeze_excite(squeezed=0)", 36, "'squeezed' cannot be 0; it is a whole number"),
        ("conv squeeze_excite(squeezed=1000001)", 36, "it is a whole number from 1 to 1,000,000"),
        ("conv squeeze_excite(gate=tanh)", 32, "expected 'sigmoid' or 'hardsigmoid'"),
        ("[add (conv, squeeze_excite)]", 19, "found 'squeeze_excite'"),
        ("conv(groups=0)", 19, "'groups' cannot be 0"),
        ("conv(groups=all)", 19, "found 'all', expected 'depthwise' or a whole number"),
        ("convbn(order=norm_act_conv)", 7, "it is conv_act_norm or conv_norm_act"),
        ("conv(dilation=9, kernel=3, padding=valid)", 7, "no kernel allowed for this conv fits"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(text: str, place: int, said: str) -> None:
    with pytest.raises(CnnGenError) as refused:
        features(text)
    assert refused.value.position == (1, place)
    assert said in refused.value.message


def test_what_is_usual_is_not_written() -> None:
    """Equal networks have equal ids, whether a text says what goes without saying or not."""
    said = features("convbn(groups=1, dilation=1, order=conv_act_norm, filters=8)")
    unsaid = features("convbn(filters=8)")
    assert said.id == unsaid.id
    assert "groups" not in said.to_text()
    assert cnngen.resolve(features("conv(groups=2, dilation=2)").to_text())


def test_weights_and_work_are_shared_among_the_groups() -> None:
    text = "conv(filters=16, kernel=3x5, padding=same, stride=1, bias=false, groups={})"
    whole, shared, each = (features(text.format(groups)) for groups in (1, 4, "depthwise"))
    assert whole.cost.parameters == 16 * 8 * 15
    assert shared.cost.parameters == whole.cost.parameters / 4
    assert each.cost.parameters == whole.cost.parameters / 8
    assert shared.cost.multiply_adds == prod((16, 16, 16, 15, 2))


def test_squeeze_and_excitation_narrows_channels_unless_told() -> None:
    def squeezed(text: str) -> list[int]:
        network = features(text)
        assert network.output_shape == network.nodes[-2].shape
        operations = [node.operation for node in network.nodes]
        return [one.squeezed for one in operations if isinstance(one, SqueezeExcite)]

    assert squeezed("conv(filters=512) squeeze_excite") == [32]
    assert squeezed("conv(filters=40) squeeze_excite") == [8]
    assert squeezed("conv(filters=40) squeeze_excite(squeezed=3)") == [3]
    inside = "conv(filters=320) [add (conv(filters=320) squeeze_excite, conv)] squeeze_excite"
    assert squeezed(inside) == [20, 20]
    assert features("conv squeeze_excite(gate=sigmoid)").id == features("conv squeeze_excite").id


def test_squeeze_and_excitation_costs_two_dense_layers() -> None:
    parts = [Conv2d(32, (1, 1)), SqueezeExcite(6)]
    cost, alone = (by_hand((16, 16, 8), *parts[:count]).cost for count in (2, 1))
    assert cost.parameters - alone.parameters == 2 * 32 * 6 + 32 + 6
    assert cost.multiply_adds - alone.multiply_adds == 2 * 32 * 6


@pytest.mark.parametrize("gate", ["sigmoid", "hardsigmoid"])
def test_a_random_signal_passes_squeeze_and_excitation_as_it_is_computed(gate: Gate) -> None:
    network = by_hand((4, 4, 300), SqueezeExcite(200, "relu", gate))
    signals, gradients = follow(network)
    images = np.random.default_rng(0).normal(size=(8, 4, 4, 300)) * np.sqrt(signals[0].moment)
    found = evaluate(network, first_weights(network, 0), images)[1]
    assert (found**2).mean() == pytest.approx(signals[1].moment, rel=0.05)
    assert 0 < gradients[0] < 1


def test_the_shipped_predictor_says_that_it_has_not_seen_them() -> None:
    from cnngen.predict.model import SHIPPED, Model

    model = Model.load(SHIPPED)
    usual = cnngen.sample("paper", input_shape=(8, 8, 1), seed=3)
    text = usual.to_text()
    odd = cnngen.resolve(
        text.replace("conv(", "conv(groups=depthwise, ", 1).replace("filters=16, ", "", 1)
    )
    squeezed = cnngen.resolve(text.replace(" flatten", " squeeze_excite flatten", 1))
    assert squeezed.id != usual.id
    for network, unseen in (
        (usual, ""),
        (odd, "depthwise convolutions"),
        (squeezed, "squeeze-and-excitation"),
    ):
        said = " ".join(model.domain.warnings([network])[0])
        for what in ("depthwise convolutions", "squeeze-and-excitation"):
            assert (what in said) == (what == unseen)
