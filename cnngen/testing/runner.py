"""Emitted source, run in its framework: what an author writes, and how the kit calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from cnngen.shapes import Shape
from cnngen.testing.reference import Array, Weights

Model = TypeVar("Model")


class Runner(ABC, Generic[Model]):
    """Runs what a backend emits. Weights have the names and axes that `Weights` tells."""

    @abstractmethod
    def build(self, source: str) -> Model:
        """The untrained model of an emitted file."""

    @abstractmethod
    def weights(self, model: Model) -> Weights:
        """All weights of a model, by the operation's name."""

    @abstractmethod
    def set_weights(self, model: Model, weights: Weights) -> None:
        """Put other weights in their place."""

    @abstractmethod
    def outputs(self, model: Model, images: Array) -> Array:
        """What the model gives after training, without dropout, in the precision of the images.

        Images are (batch, height, width, channels), and so are maps that come out.
        """

    def parameters(self, model: Model) -> int | None:
        """How many numbers the framework says it would train; None where it does not count."""
        return None

    def shapes(self, model: Model) -> Mapping[str, Shape]:
        """The output shape of one image for operations whose layers can tell, channels last."""
        return {}


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Source to be run with weights on images (batch, height, width, channels)."""

    name: str
    source: str
    weights: Weights
    images: Array


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of a case. `initial` are the weights before the case's own were set."""

    outputs: Array
    initial: Weights
    parameters: int | None
    shapes: Mapping[str, Shape]


def run(runner: Runner[Model], case: Case) -> Outcome:
    """Run a case in this process."""
    model = runner.build(case.source)
    initial = {
        name: {weight: np.array(value) for weight, value in own.items()}
        for name, own in runner.weights(model).items()
    }
    runner.set_weights(model, case.weights)
    outputs = runner.outputs(model, case.images)
    shapes = {name: tuple(shape) for name, shape in runner.shapes(model).items()}
    return Outcome(outputs, initial, runner.parameters(model), shapes)


def run_apart(
    script: Path, cases: Sequence[Case], folder: Path, environment: Mapping[str, str]
) -> list[Outcome]:
    """Run cases in a process of its own, whose script calls `serve`; `folder` is for files.

    Raises `RuntimeError` with the end of what the process complained about.
    """
    for number, case in enumerate(cases):
        (folder / f"{number}.py").write_text(case.source)
        _save(folder / f"{number}.npz", {"images": case.images, **_packed(case.weights)})
    done = subprocess.run(
        [sys.executable, str(script), str(folder)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{script.name} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return [_outcome(folder / f"{number}.out.npz") for number in range(len(cases))]


def serve(runner: Runner[Model]) -> None:
    """The main function of a script for `run_apart`: runs the cases of the folder it is given."""
    folder = Path(sys.argv[1])
    for path in sorted(folder.glob("*.py"), key=lambda path: int(path.stem)):
        with np.load(path.with_suffix(".npz")) as file:
            packed = dict(file)
        images = packed.pop("images")
        outcome = run(runner, Case(path.stem, path.read_text(), _unpacked(packed), images))
        told = json.dumps({"parameters": outcome.parameters, "shapes": outcome.shapes})
        arrays = {"outputs": outcome.outputs, "told": np.array(told), **_packed(outcome.initial)}
        _save(path.with_suffix(".out.npz"), arrays)


def _outcome(path: Path) -> Outcome:
    with np.load(path) as arrays:
        packed = dict(arrays)
    outputs, told = packed.pop("outputs"), json.loads(str(packed.pop("told")))
    shapes = {name: tuple(shape) for name, shape in told["shapes"].items()}
    return Outcome(outputs, _unpacked(packed), told["parameters"], shapes)


def _save(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    np.savez(path, allow_pickle=False, **arrays)


def _packed(weights: Weights) -> dict[str, Array]:
    return {f"{name}.{own}": array for name, all in weights.items() for own, array in all.items()}


def _unpacked(packed: Mapping[str, Array]) -> Weights:
    weights: dict[str, dict[str, Array]] = {}
    for key, array in packed.items():
        name, own = key.split(".")
        weights.setdefault(name, {})[own] = array
    return weights
