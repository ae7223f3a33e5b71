"""The examples are the networks that their names promise."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision.models
from torch import nn

from cnngen.language import format_text, read
from cnngen.space.resolution import resolve

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "densenet121"])
def test_an_example_has_the_weights_of_torchvisions_model(name: str) -> None:
    with torch.device("meta"):
        model = getattr(torchvision.models, name)(weights=None)
    counted = sum(weights.numel() for weights in model.parameters())
    assert resolve(read(EXAMPLES / f"{name}.cnn")).cost.parameters == counted


EQUAL = {
    "mobilenet_v2": "mobilenet_v2",
    "mobilenet_v3_small": "mobilenet_v3_small",
    "efficientnet_b0": "efficientnet_b0",
    "regnet_y_400mf": "regnet_y_400mf",
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "resnext50": "resnext50_32x4d",
}
"""Examples with the name of the model of torchvision that they are equal to."""


@pytest.mark.parametrize("name", EQUAL)
def test_an_example_gives_torchvisions_logits_with_its_weights(name: str) -> None:
    """Images of odd sizes, on which `same` pads both sides alike, as torchvision always does."""
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, EQUAL[name])(weights=None, num_classes=10)
    theirs.double()
    for parameter in theirs.parameters():  # not as they begin, so that they tell
        if parameter.dim() == 1:
            parameter.data += torch.empty_like(parameter).uniform_(-0.3, 0.3)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    images = torch.rand(8, 3, 33, 33, dtype=torch.float64)
    # With the statistics of some images, others differ from layer to layer up to the logits.
    theirs.train()(torch.rand_like(images))
    theirs.eval()
    network = resolve(read(EXAMPLES / f"{name}.cnn"), input_shape=(33, 33, 3), classes=10)
    assert network.cost.parameters == sum(weight.numel() for weight in theirs.parameters())
    ours = network.build("torch").double().eval()
    pairs = zip(ours.state_dict().values(), left_first(theirs.state_dict()), strict=True)
    with torch.no_grad():
        for own, given in pairs:
            own.copy_(given.reshape(own.shape))  # dense, or a convolution of 1x1
        wanted = theirs(images)
        # Relative to what the images make of the logits, not to what all of them have in common.
        apart = float((wanted - wanted.mean(0)).abs().max())
        assert apart > 0.1 * float(wanted.abs().max())
        assert float((ours(images) - wanted).abs().max()) < 1e-5 * apart


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
