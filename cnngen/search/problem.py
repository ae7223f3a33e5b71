"""What a search looks for, what it asks for, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING

from cnngen.errors import CnnGenError
from cnngen.network import Network
from cnngen.network.cost import short
from cnngen.space import Space
from cnngen.space.sampling import NO_BOUNDS, Bounds
from cnngen.training.protocol import Status

if TYPE_CHECKING:
    from cnngen.runs.record import Record

Losses = tuple[float, ...]
"""One number for each objective, in the order of the problem; less is better in each."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A figure of a training that a search makes as large or as small as it can.

    `column` is the record's field, with the energy's fields as `energy.NAME`. Figures are in
    the record's own `unit`.
    """

    name: str
    column: str
    unit: str
    maximise: bool = False

    def loss(self, figure: float) -> float:
        """The figure, turned around where more is better: less is better in every loss."""
        return -figure if self.maximise else figure

    def text(self, figure: float) -> str:
        """A figure with its unit, for people."""
        match self.unit:
            case "share":
                return f"{figure:.1%}"
            case "kWh":
                return f"{figure * 1000:.3g} Wh"
            case "s":
                return f"{figure:.3g} s"
            case "nats":
                return f"{figure:.3f}"
        return short(round(figure))

    def figure(self, record: Record) -> float | None:
        """The figure of a record; None where the training did not reach it."""
        value: object = record
        for part in self.column.split("."):
            value = getattr(value, part, None)
        return float(value) if isinstance(value, (int, float)) and isfinite(value) else None


OBJECTIVES: Mapping[str, Objective] = {
    objective.name: objective
    for objective in (
        Objective("accuracy", "validation_accuracy", "share", maximise=True),
        Objective("test_accuracy", "test_accuracy", "share", maximise=True),
        Objective("loss", "validation_loss", "nats"),
        Objective("energy", "energy.total_energy", "kWh"),
        Objective("time", "train_seconds", "s"),
        Objective("parameters", "parameters", ""),
        Objective("flops", "flops", ""),
        Objective("layers", "layers", ""),
    )
}
"""What can be searched for. `accuracy` and `loss` are those of the validation images at the end of
the training, so that the test images remain unseen by the search."""


def objectives_named(names: Sequence[str]) -> tuple[Objective, ...]:
    """Return objectives by their names.

    Raises `CnnGenError` for an unknown name, one that is given twice, and for none at all.
    """
    for number, name in enumerate(names):
        if name not in OBJECTIVES:
            raise CnnGenError(
                f"there is no objective '{name}'", hint=f"One of: {', '.join(OBJECTIVES)}."
            )
        if name in names[:number]:
            raise CnnGenError(f"the objective '{name}' is given twice")
    if not names:
        raise CnnGenError(
            "a search needs an objective", hint=f"One or more of: {', '.join(OBJECTIVES)}."
        )
    return tuple(OBJECTIVES[name] for name in names)


@dataclass(frozen=True, slots=True)
class Problem:
    """What a search may ask for, and what it looks for.

    Networks are sentences of `space` for images of `input_shape` (height, width, channels)
    within `bounds`. `epochs` are those of a whole training. `starts` are networks that the
    user wants trained first.
    """

    space: Space
    input_shape: tuple[int, int, int]
    classes: int
    objectives: tuple[Objective, ...]
    epochs: int = 1
    bounds: Bounds = NO_BOUNDS
    starts: tuple[Network, ...] = ()

    def losses(self, evaluation: Evaluation) -> Losses | None:
        """The losses of an evaluation; None for a training that failed or lacks a figure."""
        if evaluation.status != "ok":
            return None
        figures = [evaluation.figures.get(objective.name) for objective in self.objectives]
        known = [figure for figure in figures if figure is not None]
        if len(known) < len(figures):
            return None
        return tuple(
            objective.loss(figure) for objective, figure in zip(self.objectives, known, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network to train, and how it came about.

    `operator` is `start`, `sample`, or what made the network of its `parents`, which are ids
    of networks. `reopened` says which hyper-parameters of them no longer fit and were drawn
    anew. `seed` draws the network again: `cnngen.sample` for a sample, the operator for a
    child. `predicted` has what the method expected, by the names of objectives. `epochs` asks
    for another number than the problem's.
    """

    network: Network
    operator: str
    parents: tuple[str, ...] = ()
    seed: int | None = None
    predicted: Mapping[str, float] = field(default_factory=dict)
    epochs: int | None = None
    reopened: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of a training.

    `figures` has those of the problem's objectives that were reached, by name; none for a
    failure, whose `status` says what happened. `curve` has the validation accuracy after
    each epoch, NaN where it is not known.
    """

    status: Status
    figures: Mapping[str, float] = field(default_factory=dict)
    epochs: int = 0
    curve: tuple[float, ...] = ()

    @classmethod
    def of_record(cls, record: Record, objectives: Sequence[Objective]) -> Evaluation:
        """The evaluation that a record tells of."""
        found = (
            {objective.name: objective.figure(record) for objective in objectives}
            if record.status == "ok"
            else {}
        )
        figures = {name: figure for name, figure in found.items() if figure is not None}
        curve = tuple(epoch.validation_accuracy for epoch in record.history)
        return cls(record.status, figures, record.epochs, curve)
