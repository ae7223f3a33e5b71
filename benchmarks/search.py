"""Search methods on the benchmark `digits`: anytime curves, the front, operators, and speed.

    python benchmarks/search.py accuracy        # one objective; random search trains 1,000
    python benchmarks/search.py front           # accuracy and energy: hypervolume
    python benchmarks/search.py operators       # evolution without each operator
    python benchmarks/search.py speed           # an ask with 1,000 trainings told
    python benchmarks/search.py plot            # docs/images/search-benchmark.svg

Results are added to benchmarks/data/search.json as they come. What a search has found is judged
without noise: by the expected accuracy of the network that did best in its own, noisy trainings.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cnngen.search import Problem, SpaceSearcher, get_searcher, objectives_named
from cnngen.search.benchmark import SimulatedTraining, benchmark, simulate
from cnngen.search.pareto import front, hypervolume
from cnngen.search.searcher import OPERATORS_OF_ONE
from cnngen.space import load_space

HERE = Path(__file__).parent
RESULTS = HERE / "data" / "search.json"
BENCH = benchmark("digits")
SPACE = load_space("paper")
MOST_ENERGY = 1e-4
"""kWh of the reference point; the dearest of 1,300 random networks needs about as much."""


def problem(*names: str) -> Problem:
    return Problem(SPACE, BENCH.input_shape, BENCH.classes, objectives_named(names), BENCH.epochs)


def searched(
    method: str, names: tuple[str, ...], count: int, seed: int, without: str = ""
) -> list[SimulatedTraining]:
    """The steps of a search; `without` leaves an operator out."""
    searcher = get_searcher(method)(problem(*names), seed=seed)
    if without:
        assert isinstance(searcher, SpaceSearcher)
        searcher.operators = tuple(name for name in OPERATORS_OF_ONE if name != without)
    return simulate(searcher, BENCH, count=count, seed=seed + 1)


def incumbents(steps: list[SimulatedTraining]) -> list[float]:
    """The expected accuracy of the network that was best so far, after each training."""
    best, found = -1.0, []
    expected = 0.0
    for step in steps:
        if step.answer.accuracy > best:
            best = step.answer.accuracy
            expected = BENCH.expected_accuracy(step.candidate.network)
        found.append(expected)
    return found


def volumes(steps: list[SimulatedTraining]) -> list[float]:
    """The hypervolume of the expected figures of the front so far, after each training: of accuracy
    from 0 to 1 and the logarithm of the energy from a thousandth of the reference to it."""
    points: list[tuple[float, float]] = []
    expected: list[tuple[float, float]] = []
    found = []
    for step in steps:
        energy = np.log(step.answer.energy / MOST_ENERGY) / np.log(1000)
        points.append((-step.answer.accuracy, energy))
        expected.append((-BENCH.expected_accuracy(step.candidate.network), energy))
        chosen = front(points)
        found.append(hypervolume([expected[i] for i in chosen], (0.0, 0.0)))
        points = [points[i] for i in chosen]
        expected = [expected[i] for i in chosen]
    return found


def store(name: str, value: Any) -> None:
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[name] = value
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")


def compare(kind: str, methods: dict[str, int], names: tuple[str, ...], seeds: int) -> None:
    """Run each method with so many seeds, and store the curves."""
    judge = incumbents if len(names) == 1 else volumes
    for method, count in methods.items():
        began = time.process_time()
        curves = [
            [round(x, 5) for x in judge(searched(method, names, count, seed))]
            for seed in range(seeds)
        ]
        store(f"{kind} {method}", curves)
        marks = [n for n in (20, 50, 100, 200, 300, 1000) if n <= count]
        told = ", ".join(f"{statistics.median(c[n - 1] for c in curves):.4f} at {n}" for n in marks)
        seconds = time.process_time() - began
        print(f"{kind} {method}, {seeds} seeds: {told} ({seconds:.0f} s of CPU)", flush=True)


def verdict(kind: str) -> None:
    """Print how often each method reaches within 100 trainings what random search does in 1,000."""
    results = json.loads(RESULTS.read_text())
    goal = [curve[-1] for curve in results[f"{kind} random"]]
    for name, curves in results.items():
        if name.startswith(f"{kind} ") and not name.endswith(" random"):
            for n in (100, 200, 300):
                if len(curves[0]) >= n:
                    wins = sum(c[n - 1] >= g for c, g in zip(curves, goal, strict=False))
                    print(
                        f"{name}: {wins} of {len(curves)} reach random's {len(results[f'{kind} random'][0]):,} within {n}"
                    )


def operators(seeds: int, count: int) -> None:
    """Evolution without each operator."""
    for without in ("", *OPERATORS_OF_ONE):
        found = [
            incumbents(searched("evolution", ("accuracy",), count, s, without))[-1]
            for s in range(seeds)
        ]
        mean, error = statistics.mean(found), statistics.stdev(found) / len(found) ** 0.5
        store(f"operators {without or 'all'}", [round(x, 5) for x in found])
        print(f"without {without or 'none'}: {mean:.4f} +- {error:.4f}", flush=True)


def speed() -> None:
    """Seconds of an ask with 1,000 trainings told, for each method."""
    told = simulate(get_searcher("random")(problem("accuracy"), 0), BENCH, count=1000)
    for method in ("random", "evolution", "nsga2", "model"):
        searcher = get_searcher(method)(problem("accuracy"), seed=1)
        for step in told:
            searcher.resume(step.candidate) if method == "random" else searcher.asked.add(
                step.candidate.network.id
            )  # type: ignore[attr-defined]
            searcher.tell(step.candidate, step.answer.evaluation(step.candidate.network))
        if isinstance(searcher, SpaceSearcher):
            searcher.decisions = 1000
        rounds = []
        for _ in range(7):
            began = time.process_time()
            searcher.ask()
            rounds.append(time.process_time() - began)
        print(
            f"{method}: an ask with 1,000 told takes {statistics.median(rounds):.3f} s ({min(rounds):.3f}–{max(rounds):.3f})",
            flush=True,
        )


def plot() -> None:
    """Draw the stored curves: medians, and the quartiles around them."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    results = json.loads(RESULTS.read_text())
    kinds = {"accuracy": "expected accuracy of the best", "front": "hypervolume of the front"}
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, (kind, label) in zip(axes, kinds.items(), strict=True):
        for name, curves in results.items():
            if not name.startswith(f"{kind} "):
                continue
            table = np.array(curves)
            steps = np.arange(1, table.shape[1] + 1)
            low, middle, high = np.quantile(table, (0.25, 0.5, 0.75), axis=0)
            [line] = axis.plot(steps, middle, label=name.split(" ", 1)[1])
            axis.fill_between(steps, low, high, alpha=0.2, color=line.get_color(), linewidth=0)
        axis.set_xscale("log")
        axis.set_xlim(5)
        shown = [
            np.median(np.array(c), axis=0)[9]
            for n, c in results.items()
            if n.startswith(f"{kind} ")
        ]
        axis.set_ylim(min(shown))
        axis.set_xlabel("trainings")
        axis.set_title(label, fontsize=10)
        axis.legend(frameon=False)
        axis.spines[["top", "right"]].set_visible(False)
    out = HERE.parent / "docs" / "images" / "search-benchmark.svg"
    plt.rcParams["svg.hashsalt"] = "cnngen"
    figure.savefig(out, metadata={"Date": None})
    print(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "what", choices=["accuracy", "front", "operators", "speed", "plot", "verdict"]
    )
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--random", type=int, default=1000)
    parser.add_argument("--methods", default="random,evolution,nsga2,model")
    arguments = parser.parse_args()
    methods = {
        name: arguments.random if name == "random" else arguments.count
        for name in arguments.methods.split(",")
    }
    actions = {
        "accuracy": partial(compare, "accuracy", methods, ("accuracy",), arguments.seeds),
        "front": partial(compare, "front", methods, ("accuracy", "energy"), arguments.seeds),
        "operators": partial(operators, arguments.seeds, arguments.count),
        "speed": speed,
        "plot": plot,
        "verdict": lambda: [verdict(kind) for kind in ("accuracy", "front")],
    }
    actions[arguments.what]()


if __name__ == "__main__":
    main()
