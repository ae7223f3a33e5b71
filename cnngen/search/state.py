"""What a search has decided and reached so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from cnngen.search.journal import Asked, Told
from cnngen.search.pareto import front, hypervolume
from cnngen.search.problem import Losses, Objective, Problem


@dataclass
class SearchState:
    """The decisions of a search in their order, and what came of each, by its number."""

    problem: Problem
    asked: list[Asked] = field(default_factory=list)
    told: dict[int, Told] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    """The numbers of the decisions in the order in which they were told of."""
    is_exhausted: bool = False
    """The method found nothing new to train."""

    def add(self, event: Asked | Told) -> None:
        """Take note of an event."""
        if isinstance(event, Asked):
            self.asked.append(event)
        else:
            self.told[event.number] = event
            self.order.append(event.number)

    @property
    def pending(self) -> list[Asked]:
        """The decisions that nothing was told of yet."""
        return [one for one in self.asked if one.number not in self.told]

    @property
    def energy(self) -> float:
        """The energy of all trainings in kWh, as far as it is known."""
        return sum(one.energy or 0.0 for one in self.told.values())

    @property
    def elapsed(self) -> float:
        """Seconds of searching, of all processes, when something was last told."""
        return self.told[self.order[-1]].elapsed if self.order else 0.0

    @property
    def statuses(self) -> Counter[str]:
        return Counter(one.evaluation.status for one in self.told.values())

    def losses(self, number: int) -> Losses | None:
        """The losses of a decision's training; None for a failure, or one of fewer epochs."""
        told = self.told.get(number)
        epochs = self.asked[number].candidate.epochs
        if told is None or epochs not in (None, self.problem.epochs):
            return None
        return self.problem.losses(told.evaluation)

    def best(self, objective: Objective | None = None) -> Asked | None:
        """The decision with the best figure of an objective, by default the first; the earlier of
        two equal ones."""
        objectives = self.problem.objectives
        at = objectives.index(objective) if objective is not None else 0
        reached = [(found[at], n) for n in self.order if (found := self.losses(n)) is not None]
        return self.asked[min(reached)[1]] if reached else None

    def front(self) -> list[Asked]:
        """The trained networks that no other beats in every objective, the best of the first
        objective first."""
        reached = [(found, n) for n in self.order if (found := self.losses(n)) is not None]
        chosen = [reached[i] for i in front([losses for losses, _ in reached])]
        return [self.asked[number] for _, number in sorted(chosen)]

    def hypervolume(self) -> float | None:
        """The share, 0 to 1, that the front dominates of the box between the best and the worst
        figures so far; None without two different figures of each objective."""
        reached = [found for n in self.order if (found := self.losses(n)) is not None]
        return box_share(reached)


def box_share(points: Sequence[Losses], box: Sequence[Losses] | None = None) -> float | None:
    """The share of the box around points, or around others, that points dominate; None for a flat
    box."""
    around = points if box is None else box
    if not around:
        return None
    low, high = (tuple(map(edge, zip(*around, strict=True))) for edge in (min, max))
    sides = [b - a for a, b in zip(low, high, strict=True)]
    if not all(side > 0 for side in sides):
        return None
    scaled = [
        tuple((x - a) / side for x, a, side in zip(point, low, sides, strict=True))
        for point in points
    ]
    return hypervolume(scaled, (1.0,) * len(low))
