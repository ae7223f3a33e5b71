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
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "resnext50": "resnext50_32x4d",
}
"""Examples with the name of the model of torchvision that they are equal to."""


@pytest.mark.parametrize("name", EQUAL)
def test_an_example_gives_torchvisions_logits_with_its_weights(name: str) -> None:
    """Images of odd sizes, on which `same` pads both sides alike, as torchvision always does."""
    torch.manual_seed(0)
    theirs = getattr(torchvision.models, EQUAL[name])(weights=None, num_classes=10).eval()
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):  # not as they begin, so that they tell
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    network = resolve(read(EXAMPLES / f"{name}.cnn"), input_shape=(33, 33, 3), classes=10)
    assert network.cost.parameters == sum(weight.numel() for weight in theirs.parameters())
    ours = network.build("torch").eval()
    pairs = zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
    with torch.no_grad():
        for own, given in pairs:
            own.copy_(given)
        images = torch.rand(4, 3, 33, 33)
        wanted = theirs(images)
        assert float((ours(images) - wanted).abs().max() / wanted.abs().max()) < 1e-5


@pytest.mark.parametrize(("name", "published"), [("lenet", 61_706), ("resnet20", 272_474)])
def test_an_example_has_the_published_number_of_weights(name: str, published: int) -> None:
    assert resolve(read(EXAMPLES / f"{name}.cnn")).cost.parameters == published


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.cnn")), ids=lambda file: file.stem)
def test_an_example_is_formatted_and_says_what_it_is(file: Path) -> None:
    text = file.read_text()
    assert text.startswith("// ")
    assert format_text(text) == text
