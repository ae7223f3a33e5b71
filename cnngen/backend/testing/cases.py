"""Models run by the kit, in this process or in one of the backend's modes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cnngen.backend.mode_process import ModeProcess
from cnngen.backend.model_access import Array, Model, Runner, Weights
from cnngen.backend.registry import get_backend
from cnngen.backend.weights import by_operation, flat, pack, unpack
from cnngen.operations.shapes import Shape


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Source to be run with weights on images (batch, height, width, channels)."""

    name: str
    source: str
    weights: Weights
    images: Array


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """The result of a case. `initial` are the weights before the case's own were set."""

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


def run_apart(process: ModeProcess, cases: Sequence[Case]) -> list[Outcome]:
    """Run cases in a process of their own. Raises `BackendError` for an error there."""
    outcomes = []
    for case in cases:
        arrays, told = unpack(process.call(_run, case))
        shapes = {name: tuple(shape) for name, shape in told["shapes"].items()}
        outputs = arrays.pop("outputs")
        outcomes.append(Outcome(outputs, by_operation(arrays), told["parameters"], shapes))
    return outcomes


def _run(backend: str, case: Case) -> bytes:
    outcome = run(get_backend(backend).runner(), case)
    told = {"parameters": outcome.parameters, "shapes": outcome.shapes}
    return pack({"outputs": outcome.outputs, **flat(outcome.initial)}, told)
