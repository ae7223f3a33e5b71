"""What a search did: what it reached and spent as it went on, and which operators paid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from cnngen.errors import StoreError
from cnngen.runs.campaign.plan import SEARCH_FILE, read
from cnngen.search.journal import Asked, Told, read_journal
from cnngen.search.pareto import front
from cnngen.search.problem import Losses, Objective, objectives_named
from cnngen.search.state import box_share

MOST_LINEAGES = 3
"""How many winners' ancestors are followed."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """What a search had reached after some trainings. `seconds` are of searching, `energy` is in kWh;
    `best` are the best figures of each objective, `hypervolume` the share of the final box."""

    trainings: int
    seconds: float
    energy: float
    best: tuple[float, ...]
    hypervolume: float | None


@dataclass(frozen=True, slots=True)
class OperatorTally:
    """How often an operator was used: `reached` trainings ended well, `improved` were better in the
    first objective than the best of their parents, `in_front` are of the final front."""

    operator: str
    used: int
    reached: int
    improved: int | None
    in_front: int


@dataclass(frozen=True, slots=True)
class Foresight:
    """How well predictions of an objective agreed with what came: Kendall's tau, and the mean
    absolute difference in the objective's unit."""

    objective: str
    count: int
    tau: float | None
    off: float


@dataclass(frozen=True, slots=True)
class PlottedTraining:
    """A training that reached its figures: its number from 1, and its figures."""

    number: int
    id: str
    operator: str
    figures: tuple[float, ...]


@dataclass(frozen=True)
class SearchHistory:
    """A search, as its journal tells it. `lineages` are the ancestors of a few winners by number, from
    the oldest to the winner; with two parents, those of the better one."""

    name: str
    method: str
    objectives: tuple[Objective, ...]
    seed: int
    statuses: dict[str, int]
    seconds: float
    energy: float
    points: list[PlottedTraining]
    winners: list[PlottedTraining]
    milestones: list[Milestone]
    operators: list[OperatorTally]
    foresights: list[Foresight]
    lineages: list[list[PlottedTraining]]

    @property
    def trainings(self) -> int:
        """How many trainings ended, failures too."""
        return sum(self.statuses.values())


def read_searches(sources: Sequence[str | Path]) -> list[SearchHistory]:
    """The histories of those folders that are searches' and have trained something.

    Raises `StoreError` for a search whose files cannot be read.
    """
    histories = []
    for folder in map(Path, sources):
        if folder.is_dir() and (settings := read(folder, SEARCH_FILE)) is not None:
            names = str(settings.get("objectives")).split(",")
            method, seed = str(settings.get("method"))[:100], settings.get("seed")
            try:
                objectives = objectives_named(names)
                events = read_journal(folder)
            except StoreError:
                raise
            except Exception as error:
                raise StoreError(f"{folder / SEARCH_FILE}: {error}") from None
            if any(isinstance(event, Told) for event in events):
                number = seed if isinstance(seed, int) else 0
                histories.append(history(folder.name, method, number, objectives, events))
    return histories


def history(
    name: str,
    method: str,
    seed: int,
    objectives: tuple[Objective, ...],
    events: Sequence[Asked | Told],
) -> SearchHistory:
    """The history that a search's events tell."""
    asked = {event.number: event for event in events if isinstance(event, Asked)}
    told = [event for event in events if isinstance(event, Told)]
    statuses: dict[str, int] = {}
    for event in told:
        statuses[event.evaluation.status] = statuses.get(event.evaluation.status, 0) + 1
    # A longer training of the same network counts for it.
    reached = {
        event.number: losses
        for event in told
        if (losses := _losses(event, objectives)) is not None
        and asked[event.number].candidate.epochs is None
    }
    points = {
        number: PlottedTraining(
            number + 1,
            asked[number].candidate.network.id,
            asked[number].candidate.operator,
            tuple(o.loss(x) for o, x in zip(objectives, losses, strict=True)),
        )
        for number, losses in reached.items()
    }
    numbers = list(reached)
    best = [numbers[i] for i in front([reached[number] for number in numbers])]
    best.sort(key=lambda number: reached[number])
    by_id = {asked[number].candidate.network.id: number for number in numbers}
    return SearchHistory(
        name,
        method,
        objectives,
        seed,
        statuses,
        told[-1].elapsed,
        sum(event.energy or 0.0 for event in told),
        [points[number] for number in numbers],
        [points[number] for number in best],
        list(_milestones(told, reached, objectives)),
        _operators(told, asked, reached, by_id, set(best)),
        list(_foresights(numbers, asked, points, objectives)),
        [
            [points[number] for number in _ancestors(number, asked, reached, by_id)]
            for number in best[:MOST_LINEAGES]
        ],
    )


def _losses(event: Told, objectives: Sequence[Objective]) -> Losses | None:
    figures = event.evaluation.figures
    if event.evaluation.status != "ok" or any(one.name not in figures for one in objectives):
        return None
    return tuple(one.loss(figures[one.name]) for one in objectives)


def _milestones(
    told: Sequence[Told], reached: dict[int, Losses], objectives: Sequence[Objective]
) -> Iterator[Milestone]:
    """What was reached after 1, 2, 5, 10, 20 … trainings, and at the end."""
    marks = {factor * 10**power for power in range(9) for factor in (1, 2, 5)} | {len(told)}
    everything = list(reached.values())
    so_far: list[Losses] = []
    energy = 0.0
    for count, event in enumerate(told, 1):
        energy += event.energy or 0.0
        if event.number in reached:
            so_far.append(reached[event.number])
        if count in marks and so_far:
            best = map(min, zip(*so_far, strict=True))
            figures = tuple(o.loss(x) for o, x in zip(objectives, best, strict=True))
            yield Milestone(count, event.elapsed, energy, figures, box_share(so_far, everything))


def _operators(
    told: Sequence[Told],
    asked: dict[int, Asked],
    reached: dict[int, Losses],
    by_id: dict[str, int],
    best: set[int],
) -> list[OperatorTally]:
    tallies: dict[str, list[int]] = {}
    has_parents: set[str] = set()
    for event in told:
        candidate = asked[event.number].candidate
        tally = tallies.setdefault(candidate.operator, [0, 0, 0, 0])
        tally[0] += 1
        tally[3] += event.number in best
        losses = reached.get(event.number)
        tally[1] += losses is not None
        parents = [reached[by_id[one]][0] for one in candidate.parents if one in by_id]
        if parents:
            has_parents.add(candidate.operator)
            tally[2] += losses is not None and losses[0] < min(parents)
    return [
        OperatorTally(name, used, ended, improved if name in has_parents else None, in_front)
        for name, (used, ended, improved, in_front) in sorted(
            tallies.items(), key=lambda item: -item[1][0]
        )
    ]


def _foresights(
    numbers: Sequence[int],
    asked: dict[int, Asked],
    points: dict[int, PlottedTraining],
    objectives: Sequence[Objective],
) -> Iterator[Foresight]:
    from scipy.stats import kendalltau

    for at, objective in enumerate(objectives):
        pairs = [
            (predicted, points[number].figures[at])
            for number in numbers
            if (predicted := asked[number].candidate.predicted.get(objective.name)) is not None
        ]
        if pairs:
            off = sum(abs(one - other) for one, other in pairs) / len(pairs)
            tau = float(kendalltau(*zip(*pairs, strict=True)).statistic)
            yield Foresight(objective.name, len(pairs), tau if isfinite(tau) else None, off)


def _ancestors(
    number: int, asked: dict[int, Asked], reached: dict[int, Losses], by_id: dict[str, int]
) -> list[int]:
    """The line of a network's better parents, from the oldest to itself."""
    line = [number]
    while True:
        parents = [by_id[one] for one in asked[line[0]].candidate.parents if one in by_id]
        parents = [one for one in parents if one < line[0]]
        if not parents:
            return line
        line.insert(0, min(parents, key=lambda one: reached[one]))
