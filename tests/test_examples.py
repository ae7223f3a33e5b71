"""The examples are the networks that their names promise."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision.models

from cnngen.language import format_text, read
from cnngen.space.resolution import resolve

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.parametrize("name", ["alexnet", "vgg16", "resnet50", "densenet121"])
def test_an_example_has_the_weights_of_torchvisions_model(name: str) -> None:
    with torch.device("meta"):
        model = getattr(torchvision.models, name)(weights=None)
    counted = sum(weights.numel() for weights in model.parameters())
    assert resolve(read(EXAMPLES / f"{name}.cnn")).cost.parameters == counted


@pytest.mark.parametrize(("name", "published"), [("lenet", 61_706), ("resnet20", 272_474)])
def test_an_example_has_the_published_number_of_weights(name: str, published: int) -> None:
    assert resolve(read(EXAMPLES / f"{name}.cnn")).cost.parameters == published


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.cnn")), ids=lambda file: file.stem)
def test_an_example_is_formatted_and_says_what_it_is(file: Path) -> None:
    text = file.read_text()
    assert text.startswith("// ")
    assert format_text(text) == text
