"""Networks as pictures, and the ResNet-18 that looks at them."""

import pickle
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torchvision.models import resnet18

import cnngen
from cnngen.errors import CnnGenError
from cnngen.predict import Example
from cnngen.predict.image import ImagePredictor
from cnngen.predict.image.module import PictureNetwork
from cnngen.predict.image.pictures import picture


def test_a_picture_keeps_its_proportions_in_a_white_square():
    network = cnngen.sample("paper", seed=3)
    with Pillow.open(BytesIO(network.to_png())) as drawn:
        wide, high = drawn.size
    seen = picture(network, 96)
    assert seen.shape == (3, 96, 96)
    ink = np.argwhere((seen < 250).any(0))
    height, width = np.ptp(ink, 0) + 1
    assert width / height == pytest.approx(wide / high, rel=0.15)
    assert (seen[:, 0, 0] == 255).all()


def test_a_networks_name_is_not_in_its_picture():
    network = cnngen.sample("paper", seed=3)
    named = replace(network, description=replace(network.description, name="TheBestOfAll"))
    picture.cache_clear()
    first = picture(network, 64)
    picture.cache_clear()
    np.testing.assert_array_equal(first, picture(named, 64))


def test_the_network_is_resnet_18():
    # 11,689,512 with the 1,000 classes of ImageNet (torchvision's documentation).
    count = sum(weight.numel() for weight in PictureNetwork().parameters())
    assert count == 11_689_512 - 1000 * 513 + 513


def test_it_begins_with_published_weights(tmp_path):
    torch.manual_seed(1)
    published = resnet18().state_dict()
    torch.save(published, tmp_path / "weights.pth")
    module = PictureNetwork()
    module.take(str(tmp_path / "weights.pth"))
    torch.testing.assert_close(module.network.conv1.weight, published["conv1.weight"])
    assert module.network.fc.weight.shape == (1, 512)


class Trap:
    def __reduce__(self):
        return (open, (str(Trap.path), "w"))


def test_weights_of_a_stranger_run_nothing(tmp_path):
    Trap.path = tmp_path / "sprung"
    (tmp_path / "weights.pth").write_bytes(pickle.dumps(Trap()))
    torch.save({"conv1.weight": Trap()}, tmp_path / "other.pth")
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "third.pth")
    for name in ("weights.pth", "other.pth", "third.pth", "missing.pth"):
        with pytest.raises(CnnGenError, match="is not a ResNet-18 weights file"):
            PictureNetwork().take(str(tmp_path / name))
    assert not Trap.path.exists()


def test_pictures_can_be_learnt():
    text = "input(8x8x1) {} flatten dense output(10)"
    few, many = (
        cnngen.resolve(cnngen.parse(text.format("conv(stride=1, padding=same) " * count)), seed=0)
        for count in (1, 9)
    )
    known = [Example(few, {"accuracy": 0.9}, ""), Example(many, {"accuracy": 0.2}, "")] * 12
    predictor = ImagePredictor(pixels=32, epochs=30, batch=8).fit(known, "accuracy")
    predicted = predictor.predict([few, many]).mean
    assert predicted[0] - predicted[1] > 0.1
