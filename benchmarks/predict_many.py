"""Measure predictions for 1,000 descriptions by the shipped model, compared with only reading them.

    python benchmarks/predict_many.py [--rounds 5]

Both alternate in each round, on descriptions that were not read before, with the garbage collector
set as in the command. Times are CPU seconds for 1,000 descriptions.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parent.parent))

from cnngen.__main__ import GARBAGE
from cnngen.language import parse
from cnngen.network import Network
from cnngen.predict.model import Model
from cnngen.space.resolution import resolve
from cnngen.space.sampling import sample_many

COUNT = 1000


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds

    gc.set_threshold(*GARBAGE)
    whole = Model.load()
    one = Model({"accuracy": whole.predictors["accuracy"]}, whole.domain, whole.origin)
    sampled = sample_many(10**9, "paper", input_shape=(8, 8, 1), classes=10, seed=2026)
    whole.predict(read(texts(sampled, 10)))
    kinds = {"read alone": None, "accuracy": one, "all targets": whole}
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, model in kinds.items():
            asked = texts(sampled, COUNT)
            start = time.process_time()
            networks = read(asked)
            if model is not None:
                model.predict(networks)
            times[name].append(time.process_time() - start)
    for name, seconds in times.items():
        ratios = [a / b for a, b in zip(seconds, times["read alone"], strict=True)]
        print(
            f"{name:12} {median(seconds):5.2f} s ({min(seconds):.2f} to {max(seconds):.2f}), "
            f"{median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f}) reading alone"
        )


def texts(sampled: Iterator[Network], count: int) -> list[str]:
    """Return the descriptions of the next networks."""
    return [next(sampled).to_text() for _ in range(count)]


def read(asked: list[str]) -> list[Network]:
    """Parse and resolve descriptions."""
    return [resolve(parse(text)) for text in asked]


if __name__ == "__main__":
    main()
