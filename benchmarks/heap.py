"""Long check for out-of-bounds memory accesses in training, with glibc's heap checks.

Every convolution and pooling of the space `paper`, on images of four shapes and on maps inside a
network, forward and backward, with the kernels that oneDNN takes on processors of several kinds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

from cnngen.backend.mode_process import parse_mode
from cnngen.backend.testing.heap import heap_faults
from cnngen.backend.testing.networks import by_hand
from cnngen.cli.output import tracked
from cnngen.network import Network
from cnngen.operations import Conv2d, Dense, GlobalPool, Operation, Pool
from cnngen.space import load_space

IMAGES = [(8, 8, 1), (28, 28, 1), (32, 32, 3), (12, 12, 3)]

PROCESSORS = ("AVX2", "AVX512_CORE", "ALL")
"""Values of ONEDNN_MAX_CPU_ISA; a lesser processor uses the best that it has."""


def windows() -> list[Operation]:
    space = load_space("paper")
    convolution, pooling = space.convolution, space.pooling
    made: list[Operation] = [
        Conv2d(convolution.first_filters, (kernel, kernel), (stride, stride), padding)
        for kernel in convolution.kernels.values
        for stride in convolution.strides.values
        for padding in convolution.paddings.values
    ]
    made += [
        Pool(kind, (size, size), (stride, stride), padding)
        for kind in ("max", "avg")
        for size in pooling.sizes.values
        for stride in pooling.strides.values
        for padding in pooling.paddings.values
    ]
    return made


def networks() -> Iterator[Network]:
    head = (GlobalPool("avg"), Dense(3))
    # A convolution before it, since pools have no weights, and gradients go through a window.
    for before in ((), (Conv2d(16, (3, 3)),)):
        for shape in IMAGES:
            for window in windows():
                if min(window.output_shape(shape)[:2]) > 0:
                    yield by_hand(shape, *before, window, *head)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--modes", default="torch,keras:torch,keras:tensorflow")
    arguments = parser.parse_args()
    made = list(networks())
    faults = 0
    for mode in map(parse_mode, arguments.modes.split(",")):
        for processor in PROCESSORS:
            began = time.perf_counter()
            found = 0
            asked = tracked(made, len(made), f"{mode}, {processor}")
            for network, cause in heap_faults(mode, asked, {"ONEDNN_MAX_CPU_ISA": processor}):
                found += 1
                print(f"{cause}\n  {[node.operation for node in network.nodes[:-2]]}", flush=True)
            took = time.perf_counter() - began
            print(
                f"{mode}, {processor}: {len(made)} windows, {found} faults ({took:.0f} s)",
                flush=True,
            )
            faults += found
    raise SystemExit(faults > 0)


if __name__ == "__main__":
    main()
