"""NSGA-II (Deb et al., 2002, A fast and elitist multiobjective genetic algorithm), one child at a
time, so that no worker waits for a generation."""

from __future__ import annotations

from random import Random
from typing import ClassVar

from cnngen.network import Network
from cnngen.search.pareto import ranked
from cnngen.search.problem import Candidate, Evaluation, Losses, Problem
from cnngen.search.searcher import SpaceSearcher

POPULATION = 20
CROSSED = 0.5
"""The share of children with two parents; the others have one."""


class Nsga2(SpaceSearcher):
    """Keeps the networks of the first fronts, of the last of them those in the sparsest places, and
    makes children of winners of tournaments between two."""

    name: ClassVar[str] = "nsga2"
    interface: ClassVar[int] = 1

    def __init__(self, problem: Problem, seed: int = 0) -> None:
        super().__init__(problem, seed)
        self.population: list[tuple[Network, Losses]] = []
        """The best first."""

    def propose(self, random: Random) -> Candidate:
        if self.decisions < POPULATION or len(self.population) < 2:
            return self.fresh()

        def winner() -> Network:
            return self.population[min(random.randrange(len(self.population)) for _ in range(2))][0]

        first, second = winner(), winner()
        if random.random() < CROSSED and first.id != second.id:
            return self.crossed(random, first, second)
        return self.mutant(random, first)

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
        losses = self.problem.losses(evaluation)
        if losses is None:
            return
        everyone = [*self.population, (candidate.network, losses)]
        order = ranked([losses for _, losses in everyone])
        self.population = [everyone[i] for i in order[:POPULATION]]
