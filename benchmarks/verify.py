"""Long check that frameworks compute the same, over every window and over random networks.

It covers every kernel of 1-7, stride of 1-4 and padding on every size of 1-33, along each axis, for
convolution and both poolings; then the requested number of random networks of each space. Every
mode computes outputs, loss and gradients in float32 and float64, and for some networks a training
of 20 steps. The largest differences are printed, and those above the tolerance by cause.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterable, Iterator

from cnngen.backend.mode_process import parse_mode
from cnngen.cli.output import tracked
from cnngen.comparison.equality import Verifier
from cnngen.comparison.equality.tolerances import TOLERANCES, WHAT
from cnngen.network import Network
from cnngen.operations import Concat, Conv2d, Dense, Flatten, Input, Operation, Pool
from cnngen.operations.shapes import Padding
from cnngen.space.sampling import sample_many

SIZES, KERNELS, STRIDES = range(1, 34), range(1, 8), range(1, 5)
PADDINGS: tuple[Padding, ...] = ("same", "valid")


def windows(size: int, axis: int) -> tuple[Network, int]:
    """Every window on maps of a size along an axis, side by side in one network.

    Each is read through a convolution as large as its map, so that every pixel counts in a way
    of its own, and has one before it, whose gradient comes through it. Gives how many there are.
    """
    shape = (size, 3, 2) if axis == 0 else (3, size, 2)
    steps: list[tuple[str, Operation, tuple[int, ...]]] = [("input", Input(shape), ())]
    shapes = [shape]
    ends = []

    def add(name: str, operation: Operation, *inputs: int) -> int:
        steps.append((name, operation, inputs))
        made = operation.output_shape(*(shapes[i] for i in inputs))
        shapes.append(made)  # type: ignore[arg-type]
        return len(steps) - 1

    for kernel in KERNELS:
        for stride in STRIDES:
            for padding in PADDINGS:
                if padding == "valid" and kernel > size:
                    continue
                window, step = ((kernel, 2), (stride, 1))
                if axis == 1:
                    window, step = window[::-1], step[::-1]
                operations: list[Operation] = [
                    Conv2d(2, window, step, padding),
                    Pool("max", window, step, padding),
                    Pool("avg", window, step, padding),
                ]
                for operation in operations:
                    number = len(ends)
                    before = add(f"before{number}", Conv2d(2, (1, 1)), 0)
                    seen = add(f"window{number}", operation, before)
                    height, width, _ = shapes[seen]
                    # At least two filters: Keras on PyTorch cannot differentiate one in float64.
                    whole = Conv2d(2, (height, width), padding="valid")
                    ends.append(add(f"whole{number}", whole, seen))
    joined = add("concat1", Concat(), *ends)
    add("dense1", Dense(3), add("flatten1", Flatten(), joined))
    return Network.from_graph(steps), len(ends)


class Tally:
    """Collects the largest differences of each pair, and the causes of those that are too large."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.largest: dict[tuple[str, str], dict[str, float]] = {}
        self.causes: Counter[str] = Counter()
        self.rounded: Counter[str] = Counter()
        self.networks = self.unequal = 0
        self.began = time.perf_counter()

    def run(self, verifier: Verifier, networks: Iterable[Network], steps: int) -> None:
        for network in networks:
            verification = verifier.verify(network, steps=steps)
            self.networks += 1
            self.unequal += not verification.is_equal
            for pair in verification.pairs:
                for d in pair.differences:
                    figures = self.largest.setdefault(
                        (f"{pair.one} – {pair.other}", d.precision), {}
                    )
                    if d.is_small and d.value > TOLERANCES[d.precision][d.what]:
                        self.rounded[f"{pair.one} – {pair.other}: {d.what} {d.precision}"] += 1
                    figures[d.what] = max(figures.get(d.what, 0.0), d.value)
                if not pair.is_equal:
                    large = [d for d in pair.differences if not d.is_small]
                    what = ", ".join(f"{d.what} {d.precision} {d.value:.1e}" for d in large)
                    print(
                        f"  {network.id} {pair.one} – {pair.other}: {pair.location} ({what})",
                        flush=True,
                    )
                    self.causes[
                        f"{pair.one} – {pair.other}: {large[0].what} {large[0].precision}"
                    ] += 1
            for fault in verification.faults:
                print(f"  {network.id} {fault.message}", flush=True)
                self.causes[fault.message] += 1
            if self.networks % 50 == 0:
                self.show()  # it may be stopped, and has then told this much

    def show(self) -> None:
        took = time.perf_counter() - self.began
        print(f"{self.name}: {self.networks} networks, {self.unequal} unequal ({took:.0f} s)")
        for (pair, precision), figures in sorted(self.largest.items()):
            told = "  ".join(f"{what} {figures[what]:.1e}" for what in WHAT if what in figures)
            print(f"  {pair}, {precision}: {told}")
        for what, count in self.rounded.most_common():
            print(f"  {count} beyond the tolerance by rounding: {what}")
        for cause, count in self.causes.most_common():
            print(f"  {count} x {cause}")
        print(flush=True)


def drawn(space: str, count: int, shape: tuple[int, int, int], seed: int) -> Iterator[Network]:
    return sample_many(count, space, input_shape=shape, classes=10, seed=seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--modes", default="torch,keras:tensorflow,keras:torch")
    parser.add_argument("--spaces", default="paper,compact")
    parser.add_argument("--count", type=int, default=500, help="networks of each space")
    parser.add_argument("--curves", type=int, default=20, help="of them, those that are trained")
    parser.add_argument("--sizes", type=int, default=33, help="largest size of the windows' maps")
    parser.add_argument("--side", type=int, default=12, help="of the images")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    side = arguments.side
    modes = [parse_mode(text) for text in arguments.modes.split(",")]
    unequal = 0
    with Verifier(modes) as verifier:
        print(*(f"{mode}: {version}" for mode, version in verifier.frameworks.items()), sep="\n")
        for fault in verifier.faults:
            print(fault.message)
        made = [windows(size, axis) for size in SIZES[: arguments.sizes] for axis in (0, 1)]
        tally = Tally(f"{sum(count for _, count in made):,} windows")
        networks = [network for network, _ in made]
        tally.run(verifier, tracked(networks, len(networks), "Windows"), steps=0)
        tally.show()
        unequal += tally.unequal
        for space in filter(None, arguments.spaces.split(",")):
            for name, count, steps, seed in (
                ("trained", arguments.curves, 20, arguments.seed),
                (
                    "outputs and gradients",
                    arguments.count - arguments.curves,
                    0,
                    arguments.seed + 1,
                ),
            ):
                tally = Tally(f"{space}, {name}")
                networks = drawn(space, count, (side, side, 3), seed)
                tally.run(verifier, tracked(networks, count, space), steps=steps)
                tally.show()
                unequal += tally.unequal
        unequal += len(verifier.faults)
    raise SystemExit(unequal > 0)


if __name__ == "__main__":
    main()
