"""Verify that a network computes the same in several frameworks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np

from cnngen.backend.definitions import evaluate
from cnngen.backend.mode_process import PATIENCE, Mode, ModeError, ModeProcess
from cnngen.backend.model_access import Array
from cnngen.comparison.equality.answers import figures, outputs
from cnngen.comparison.equality.first_difference import Value, first_difference, first_gradient
from cnngen.comparison.equality.inputs import STEPS, Question, ask, defined
from cnngen.comparison.equality.tolerances import (
    Answer,
    Difference,
    differences,
    from_definitions,
)
from cnngen.errors import BackendError
from cnngen.network import Network

DEFINITIONS = "definitions"
"""Stands for the NumPy definitions of the operations where a mode is named."""

LOST = 2
"""Number of processes lost by hanging or dying after which a mode is dropped."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An error of a mode's backend."""

    mode: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """The comparison of two modes; the second may be `DEFINITIONS`.

    `location` describes where they start to differ; None if they agree.
    """

    one: str
    other: str
    differences: tuple[Difference, ...]
    location: str | None = None

    @property
    def is_equal(self) -> bool:
        """Whether all differences are within their tolerances."""
        return all(difference.is_small for difference in self.differences)


@dataclass(frozen=True, slots=True)
class Verification:
    """The result for one network: pairs of modes that gave figures, and the other modes' faults."""

    network: Network
    pairs: tuple[Pair, ...]
    faults: tuple[Fault, ...]

    @property
    def is_equal(self) -> bool:
        """Whether at least one pair was compared, all are equal, and no mode failed."""
        return bool(self.pairs) and not self.faults and all(pair.is_equal for pair in self.pairs)


@dataclass
class Verifier:
    """Compares networks across modes, each mode in its own process.

    A context manager that starts and ends the processes. `patience` is the time limit of a
    call, in seconds. `frameworks` maps the modes that started to the versions of their
    frameworks; `faults` lists why the others did not.
    """

    modes: Sequence[Mode]
    patience: float = PATIENCE
    frameworks: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    _processes: list[ModeProcess] = field(default_factory=list)
    _lost: Counter[str] = field(default_factory=Counter)

    def __enter__(self) -> Self:
        for mode in self.modes:
            if mode.precision is not None:
                raise BackendError(
                    f"{mode}: computations are verified in float32 and float64",
                    hint=f"Write {replace(mode, precision=None)}.",
                )
            process = ModeProcess(mode, patience=self.patience)
            self._processes.append(process)
            try:
                self.frameworks[str(mode)] = process.framework()
            except ModeError as error:
                self.faults.append(_fault(process, error))
                self._drop(process)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self._processes:
            process.end()

    def verify(self, network: Network, *, seed: int = 0, steps: int = STEPS) -> Verification:
        """Compare a network in all modes, with weights and images drawn from a seed.

        `steps` is the number of training steps to compare. A mode that fails is listed in the
        result's `faults`.
        """
        question = ask(network, seed=seed, steps=steps)
        asked: list[ModeAnswer] = []
        faults = []
        for process in list(self._processes):
            try:
                asked.append(ModeAnswer(process, figures(process, question)))
            except ModeError as error:
                faults.append(_fault(process, error))
                self._lost[str(process.mode)] += error.is_end
                if self._lost[str(process.mode)] == LOST:
                    self._drop(process)
        pairs = [
            _pair(question, one, other, differences(one.answer, other.answer))
            for one, other in combinations(asked, 2)
        ]
        if (known := defined(question)) is not None:
            pairs += [
                _pair(question, one, None, from_definitions(one.answer, known)) for one in asked
            ]
        return Verification(network, tuple(pairs), tuple(faults))

    def _drop(self, process: ModeProcess) -> None:
        process.end()
        self._processes.remove(process)


def _fault(process: ModeProcess, error: ModeError) -> Fault:
    return Fault(str(process.mode), error.message, error.hint)


class ModeAnswer(NamedTuple):
    """A mode's process and the figures it computed."""

    process: ModeProcess
    answer: Answer


def _pair(
    question: Question, one: ModeAnswer, other: ModeAnswer | None, found: list[Difference]
) -> Pair:
    """Compare a mode with another, or with the definitions if `other` is None."""
    location = None
    if large := _large(found):
        try:
            location = _locate(question, large, one, other)
        except ModeError as error:
            location = f"not found: {error.message}"
    name = str(other.process.mode) if other else DEFINITIONS
    return Pair(str(one.process.mode), name, tuple(found), location)


def _large(found: list[Difference]) -> Difference | None:
    """Return the first difference above its tolerance, in the highest precision."""
    large = [difference for difference in found if not difference.is_small]
    return max(large, key=lambda found: found.precision, default=None)


def _locate(
    question: Question, large: Difference, one: ModeAnswer, other: ModeAnswer | None
) -> str:
    """Describe where two modes start to differ."""
    network, precision = question.network, large.precision
    if large.what == "outputs":
        exact = question.in_precision(precision)
        values = _value(exact, one), _value(exact, other)
        node = first_difference(network, *values, precision)
        if node is None:
            return "although each operation agrees: the error grows with depth"
        kind = type(node.operation).__name__
        return f"first at {node.name} ({kind}){_written(network, node.name)}"
    if large.what == "loss" or other is None:
        return "in the loss in training"
    here, there = one.answer[precision], other.answer[precision]
    if large.what == "gradients":
        weight = str(first_gradient(network, here, there, large.allowed))
        written = _written(network, weight.split(".")[0])
        return f"in gradients, from that of {weight} backwards{written}"
    close = np.abs(here.curve - there.curve) <= large.allowed * np.nanmax(here.curve)
    return f"in training, from step {int(np.argmin(close)) + 1} on"


def _value(question: Question, asked: ModeAnswer | None) -> Value:
    """Return the function that evaluates subnetworks in a mode, or by the definitions for None."""
    images = question.batches[0].images

    def value(part: Network) -> Array:
        if asked is None:
            return evaluate(part, question.weights, images)[-1]
        return outputs(asked.process, part, question.weights, images)

    return value


def _written(network: Network, name: str) -> str:
    """Return a node's line and column in the user's text; empty if there is no text."""
    source = network.description.source
    node = next((node for node in network.nodes if node.name == name), None)
    if source is None or node is None:
        return ""
    line, column = source.position(node.span.start)
    return f" at line {line}, column {column}"
