from __future__ import annotations

from types import ModuleType

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from cnngen.backend import get_backend
from cnngen.backend.testing.random_networks import random_network
from cnngen.language import parse
from cnngen.network import Network
from cnngen.space.resolution import lower
from cnngen.space.sampling import sample

CONV = "conv(filters={}, kernel=3, stride=1, padding=same, activation=relu, bias=true)"
POOL = "max_pooling(size=2, stride=2, padding=valid)"
VGG11 = " ".join(
    POOL if filters == "pool" else CONV.format(filters)
    for filters in (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512, "pool")
)


def vgg11() -> Network:
    return lower(
        parse(
            f"input(224x224x3) {VGG11} flatten dense(units=4096, activation=relu) "
            "dense(units=4096, activation=relu) dense(units=1000, activation=linear) output(1000)"
        )
    )


def lenet5() -> Network:
    return lower(
        parse(
            "input(32x32x1) "
            "conv(filters=6, kernel=5, stride=1, padding=valid, activation=tanh, bias=true) "
            "avg_pooling(size=2, stride=2, padding=valid) "
            "conv(filters=16, kernel=5, stride=1, padding=valid, activation=tanh, bias=true) "
            "avg_pooling(size=2, stride=2, padding=valid) flatten "
            "dense(units=120, activation=tanh) dense(units=84, activation=tanh) "
            "dense(units=10, activation=linear) output(10)"
        )
    )


@pytest.mark.parametrize("origin", ["wild", "paper", "compact"])
def test_counts_are_those_of_torch(origin):
    """Law: parameters, buffers and multiply-adds equal what PyTorch counts."""
    for seed in range(25):
        network = (
            random_network(seed)
            if origin == "wild"
            else sample(origin, seed=seed, input_shape=(28, 29, 3))
        )
        module = ModuleType("emitted")
        exec(get_backend("torch").emit(network), module.__dict__)
        height, width, channels = network.input_shape
        # The meta device has shapes and no numbers.
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            net = module.Net().eval()
            net(torch.empty(1, channels, height, width))
        cost = network.cost
        assert cost.parameters == sum(p.numel() for p in net.parameters())
        assert cost.buffers == sum(
            b.numel() for name, b in net.named_buffers() if "num_batches" not in name
        )
        assert cost.flops == 2 * cost.multiply_adds == counter.get_total_flops()
        assert cost.layers == len(network)


def test_vgg11_has_the_published_counts():
    # torchvision's documentation of vgg11: 132,863,336 parameters, 7.61 GFLOPS (as
    # multiply-adds).
    cost = vgg11().cost
    assert cost.parameters == 132_863_336
    assert round(cost.multiply_adds / 1e9, 2) == 7.61
    assert cost.buffers == 0


def test_lenet_5_has_the_known_counts():
    cost = lenet5().cost
    assert cost.parameters == 61_706
    assert cost.multiply_adds == 416_520
    # 3 x 32 x 32 has no part in it: the image itself, both convolutions and poolings, the
    # vector, the three dense layers.
    assert cost.activations == 1024 + 4704 + 1176 + 1600 + 400 + 400 + 120 + 84 + 10


def test_merges_and_batch_norms_are_counted():
    """Counted by hand: two 1x1 convolutions of 3 to 4 channels on 5x5, one with batch norm."""
    both = "filters=4, kernel=1, stride=1, padding=same, activation=relu"
    cost = lower(
        parse(
            f"input(5x5x3) [concat (convbn({both}, bias=false, epsilon=1e-3), "
            f"conv({both}, bias=true))] output"
        )
    ).cost
    assert cost.parameters == (12 + 8) + (12 + 4)
    assert cost.buffers == 8
    assert cost.multiply_adds == 2 * 25 * 12
    assert cost.activations == 75 + 100 + 100 + 100 + 200
