"""Asynchronous successive halving (Li et al., 2020, A system for massively parallel hyperparameter
tuning): many short trainings, longer ones of the best of these."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import ClassVar

from cnngen.search.problem import Candidate, Evaluation, Losses, Problem
from cnngen.search.searcher import SpaceSearcher

REDUCTION = 3
"""Of so many networks one is trained this many times as long."""


class Halving(SpaceSearcher):
    """Trains fresh networks for few epochs, and the best third of each length three times as long.

    The shortest trainings have a ninth of the problem's epochs, at least one. A longer training goes on
    from the shorter one, where the backend can. Judges by the first objective alone.
    """

    name: ClassVar[str] = "halving"
    interface: ClassVar[int] = 1

    def __init__(self, problem: Problem, seed: int = 0) -> None:
        super().__init__(problem, seed)
        lengths = {max(1, problem.epochs // REDUCTION**step) for step in range(3)}
        self.lengths = sorted(lengths)
        self.reached: list[list[tuple[float, Candidate]]] = [[] for _ in self.lengths]
        """Loss and candidate of the trainings of each length."""
        self.promoted: list[set[str]] = [set() for _ in self.lengths]

    def propose(self, random: Random) -> Candidate:
        for rung in reversed(range(len(self.lengths) - 1)):
            reached = sorted(self.reached[rung], key=lambda one: one[0])
            for _, candidate in reached[: len(reached) // REDUCTION]:
                if candidate.network.id not in self.promoted[rung]:
                    return self._longer(candidate, rung + 1)
        fresh = self.fresh()
        return self._at(fresh, 0)

    def resume(self, candidate: Candidate) -> None:
        super().resume(candidate)
        rung = self._rung(candidate)
        if rung:
            self.promoted[rung - 1].add(candidate.network.id)

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
        losses: Losses | None = self.problem.losses(evaluation)
        if losses is not None:
            self.reached[self._rung(candidate)].append((losses[0], candidate))

    def _longer(self, candidate: Candidate, rung: int) -> Candidate:
        self.promoted[rung - 1].add(candidate.network.id)
        longer = Candidate(candidate.network, "longer", (candidate.network.id,))
        return self._at(longer, rung)

    def _at(self, candidate: Candidate, rung: int) -> Candidate:
        epochs = self.lengths[rung]
        return replace(candidate, epochs=None if epochs == self.problem.epochs else epochs)

    def _rung(self, candidate: Candidate) -> int:
        epochs = candidate.epochs or self.problem.epochs
        return self.lengths.index(epochs) if epochs in self.lengths else len(self.lengths) - 1
