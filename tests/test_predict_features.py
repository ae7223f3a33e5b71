"""Features of networks, against published figures, closed forms and PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from math import acos, isfinite, log2, pi, sin, sqrt
from pathlib import Path

import numpy as np
import pytest
from scipy.special import erf

import cnngen
from cnngen.backend import get_backend
from cnngen.backend.testing.networks import fixed
from cnngen.network import Network
from cnngen.operations import Activation
from cnngen.operations.random_signal import IMAGE, Signal, activated
from cnngen.predict.features import features, names, table
from cnngen.predict.features.maps import receptive_field
from cnngen.predict.features.propagation import follow
from cnngen.predict.graph.encoding import encode
from cnngen.predict.predictor import Floats

EXAMPLES = Path(__file__).parent.parent / "examples"


def network(text: str, shape: tuple[int, int, int] = (8, 8, 1)) -> Network:
    return cnngen.resolve(cnngen.parse(text), input_shape=shape)


@pytest.mark.parametrize("name", [*fixed(), *(file.stem for file in EXAMPLES.glob("*.cnn"))])
def test_every_network_has_the_same_features_and_all_are_finite(name: str) -> None:
    some = fixed().get(name) or cnngen.resolve(cnngen.read(EXAMPLES / f"{name}.cnn"))
    found = features(some)
    assert tuple(found) == names()
    assert all(isfinite(value) for value in found.values()), found


@pytest.mark.parametrize(
    "part",
    [
        192 * "conv(kernel=1, stride=1) dropout(rate=0.999) ",
        2121 * "[add (conv(filters=1, kernel=1, stride=1), Empty)] ",
        1100 * "conv(kernel=1, stride=2) ",
        1100 * "conv(kernel=1, stride=1) max_pooling(size=2, stride=2, padding=same) ",
        700 * "bnconv(kernel=1, stride=1, activation=linear, epsilon=1e-12) dropout(rate=0.99) ",
    ],
)
def test_features_of_what_leaves_every_range_are_finite(part: str) -> None:
    some = network(f"input conv(filters=1, kernel=1, stride=1) {part} flatten dense output")
    found = features(some)
    assert all(isfinite(value) for value in found.values()), found
    assert isfinite(encode(some).nodes.sum())
    assert isfinite(encode(some).whole.sum())


def test_a_table_has_a_row_a_network_and_may_be_empty() -> None:
    some = list(fixed().values())
    assert table(some).shape == (len(some), len(names()))
    assert table([]).shape == (0, len(names()))


@pytest.mark.parametrize(
    ("name", "field", "stride"),
    [("vgg16", 212, 32), ("alexnet", 195, 32), ("resnet50", 427, 32)],
)
def test_receptive_fields_are_the_published_ones(name: str, field: int, stride: int) -> None:
    # Araujo, Norris and Sim, Distill 2019, for AlexNet and VGG-16. Their ResNet-50 has its
    # strides elsewhere; of torchvision's, by hand: 11 behind the stem at steps of 4, 3 x 8,
    # then 8 + 3 x 16, 16 + 5 x 32, 32 + 2 x 64.
    some = cnngen.resolve(cnngen.read(EXAMPLES / f"{name}.cnn"))
    assert receptive_field(some) == ((field, field), (stride, stride))


def test_paths_of_merges_are_counted() -> None:
    # Two merges with an empty right side after each other, a third inside the second: 2 paths
    # through the first, 1 + 2 through the second.
    text = (
        "input conv(filters=4) [add (conv(filters=4), Empty)] "
        "[add ([add (conv(filters=4), Empty)] conv(filters=4), Empty)] flatten dense output"
    )
    found = features(network(text))
    assert found["routes"] == pytest.approx(log2(2 * 3))
    assert found["merges"] == 3
    assert found["nesting"] == 2
    assert found["empty_sides"] == 3
    assert found["longest"] == 1 + 1 + 2 + 1
    assert found["shortest"] == 1 + 1


def test_the_bottleneck_is_where_the_fewest_numbers_are_held() -> None:
    # Behind the pooling 2 numbers are left of the image's 64; ten logits say no more.
    text = (
        "input conv(filters=2, kernel=3, stride=1, padding=same) "
        "max_pooling(size=8, stride=8, padding=valid) flatten dense(units=30) dense output"
    )
    found = features(network(text))
    assert found["bottleneck"] == log2(2)
    assert found["main_bottleneck"] == log2(2)
    assert found["first_point"] == 0.5
    # The convolution's map of 8x8x2; the image is not read again.
    assert found["peak"] == log2(128)


def test_two_columns_together_are_no_bottleneck() -> None:
    # One of 4 numbers, but 64 pass beside it.
    column = (
        "max_pooling(size=4, stride=4, padding=valid) conv(filters=1, kernel=1, stride=1), "
        "conv(filters=16, kernel=4, stride=4, padding=valid)"
    )
    found = features(network(f"input [concat ({column})] flatten dense output"))
    assert found["bottleneck"] == log2(64)


def test_relu_has_its_arc_cosine_kernel() -> None:
    # Cho and Saul, "Kernel Methods for Deep Learning", NeurIPS 2009, of order 1.
    for moment in (0.01, 1.0, 30.0):
        for agreement in (0.0, 0.5, 0.99):
            x = Signal(moment, moment * (1 - agreement), 0.0)
            signal, slope = activated(x, "relu")
            angle = acos(agreement)
            product = moment * (sin(angle) + (pi - angle) * agreement) / (2 * pi)
            assert signal.moment == pytest.approx(moment / 2, rel=0.01)
            # Between the powers of two of the table, and with a kink to integrate over.
            assert signal.distance == pytest.approx(moment / 2 - product, rel=0.06)
            assert slope == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "selu", "sigmoid"])
def test_other_activations_have_the_moments_of_samples(activation: Activation) -> None:
    apply: Callable[[Floats], Floats] = {
        "tanh": lambda x: 1 - 2 / (np.exp(2 * x) + 1),
        "gelu": lambda x: x * (1 + erf(x / sqrt(2))) / 2,
        "selu": lambda x: (
            1.05070098 * np.maximum(x, 0)
            + np.minimum(1.75809934 * (np.exp(np.minimum(x, 0)) - 1), 0)
        ),
        "sigmoid": lambda x: np.exp(x) / (1 + np.exp(x)),
    }[activation]
    random = np.random.default_rng(0)
    for moment, agreement in ((0.05, 0.9), (1.0, 0.2), (9.0, 0.7)):
        z = random.standard_normal((2, 200_000))
        first = sqrt(moment) * z[0]
        second = sqrt(moment) * (agreement * z[0] + sqrt(1 - agreement**2) * z[1])
        a, b = (apply(x) for x in (first, second))
        found, _ = activated(Signal(moment, moment * (1 - agreement), 0.0), activation)
        assert found.moment == pytest.approx((a**2).mean(), rel=0.05)
        assert found.distance == pytest.approx(((a - b) ** 2).mean() / 2, rel=0.08)


def test_a_signal_goes_through_wide_layers_as_pytorch_says() -> None:
    # Behind the first convolution, theory and a wide network's figures differ by chance alone.
    text = (
        "input conv(filters=96, kernel=3, stride=1, padding=same, activation=tanh) "
        "conv(filters=96, kernel=3, stride=2, padding=same, activation=relu) "
        "bnconv(filters=96, kernel=3, stride=1, padding=same, activation=relu) "
        "flatten dense(units=128, activation=relu) dense output"
    )
    some = network(text)
    expected, gradients = follow(some)
    random = np.random.default_rng(1)
    pixels = 255 * np.clip(random.normal(0.39, 0.316, (64, *some.input_shape)), 0, 1)
    images = pixels.astype(np.uint8)
    moment = float(((images / 255) ** 2).mean())
    found = get_backend("torch").signals(some, images, np.arange(64) % 10)
    # PyTorch's figures lie before the activation, these behind it: relu keeps half of both.
    layers = [at for at, node in enumerate(some.nodes) if node.name[:4] in ("conv", "dens")]
    kept = [1.0, 0.5, 0.5, 0.5, 1.0]  # that of tanh, for so small a moment, is about 1
    steep = found.gradients / found.gradients[-1]
    assert moment == pytest.approx(IMAGE[0], rel=0.1)
    for i, (at, share) in enumerate(zip(layers, kept, strict=True)):
        assert found.moments[i] == pytest.approx(expected[at].moment / share, rel=0.35), i
        assert found.distances[i] > 0.5 * expected[at].distance, i
        assert steep[i] == pytest.approx(gradients[at] * share, rel=0.4), i
