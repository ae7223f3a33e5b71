from __future__ import annotations

from ctypes import CDLL

import pytest

from cnngen.backend.mode_process import parse_mode
from cnngen.backend.testing.heap import LIBRARY, heap_faults
from cnngen.backend.testing.networks import by_hand
from cnngen.operations import Conv2d, Dense, GlobalPool


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
