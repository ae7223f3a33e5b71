"""Compare predictors on the same splits: time to fit and to predict, and Kendall's tau.

    python benchmarks/predict.py benchmarks/data/digits.parquet
    python benchmarks/predict.py runs/digits --target energy --repeats 10 --predictors trees
    python benchmarks/predict.py runs/digits --split size     # train on small, test on large ones
    python benchmarks/predict.py runs/digits runs/cifar10 --split data  # hold out one data set

The baselines are parameters and FLOPs without any learning, and ridge regression on the logarithms
of both. Times are CPU seconds; that of a prediction is from the first split and includes features,
unless an earlier predictor or target has cached them.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from cnngen.network import Network
from cnngen.predict import (
    PREDICTORS,
    TARGETS,
    Example,
    Split,
    Target,
    by_data,
    by_size,
    examples,
    kendall,
    split,
)
from cnngen.predict.predictor import with_target
from cnngen.predict.scores import score
from cnngen.predict.target_scale import Scale

Floats = NDArray[np.float64]


def logs(networks: Sequence[Network]) -> Floats:
    """Return the logarithms of parameters and FLOPs: shape (networks, 2)."""
    return np.log1p([[network.cost.parameters, network.cost.flops] for network in networks])


def baselines(parts: Split, target: Target) -> dict[str, Floats]:
    """Return each baseline's scores of the test networks, of which only the order matters."""
    known, figures = with_target([*parts.train, *parts.validation], target)
    asked, _ = with_target(parts.test, target)
    scale = Scale.of(target, figures)
    ridge = Ridge().fit(logs(known), scale.scaled(figures))
    rows = logs(asked)
    return {
        "parameters": rows[:, 0],
        "FLOPs": rows[:, 1],
        "ridge on both": scale.in_unit(ridge.predict(rows)),
    }


def shown(name: str, taus: Sequence[float], more: str = "") -> None:
    spread = stdev(taus) if len(taus) > 1 else 0.0
    print(f"{name:14} tau {fmean(taus):.3f} ± {spread:.3f}{more}", flush=True)


def compare(
    names: Sequence[str],
    target: Target,
    parts: Sequence[Split],
    limit: float,
) -> None:
    """Print one line per predictor, over as many splits as the time limit allows."""
    taus: dict[str, list[float]] = {}
    for one in parts:
        _, measured = with_target(one.test, target)
        for name, order in baselines(one, target).items():
            taus.setdefault(name, []).append(kendall(order, measured))
    for name, each in taus.items():
        shown(name, each)
    for name in names:
        began = time.perf_counter()
        each, fits, asks, maes, covered, areas = [], [], [], [], [], []
        for one in parts:
            asked, measured = with_target(one.test, target)
            start = time.process_time()
            model = PREDICTORS[name]().fit(one.train, target, one.validation)
            fits.append(time.process_time() - start)
            start = time.process_time()
            said = model.predict(asked)
            asks.append((time.process_time() - start) / len(asked))
            got = score(said, measured)
            each.append(got.tau)
            maes.append(got.mae)
            covered.append(got.coverage)
            if target == "trainability" and 0 < measured.sum() < len(measured):
                areas.append(float(roc_auc_score(measured, said.mean)))
            if time.perf_counter() - began > limit:
                break
        more = (
            f"  MAE {fmean(maes):.3g}  inside {fmean(covered):.0%}  fit {fmean(fits):.1f} s  "
            f"{asks[0] * 1000:.2f} ms a network  ({len(each)} splits)"
        )
        area = f"  AUC {fmean(areas):.3f}" if areas else ""
        shown(name, each, more + area)


def cuts(kind: str, found: list[Example], repeats: int) -> list[Split]:
    """Return the splits; for `data`, one per held-out data set."""
    if kind == "data":
        return [by_data(found, name, 0) for name in sorted({one.data for one in found})]
    return [(split if kind == "random" else by_size)(found, seed) for seed in range(repeats)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("source", type=Path, nargs="+")
    parser.add_argument("--target", choices=TARGETS, nargs="+", default=["accuracy"])
    parser.add_argument("--predictors", nargs="+", default=["trees"], help="or `all`")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--split", choices=["random", "size", "data"], default="random")
    parser.add_argument("--limit", type=float, default=600, help="seconds for a predictor")
    given = parser.parse_args()
    names = list(PREDICTORS) if given.predictors == ["all"] else given.predictors
    start = time.process_time()
    found = [example for source in given.source for example in examples(source)]
    taken = time.process_time() - start
    print(f"{len(found):,} examples, read and resolved in {taken:.1f} s of CPU")
    for target in given.target:
        print(f"\n{target}, {given.split} split")
        compare(names, target, cuts(given.split, found, given.repeats), given.limit)


if __name__ == "__main__":
    main()
