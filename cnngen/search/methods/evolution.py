"""Regularised evolution (Real et al., 2019, Regularized evolution for image classifier
architecture search): the oldest die, whatever they are worth."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import ClassVar

from cnngen.network import Network
from cnngen.search.pareto import ranked
from cnngen.search.problem import Candidate, Evaluation, Losses, Problem
from cnngen.search.searcher import SpaceSearcher

POPULATION = 20
TOURNAMENT = 5
"""The authors' 100 and 25 for 20,000 models, made smaller for hundreds."""


class Evolution(SpaceSearcher):
    """Mutates the best of a few networks drawn from the youngest.

    With several objectives the best is that of the first front in the sparsest place. Failures do
    not enter the population.
    """

    name: ClassVar[str] = "evolution"
    interface: ClassVar[int] = 1

    def __init__(self, problem: Problem, seed: int = 0) -> None:
        super().__init__(problem, seed)
        self.population: deque[tuple[Network, Losses]] = deque(maxlen=POPULATION)

    def propose(self, random: Random) -> Candidate:
        if self.decisions < POPULATION or not self.population:
            return self.fresh()
        drawn = random.sample(self.population, min(TOURNAMENT, len(self.population)))
        parent, _ = drawn[ranked([losses for _, losses in drawn])[0]]
        return self.mutant(random, parent)

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
        losses = self.problem.losses(evaluation)
        if losses is not None:
            self.population.append((candidate.network, losses))
