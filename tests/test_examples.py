"""The examples are the networks that their names promise."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision.models
from torch import nn

from cnngen.language import format_text, read
from cnngen.network import Network
from cnngen.space.resolution import resolve

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "densenet121"])
def test_an_example_has_the_weights_of_torchvisions_model(name: str) -> None:
    with torch.device("meta"):
        model = getattr(torchvision.models, name)(weights=None)
    counted = sum(weights.numel() for weights in model.parameters())
    assert resolve(read(EXAMPLES / f"{name}.cnn"), classes=1000).cost.parameters == counted


EQUAL = {
    "densenet121": ("densenet121", 33),
    "googlenet": ("googlenet", 47),
    "mobilenet_v2": ("mobilenet_v2", 33),
    "mobilenet_v3_small": ("mobilenet_v3_small", 33),
    "efficientnet_b0": ("efficientnet_b0", 33),
    "regnet_y_400mf": ("regnet_y_400mf", 33),
    "resnet18": ("resnet18", 33),
    "resnet50": ("resnet50", 33),
    "resnext50": ("resnext50_32x4d", 33),
}
"""Examples with the name of the model of torchvision that they are equal to, and the side of images
on which their windows are the same: `same` pads both sides alike there, as torchvision always does,
and rounds up where GoogLeNet's poolings do."""


@pytest.mark.parametrize("name", EQUAL)
def test_an_example_gives_torchvisions_logits_with_its_weights(name: str) -> None:
    model, side = EQUAL[name]
    extra = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
    theirs = torchvisions(model, side, num_classes=10, **extra)
    network = resolve(read(EXAMPLES / f"{name}.cnn"), input_shape=(side, side, 3), classes=10)
    assert network.cost.parameters == sum(weight.numel() for weight in theirs.parameters())
    images = torch.rand(4, 3, side, side)
    with torch.no_grad():
        found, wanted = with_weights_of(theirs, network)(images), theirs(images)
    assert_equal_and_telling(found, wanted)


def test_squeezenet_gives_torchvisions_logits_as_the_mean_of_its_last_map() -> None:
    """A backbone, since its classes stand before the global mean, and no dense layer behind it."""
    theirs = torchvisions("squeezenet1_1", 32)
    network = resolve(read(EXAMPLES / "squeezenet1_1.cnn"), input_shape=(32, 32, 3))
    assert network.cost.parameters == sum(weight.numel() for weight in theirs.parameters())
    images = torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        found = with_weights_of(theirs, network)(images).mean((2, 3))
        assert_equal_and_telling(found, theirs(images))


def torchvisions(model: str, side: int, **given: object) -> nn.Module:
    """A model with random weights, its norms' too, and the statistics of random images: with those
    that norms begin with, little of an image reaches the logits of a deep network."""
    torch.manual_seed(0)
    built: nn.Module = getattr(torchvision.models, model)(weights=None, **given)
    for module in built.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            module.momentum = 1.0
    with torch.no_grad():
        built.train()(torch.rand(8, 3, side, side))
    return built.eval()


def with_weights_of(theirs: nn.Module, network: Network) -> nn.Module:
    """Our model with the weights of another, in their order."""
    ours: nn.Module = network.build("torch").eval()
    pairs = zip(ours.state_dict().values(), left_first(theirs.state_dict()), strict=True)
    with torch.no_grad():
        for own, given in pairs:
            own.copy_(given.reshape(own.shape))  # dense, or a convolution of 1x1
    return ours


def assert_equal_and_telling(found: torch.Tensor, wanted: torch.Tensor) -> None:
    """Equal within 1e-5 of the largest, and different for each image by a hundred times as much."""
    largest = wanted.abs().max()
    assert float((found - wanted).abs().max() / largest) < 1e-5
    apart = torch.cdist(wanted, wanted, p=torch.inf) + largest * torch.eye(len(wanted))
    assert float(apart.min() / largest) > 1e-3


def left_first(state: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """The weights of a model of torchvision in our order: a RegNet lists the right column first."""
    names = list(state)
    blocks = [name.split(".proj.")[0].split(".f.")[0] for name in names]
    order = sorted(
        range(len(names)), key=lambda at: (blocks.index(blocks[at]), ".proj." in names[at])
    )
    return [state[names[at]] for at in order]


@pytest.mark.parametrize(("name", "published"), [("lenet", 61_706), ("resnet20", 272_474)])
def test_an_example_has_the_published_number_of_weights(name: str, published: int) -> None:
    assert resolve(read(EXAMPLES / f"{name}.cnn")).cost.parameters == published


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.cnn")), ids=lambda file: file.stem)
def test_an_example_is_formatted_and_says_what_it_is(file: Path) -> None:
    text = file.read_text()
    assert text.startswith("// ")
    assert format_text(text) == text
