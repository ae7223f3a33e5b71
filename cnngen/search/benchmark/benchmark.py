"""`Benchmark`: what a training would give, measured where there was one and predicted elsewhere."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cnngen.errors import CnnGenError
from cnngen.network import Network
from cnngen.predict.model import Model
from cnngen.search.problem import Evaluation

VERSION = 1
"""Changes when answers do."""

NEIGHBOURS = 5
"""Of how many measured curves that end nearest one gives the shape of a predicted curve."""

LEAST, MOST = 0.001, 0.999
"""Accuracies whose logits are computed."""

Source = Literal["measured", "predicted", "extrapolated"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a training gives. `accuracy` and those of `curve`, after each epoch, are shares from 0 to
    1; `seconds` are those of the training and `energy` is its kWh, on the benchmark's machine.

    `source` is `measured` for a network that was trained, `predicted` for others, and
    `extrapolated` for those unlike any that was trained.
    """

    accuracy: float
    seconds: float
    energy: float
    epochs: int
    curve: tuple[float, ...]
    source: Source

    def evaluation(self, network: Network) -> Evaluation:
        """The answer as a search method is told of it."""
        cost = network.cost
        figures = {
            "accuracy": self.accuracy,
            "test_accuracy": self.accuracy,
            "energy": self.energy,
            "time": self.seconds,
            "parameters": float(cost.parameters),
            "flops": float(cost.flops),
            "layers": float(cost.layers),
        }
        return Evaluation("ok", figures, self.epochs, self.curve)


@dataclass(frozen=True, slots=True)
class _Expected:
    """Accuracy, seconds and kWh of a whole training, without the noise of a seed."""

    accuracy: float
    seconds: float
    energy: float
    source: Source


class Benchmark:
    """Answers for any network on the images of one data set, in milliseconds.

    Where the network was trained, the answer is that training's; else it is what the shipped model
    predicts. Accuracies differ between seeds as trainings do: on the scale of logits by a normal
    deviation of `noise`. `time_spent`, `energy_spent` and `queries` count what the queries would
    have cost.

        bench = cnngen.benchmark("digits")
        answer = bench.query(cnngen.sample("paper", input_shape=(8, 8, 1), seed=3), seed=1)
    """

    def __init__(self, name: str, model: Model, data: BenchmarkData) -> None:
        self.name = name
        self.version = VERSION
        self.noise = data.noise
        self.epochs = data.curves.shape[1]
        """Epochs of a whole training."""
        (height, width, channels), self.classes = model.domain.usual
        self.input_shape = (height, width, channels)
        self._model = model
        self._data = data
        self._known: dict[str, _Expected] = {}
        self.reset_budget_counters()

    def __repr__(self) -> str:
        return f"<Benchmark {self.name} {self.version}: {self.queries:,} queries so far>"

    def query(self, network: Network, *, epochs: int | None = None, seed: int = 0) -> Answer:
        """What a training of a network with a seed gives after so many epochs, by default all.

        Equal arguments give equal answers. Raises `CnnGenError` for a network for other images or
        classes, and for epochs out of range.
        """
        epochs = self.epochs if epochs is None else epochs
        if not 1 <= epochs <= self.epochs:
            raise CnnGenError(
                f"a training of '{self.name}' has 1 to {self.epochs} epochs, not {epochs}"
            )
        expected = self._expected(network)
        final = expected.accuracy
        if not (expected.source == "measured" and seed == 0):
            deviate = NormalDist().inv_cdf(_share(f"{network.id} {seed}"))
            final = _from_logit(_logit(final) + self.noise * deviate)
        curve = self._curve(network, expected.accuracy, final)[:epochs]
        share = epochs / self.epochs
        answer = Answer(
            curve[-1],
            expected.seconds * share,
            expected.energy * share,
            epochs,
            tuple(curve),
            expected.source,
        )
        self.queries += 1
        self.time_spent += answer.seconds
        self.energy_spent += answer.energy
        return answer

    def expected_accuracy(self, network: Network) -> float:
        """The accuracy of a whole training without the noise of a seed, to judge what a search has
        found. Costs nothing."""
        return self._expected(network).accuracy

    def get_budget_counters(self) -> tuple[float, float]:
        """Return the simulated seconds and kWh spent since the counters were last reset."""
        return self.time_spent, self.energy_spent

    def reset_budget_counters(self) -> None:
        """Set the counters to 0."""
        self.time_spent = self.energy_spent = 0.0
        self.queries = 0

    def _expected(self, network: Network) -> _Expected:
        found = self._known.get(network.id)
        if found is not None:
            return found
        if (network.input_shape, network.classes) != (self.input_shape, self.classes):
            raise CnnGenError(
                f"the benchmark '{self.name}' is for images of "
                f"{'x'.join(map(str, self.input_shape))} in {self.classes} classes"
            )
        row = self._data.rows.get(network.id)
        if row is not None:
            accuracy, seconds, energy = map(float, self._data.figures[row])
            found = _Expected(accuracy, seconds, energy, "measured")
        else:
            predicted = self._model.predict([network])
            figures = (float(predicted[name].mean[0]) for name in ("accuracy", "time", "energy"))
            accuracy, seconds, energy = figures
            far = bool(self._model.domain.distances([network])[0] > 1)
            found = _Expected(
                min(max(accuracy, 0.0), 1.0),
                max(seconds, 1e-3),
                max(energy, 1e-9),
                "extrapolated" if far else "predicted",
            )
        self._known[network.id] = found
        return found

    def _curve(self, network: Network, expected: float, final: float) -> list[float]:
        """Accuracies after each epoch that end at `final`.

        The shape is that of a measured curve with about the same end: the difference of each epoch
        from the end, on the scale of logits.
        """
        data = self._data
        near = np.argsort(np.abs(data.curves[:, -1] - expected), kind="stable")[:NEIGHBOURS]
        shape = data.curves[near[int(_share(f"{network.id} curve") * len(near))]]
        ends = _logit(float(shape[-1]))
        curve = [_from_logit(_logit(final) + _logit(float(one)) - ends) for one in shape]
        return [*curve[:-1], final]


@dataclass(frozen=True)
class BenchmarkData:
    """Measured trainings: `rows` of ids in `figures` (networks, 3), of accuracy, seconds and kWh;
    `curves` (networks, epochs) of accuracies; and the `noise` between seeds, of logits."""

    rows: dict[str, int]
    figures: NDArray[np.float64]
    curves: NDArray[np.float64]
    noise: float

    @classmethod
    def load(cls, path: Path) -> BenchmarkData:
        """Read the file of a benchmark."""
        with np.load(path, allow_pickle=False) as arrays:
            ids = [str(one, "ascii") for one in arrays["ids"]]
            return cls(
                {one: row for row, one in enumerate(ids)},
                arrays["figures"].astype(np.float64),
                arrays["curves"].astype(np.float64),
                float(arrays["noise"]),
            )


def benchmark_names() -> list[str]:
    """List the benchmarks that come with CNNGen."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.npz"))


def benchmark(name: str = "digits") -> Benchmark:
    """Open a benchmark that comes with CNNGen. Raises `CnnGenError` for an unknown name."""
    if name not in benchmark_names():
        raise CnnGenError(
            f"there is no benchmark '{name}'", hint=f"Known: {', '.join(benchmark_names())}."
        )
    data = BenchmarkData.load(Path(__file__).parent / f"{name}.npz")
    return Benchmark(name, Model.load(), data)


def _share(text: str) -> float:
    """A number above 0 and below 1 that follows from a text, each such as likely."""
    digest = hashlib.sha256(text.encode()).digest()
    return (int.from_bytes(digest[:8], "big") + 0.5) / 2**64


def _logit(share: float) -> float:
    share = min(max(share, LEAST), MOST)
    return log(share / (1 - share))


def _from_logit(value: float) -> float:
    return 1 / (1 + exp(-value)) if value > -700 else 0.0
