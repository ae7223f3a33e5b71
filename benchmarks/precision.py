"""Accuracy in mixed precision against float32: digits, networks of `compact`, PyTorch.

Prints for each precision how far the accuracy is from float32's with the same seed, beside how
far float32's own seeds are from one another, and whether the statuses are equal.

    python benchmarks/precision.py --count 30 --epochs 10
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from statistics import mean, median

from cnngen.runs.train import train
from cnngen.space.sampling import Bounds, sample_many
from cnngen.training.data import load_data
from cnngen.training.protocol import PROTOCOLS

SEEDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--layers", type=int, default=20, help="at most")
    parser.add_argument("--precisions", default="float16,bfloat16")
    arguments = parser.parse_args()
    data = load_data("digits")
    precisions = arguments.precisions.split(",")
    spread: list[float] = []
    off: dict[str, list[float]] = {name: [] for name in precisions}
    ratios: dict[str, list[float]] = {name: [] for name in precisions}
    skipped: dict[str, int] = dict.fromkeys(precisions, 0)
    unequal: dict[str, int] = dict.fromkeys(precisions, 0)
    networks = sample_many(
        arguments.count,
        "compact",
        input_shape=data.input_shape,
        classes=data.classes,
        seed=0,
        bounds=Bounds(layers=(None, arguments.layers)),
    )
    for number, network in enumerate(networks):

        def reached(precision: str = "float32", seed: int = 0, network=network):
            protocol = replace(
                PROTOCOLS["quick"], epochs=arguments.epochs, precision=precision, seed=seed
            )
            return train(network, data, protocol).record

        whole = [reached(seed=seed) for seed in range(SEEDS)]
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
        print("  ".join(line), flush=True)
    print(f"float32, other seeds: {mean(spread):.4f} off on average, at most {max(spread):.4f}")
    for name in precisions:
        print(
            f"{name}, same seed: {mean(off[name]):.4f} off on average, at most {max(off[name]):.4f}; "
            f"{unequal[name]} of {arguments.count} statuses differ; {skipped[name]} steps skipped; "
            f"{median(ratios[name]):.2f} times the time of float32"
        )


if __name__ == "__main__":
    main()
