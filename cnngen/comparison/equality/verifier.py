"""A network in several frameworks: proven equal, or told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
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
from cnngen.network import Network

DEFINITIONS = "definitions"
"""What the operations are defined to compute, in the place of a mode."""

LOST = 2
"""Processes that a mode may lose, by hanging or dying, before it is asked no more."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What the backend of a mode did wrong."""

    mode: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two modes held against each other; the second may be the definitions.

    `place` says where they begin to differ, if they do and it was found.
    """

    one: str
    other: str
    differences: tuple[Difference, ...]
    place: str | None = None

    @property
    def is_equal(self) -> bool:
        return all(difference.is_small for difference in self.differences)


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of a network: the pairs of modes that answered, and faults of the others."""

    network: Network
    pairs: tuple[Pair, ...]
    faults: tuple[Fault, ...]

    @property
    def is_equal(self) -> bool:
        """Whether something was compared, and all of it is equal."""
        return bool(self.pairs) and not self.faults and all(pair.is_equal for pair in self.pairs)


@dataclass
class Verifier:
    """Holds networks of different modes against each other, each mode in its process.

    A context manager, which ends the processes. `frameworks` are the versions of those that
    started, `faults` what the others did instead.
    """

    modes: Sequence[Mode]
    patience: float = PATIENCE
    frameworks: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    _processes: list[ModeProcess] = field(default_factory=list)
    _lost: Counter[str] = field(default_factory=Counter)

    def __enter__(self) -> Self:
        for mode in self.modes:
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
        """Ask every mode about a network, with weights and images of a seed, and compare."""
        question = ask(network, seed=seed, steps=steps)
        asked: list[Asked] = []
        faults = []
        for process in list(self._processes):
            try:
                asked.append(Asked(process, figures(process, question)))
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


class Asked(NamedTuple):
    """A mode and what it says."""

    process: ModeProcess
    answer: Answer


def _pair(question: Question, one: Asked, other: Asked | None, found: list[Difference]) -> Pair:
    """A mode held against another, or for None against the definitions."""
    place = None
    if large := _large(found):
        try:
            place = _place(question, large, one, other)
        except ModeError as error:
            place = f"not found: {error.message}"
    name = str(other.process.mode) if other else DEFINITIONS
    return Pair(str(one.process.mode), name, tuple(found), place)


def _large(found: list[Difference]) -> Difference | None:
    """Of the differences that are too large the first, in the sharpest precision."""
    large = [difference for difference in found if not difference.is_small]
    return max(large, key=lambda found: found.precision, default=None)


def _place(question: Question, large: Difference, one: Asked, other: Asked | None) -> str:
    network, precision = question.network, large.precision
    if large.what == "outputs":
        exact = question.in_precision(precision)
        values = _value(exact, one), _value(exact, other)
        node = first_difference(network, *values, precision)
        if node is None:
            return "though each operation agrees: an error that grows with depth"
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


def _value(question: Question, asked: Asked | None) -> Value:
    """What a mode, or for None the definitions, computes for a part of the network."""
    images = question.batches[0].images

    def value(part: Network) -> Array:
        if asked is None:
            return evaluate(part, question.weights, images)[-1]
        return outputs(asked.process, part, question.weights, images)

    return value


def _written(network: Network, name: str) -> str:
    """Where a node stands in the text that the user wrote, if there is one."""
    source = network.description.source
    node = next((node for node in network.nodes if node.name == name), None)
    if source is None or node is None:
        return ""
    line, column = source.position(node.span.start)
    return f" at line {line}, column {column}"
