"""Random search: the baseline of every other method."""

from __future__ import annotations

from random import Random
from typing import ClassVar

from cnngen.search.problem import Candidate, Evaluation
from cnngen.search.searcher import SpaceSearcher


class RandomSearch(SpaceSearcher):
    """Trains the networks of `cnngen.sample_many` with the same seed, whatever comes of them."""

    name: ClassVar[str] = "random"
    interface: ClassVar[int] = 1

    def propose(self, random: Random) -> Candidate:
        return self.fresh()

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """Nothing: what came of a network decides nothing."""
