"""Accuracy in mixed precision against float32: digits, networks of `compact`, PyTorch.

Prints for each precision how far the accuracy is from float32's with the same seed, beside how
far float32's own seeds are from one another, and whether the statuses are equal.

    python benchmarks/precision.py --count 30 --epochs 10
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import mean, median
from typing import Any

from cnngen import Network
from cnngen.runs.record import Record
from cnngen.runs.train import train
from cnngen.space.sampling import Bounds, sample_many
from cnngen.training.data import load_data
from cnngen.training.protocol import PROTOCOLS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--layers", type=int, default=20, help="at most")
    parser.add_argument("--precisions", default="float16,bfloat16")
    parser.add_argument("--seeds", type=int, default=3, help="of float32")
    own = parser.parse_args()
    parity(own.count, own.epochs, own.layers, own.precisions.split(","), own.seeds)


def parity(
    count: int,
    epochs: int,
    layers: int,
    precisions: Sequence[str],
    seeds: int,
    is_over: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Train, print and return the comparison, of fewer networks where the time is over."""
    data = load_data("digits")
    spread: list[float] = []
    off: dict[str, list[float]] = {name: [] for name in precisions}
    ratios: dict[str, list[float]] = {name: [] for name in precisions}
    skipped: dict[str, int] = dict.fromkeys(precisions, 0)
    unequal: dict[str, int] = dict.fromkeys(precisions, 0)
    networks = sample_many(
        count,
        "compact",
        input_shape=data.input_shape,
        classes=data.classes,
        seed=0,
        bounds=Bounds(layers=(None, layers)),
    )
    compared = 0
    for number, network in enumerate(networks):
        if compared and is_over():
            break

        def reached(
            precision: Any = "float32", seed: int = 0, network: Network = network
        ) -> Record:
            protocol = replace(PROTOCOLS["quick"], epochs=epochs, precision=precision, seed=seed)
            return train(network, data, protocol).record

        whole = [reached(seed=seed) for seed in range(seeds)]
        accuracies = [record.test_accuracy or 0.0 for record in whole]
        spread += [abs(one - accuracies[0]) for one in accuracies[1:]]
        line = [f"{number:3} {network.id} float32 " + " ".join(f"{a:.3f}" for a in accuracies)]
        for name in precisions:
            half = reached(name)
            off[name].append(abs((half.test_accuracy or 0.0) - accuracies[0]))
            ratios[name].append(half.train_seconds / whole[0].train_seconds)
            skipped[name] += half.skipped_steps or 0
            unequal[name] += half.status != whole[0].status
            line.append(f"{name} {half.test_accuracy or 0.0:.3f} {half.status}")
        compared += 1
        print("  ".join(line), flush=True)
    print(f"float32, other seeds: {mean(spread):.4f} off on average, at most {max(spread):.4f}")
    for name in precisions:
        print(
            f"{name}, same seed: {mean(off[name]):.4f} off on average, at most {max(off[name]):.4f}; "
            f"{unequal[name]} of {compared} statuses differ; {skipped[name]} steps skipped; "
            f"{median(ratios[name]):.2f} times the time of float32"
        )
    return {
        "networks": compared,
        "seeds off": spread,
        "off": off,
        "statuses unequal": unequal,
        "skipped": skipped,
        "time": ratios,
    }


if __name__ == "__main__":
    main()
