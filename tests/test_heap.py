from __future__ import annotations

import itertools
import math
from ctypes import CDLL
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from cnngen import get_backend
from cnngen.backend.mode_process import parse_mode
from cnngen.backend.testing.heap import LIBRARY, heap_faults
from cnngen.backend.testing.networks import by_hand
from cnngen.operations import Conv2d, Dense, GlobalPool
from cnngen.operations.shapes import Padding, same_padding


def has_heap_checks() -> bool:
    try:
        CDLL(LIBRARY)
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_heap_checks(), reason="needs the GNU C library")
def test_windows_of_one_pixel_with_strides_keep_to_their_memory():
    """oneDNN's weight gradient of them does not, with AVX2."""
    cases = [((8, 8, 1), (2, 2)), ((28, 28, 3), (4, 4)), ((8, 8, 7), (2, 1)), ((9, 8, 2), (3, 2))]
    networks = [
        by_hand(shape, Conv2d(16, (1, 1), stride), GlobalPool("avg"), Dense(3))
        for shape, stride in cases
    ]
    avx2 = {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    assert list(heap_faults(parse_mode("torch"), networks, avx2)) == []


def among_nans(images: torch.Tensor, last: bool) -> torch.Tensor:
    """The images, with nothing but NaN in the memory before and behind them."""
    memory = torch.full((images.numel() + 2 * 4096,), math.nan, dtype=images.dtype)
    batch, channels, height, width = images.shape
    held = memory[4096:-4096].view((batch, height, width, channels) if last else images.shape)
    return (held.permute(0, 3, 1, 2) if last else held).copy_(images)


ONE_WIDE: list[tuple[tuple[int, int], tuple[int, int], int, Padding]] = [
    ((1, 2), (1, 3), 2, "valid"),
    ((3, 3), (1, 2), 4, "valid"),
    ((3, 3), (1, 4), 6, "valid"),
    ((2, 3), (1, 2), 3, "valid"),
    ((3, 5), (1, 3), 2, "same"),
    ((2, 3), (1, 4), 4, "same"),
    ((1, 1), (1, 4), 3, "same"),
]
"""Windows, strides, widths and paddings whose output is one pixel wide."""


@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
def test_windows_one_wide_read_their_own_images_alone(half: bool) -> None:
    """With AVX-512, oneDNN's do not if they have a stride across."""
    for (kernel, stride, width, padding), last in itertools.product(ONE_WIDE, (True, False)):
        network = by_hand(
            (9, width, 1), Conv2d(3, kernel, stride, padding), GlobalPool("avg"), Dense(3)
        )
        scope: dict[str, Any] = {"__name__": "emitted"}
        exec(get_backend("torch").emit(network), scope)
        net = scope["Net"]()
        images = torch.rand(2, 1, 9, width)
        rows, columns = same_padding(9, kernel[0], 1), same_padding(width, kernel[1], stride[1])
        pads = (*columns, *rows) if padding == "same" else (0, 0, 0, 0)
        net = net.double()
        maps = F.conv2d(F.pad(images.double(), pads), net.op1.weight, net.op1.bias, stride)
        wanted = net.op3(maps.mean((2, 3)))
        net = net.to(torch.bfloat16 if half else torch.float32)
        given = among_nans(images.to(net.op1.weight.dtype), last).requires_grad_()
        logits = net(given)
        logits.sum().backward()
        near = {"atol": 0.05 if half else 1e-5, "rtol": 0.0}
        torch.testing.assert_close(logits.double(), wanted, **near)
        for each in (given, *net.parameters()):
            assert each.grad is not None
            assert each.grad.isfinite().all()
