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
from random import Random
from typing import Any

import numpy as np

from cnngen.language import parse
from cnngen.search import (
    Candidate,
    Evaluation,
    Problem,
    Searcher,
    SpaceSearcher,
    get_searcher,
    objectives_named,
)
from cnngen.search.benchmark import SimulatedTraining, benchmark, simulate
from cnngen.search.pareto import front, hypervolume
from cnngen.search.searcher import OPERATORS_OF_ONE
from cnngen.space import load_space
from cnngen.space.resolution import resolve

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
    searcher = made(method, problem(*names), seed)
    if without:
        assert isinstance(searcher, SpaceSearcher)
        searcher.operators = tuple(name for name in OPERATORS_OF_ONE if name != without)
    return simulate(searcher, BENCH, count=count, seed=seed + 1)


class OptunaPeer(SpaceSearcher):
    """Optuna's TPE on the part of the space `paper` that a fixed list of choices can express: no
    nested merges, one body, one convolution on a left side. What it leaves open is drawn.

    Needs `pip install optuna`.
    """

    name, interface = "optuna", 1

    def __init__(self, problem: Problem, seed: int = 0) -> None:
        import optuna

        super().__init__(problem, seed)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.study = optuna.create_study(
            directions=["minimize"] * len(problem.objectives),
            sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True),
        )
        self.trials: dict[str, Any] = {}

    def propose(self, random: Random) -> Candidate:
        while True:
            trial = self.study.ask()
            description = parse(self.text(trial))
            shape, classes = self.problem.input_shape, self.problem.classes
            network = resolve(
                description, space=SPACE, input_shape=shape, classes=classes, seed=trial.number
            )
            if network.id not in self.asked:
                self.trials[network.id] = trial
                return Candidate(network, "optuna")

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
        losses = self.problem.losses(evaluation)
        self.study.tell(self.trials.pop(candidate.network.id), losses)

    def text(self, trial: Any) -> str:
        """The description of a trial."""
        activation = trial.suggest_categorical("activation", ["relu", "selu", "tanh", "gelu"])

        def conv(name: str) -> str:
            kind = trial.suggest_categorical(f"{name} kind", ["conv", "convbn", "bnconv"])
            kernel = trial.suggest_int(f"{name} kernel", 1, 7)
            return f"{kind}(kernel={kernel}, activation={activation})"

        words = []
        for number in range(trial.suggest_int("count", 3, 5)):
            if trial.suggest_categorical(f"{number} merge", [False, True]):
                mode = trial.suggest_categorical(f"{number} mode", ["add", "concat"])
                right = (
                    conv(f"{number} right")
                    if trial.suggest_categorical(f"{number} empty", [False, True])
                    else "Empty"
                )
                words.append(f"[{mode} ({conv(f'{number} left')}, {right})]")
            else:
                words.append(conv(f"{number}"))
            if trial.suggest_categorical(f"{number} pooling", [False, True]):
                words.append("pooling")
        words.append(
            trial.suggest_categorical(
                "end", ["flatten", "global_avg_pooling", "global_max_pooling"]
            )
        )
        words += ["dense"] * trial.suggest_int("dense", 1, 3)
        return f"input {' '.join(words)} output"


def made(method: str, problem: Problem, seed: int) -> Searcher:
    """A method by its name."""
    kind = OptunaPeer if method == "optuna" else get_searcher(method)
    return kind(problem, seed)


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


def stored() -> dict[str, Any]:
    """The results so far; of each method, figures of its seeds after the trainings of `marks`."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name, value in results.items():
        if isinstance(value, list) and isinstance(value[0], list):
            results[name] = thinned(value)
    return results


def thinned(curves: list[list[float]]) -> dict[str, Any]:
    at = marks(len(curves[0]))
    return {"after": at, "seeds": [[curve[n - 1] for n in at] for curve in curves]}


def store(name: str, value: Any) -> None:
    results = stored() | {name: value}
    lines = [f"{json.dumps(key)}: {json.dumps(results[key])}" for key in sorted(results)]
    RESULTS.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def marks(count: int) -> list[int]:
    """The numbers of trainings after which results are stored."""
    wanted = {
        *range(1, 11),
        *(round(10 * 1.15**step) for step in range(60)),
        50,
        100,
        200,
        300,
        500,
        1000,
    }
    return sorted(n for n in {*wanted, count} if n <= count)


def compare(kind: str, methods: dict[str, int], names: tuple[str, ...], seeds: int) -> None:
    """Run each method with so many seeds, and store the curves."""
    judge = incumbents if len(names) == 1 else volumes
    for method, count in methods.items():
        began = time.process_time()
        curves = [
            [round(x, 5) for x in judge(searched(method, names, count, seed))]
            for seed in range(seeds)
        ]
        store(f"{kind} {method}", thinned(curves))
        shown = [n for n in (20, 50, 100, 150, 300, 1000) if n <= count]
        told = ", ".join(f"{statistics.median(c[n - 1] for c in curves):.4f} at {n}" for n in shown)
        seconds = time.process_time() - began
        print(f"{kind} {method}, {seeds} seeds: {told} ({seconds:.0f} s of CPU)", flush=True)


def verdict(kind: str) -> None:
    """Print how often each method reaches within 100 trainings what random search does in all."""
    results = {name: value for name, value in stored().items() if name.startswith(f"{kind} ")}
    random = results.pop(f"{kind} random")
    goal = [curve[-1] for curve in random["seeds"]]
    for name, value in results.items():
        for n in (50, 100, 150, 200, 300):
            if n in value["after"]:
                at = value["after"].index(n)
                pairs = zip(value["seeds"], goal, strict=False)
                wins = sum(curve[at] >= wanted for curve, wanted in pairs)
                print(
                    f"{name}: {wins} of {len(value['seeds'])} seeds reach within {n} what random "
                    f"search does within {random['after'][-1]:,}"
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

    kinds = {"accuracy": "expected accuracy of the best (%)", "front": "hypervolume of the front"}
    plt.rcParams["svg.hashsalt"] = "cnngen"
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for axis, (kind, label) in zip(axes, kinds.items(), strict=True):
        results = {n.split(" ")[1]: v for n, v in stored().items() if n.startswith(f"{kind} ")}
        factor = 100 if kind == "accuracy" else 1
        lowest = []
        for name, value in results.items():
            table = np.array(value["seeds"]) * factor
            low, middle, high = np.quantile(table, (0.25, 0.5, 0.75), axis=0)
            [line] = axis.plot(value["after"], middle, label=name)
            axis.fill_between(value["after"], low, high, alpha=0.2, color=line.get_color(), lw=0)
            lowest.append(middle[value["after"].index(10)])
        axis.set_xscale("log")
        axis.set_xlim(10)
        axis.set_ylim(min(lowest))
        axis.set_xlabel("trainings")
        axis.set_title(label, fontsize=10)
        axis.legend(frameon=False)
        axis.spines[["top", "right"]].set_visible(False)
    out = HERE.parent / "docs" / "images" / "search-benchmark.svg"
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
