"""Builds the benchmark of search methods, and says how well it predicts.

    cnngen campaign -n 150 -d digits -p paper --space paper --seed 0 -o curves --idle 0
    python benchmarks/surrogate.py build curves     # writes cnngen/search/benchmark/digits.npz
    python benchmarks/surrogate.py check            # held-out fit, milliseconds a query

The measured figures are those of benchmarks/data/digits.parquet; the folder gives curves.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy.optimize import brentq
from scipy.stats import kendalltau, norm

from cnngen.runs.store import load
from cnngen.search.benchmark import benchmark
from cnngen.space.sampling import sample_many

HERE = Path(__file__).parent
DATA = HERE / "data" / "digits.parquet"
OUT = HERE.parent / "cnngen" / "search" / "benchmark" / "digits.npz"

BETWEEN_SEEDS = 0.037
"""Mean difference of the accuracies of one network trained with two seeds: 39 networks, see
docs/search-benchmark.md."""

COLUMNS = ("test_accuracy", "train_seconds", "energy_total_energy")


def build(folder: Path) -> None:
    """Write the benchmark's file."""
    table = pq.read_table(DATA, columns=["id", *COLUMNS]).to_pandas().dropna()
    runs = [record for record in load(folder) if record.status == "ok"]
    curves = np.array([[epoch.validation_accuracy for epoch in run.history] for run in runs])
    noise = noise_of(table.test_accuracy.to_numpy())
    np.savez_compressed(
        OUT,
        ids=table.id.to_numpy().astype("S16"),
        figures=table[list(COLUMNS)].to_numpy().astype(np.float32),
        curves=curves.astype(np.float16),
        noise=np.float64(noise),
    )
    print(
        f"{len(table):,} trainings, {len(curves)} curves of {curves.shape[1]} epochs, noise "
        f"{noise:.3f}, {OUT.stat().st_size / 1024:.0f} KiB"
    )


def noise_of(accuracies: np.ndarray) -> float:
    """The deviation of logits between seeds that gives the measured mean difference."""
    logits = np.log(np.clip(accuracies, 0.001, 0.999) / (1 - np.clip(accuracies, 0.001, 0.999)))
    deviates = norm.ppf((np.arange(41) + 0.5) / 41)

    def excess(noise: float) -> float:
        drawn = 1 / (1 + np.exp(-(logits[:, None] + noise * deviates)))
        differences = np.abs(drawn[:, :, None] - drawn[:, None, :])
        return float(differences.mean()) - BETWEEN_SEEDS

    return float(brentq(excess, 0.001, 5))


def check() -> None:
    """Print the speed of queries, and how far accuracies of two seeds are apart."""
    bench = benchmark("digits")
    networks = list(sample_many(100, "paper", input_shape=(8, 8, 1), seed=9))
    began = time.process_time()
    answers = [bench.query(network) for network in networks]
    milliseconds = (time.process_time() - began) * 10
    began = time.process_time()
    for network in networks:
        bench.query(network, seed=2)
    again = (time.process_time() - began) * 10
    sources = {
        source: sum(a.source == source for a in answers)
        for source in ("measured", "predicted", "extrapolated")
    }
    print(f"a query: {milliseconds:.1f} ms of CPU, of a known network {again:.2f} ms; {sources}")
    pairs = [[bench.query(n, seed=s).accuracy for s in (1, 2)] for n in networks]
    apart = statistics.mean(abs(a - b) for a, b in pairs)
    tau = kendalltau(*zip(*pairs, strict=True)).statistic
    print(f"two seeds: {apart:.3f} apart on average, tau {tau:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build").add_argument("folder", type=Path)
    commands.add_parser("check")
    arguments = parser.parse_args()
    build(arguments.folder) if arguments.command == "build" else check()


if __name__ == "__main__":
    main()
