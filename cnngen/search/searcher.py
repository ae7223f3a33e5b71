"""The base classes of search methods: they are asked for networks and told what came of them."""

from __future__ import annotations

import hashlib
import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from random import Random
from typing import ClassVar, Protocol

from cnngen.errors import SpaceError
from cnngen.network import Network
from cnngen.search.problem import Candidate, Evaluation, Problem
from cnngen.space.sampling import MAX_REPEATS, Draw, ExhaustedError, draws, sample
from cnngen.space.variation import OPERATORS, cross, inside, vary
from cnngen.system.ranges import MAX_SEED

INTERFACE = 1
"""The version of `Searcher`, which a searcher states as its `interface`."""

OPERATORS_OF_ONE = tuple(name for name in OPERATORS if name != "cross")

TRIES = 20
"""Children that are made until one is new; then a network is drawn from the space."""


class Searcher(ABC):
    """A search method, which decides what is trained next.

    An installed package offers one in the entry-point group `cnngen.searchers`. It is made
    with a problem and a seed, and decides by these and by what it was told alone: equal
    arguments and calls give equal decisions, in every process. Use no other randomness, clock
    or file.
    """

    name: ClassVar[str]
    """The name by which users choose the method."""

    interface: ClassVar[int]
    """The version of this class that the method was written for: 1."""

    def __init__(self, problem: Problem, seed: int = 0) -> None:
        self.problem = problem
        self.seed = seed

    @abstractmethod
    def ask(self) -> Candidate:
        """Decide what is trained next.

        It may be called again before it is told what came of earlier candidates: as often as
        there are workers. Raises `ExhaustedError` of `cnngen.space.sampling` where there is
        nothing new to train.
        """

    @abstractmethod
    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """Take note of an evaluation, in whatever order they come.

        Failures are told as such. The candidate equals one that was asked for; it need not be
        the same object. Evaluations of networks that were not asked for may be told, too.
        """

    def resume(self, candidate: Candidate) -> None:
        """Take note of a decision that an earlier process made at this point.

        A search that goes on calls this in place of `ask` for each decision of its journal.
        By default the method is asked again, which must lead to the same state.
        """
        self.ask()


class Offspring(Protocol):
    """A network that an operator made of others, such as a `cnngen.space.variation.Variant`."""

    @property
    def network(self) -> Network: ...

    @property
    def operator(self) -> str: ...

    @property
    def reopened(self) -> tuple[str, ...]: ...


class SpaceSearcher(Searcher):
    """A base for methods: it begins with the problem's starting points and never asks for a
    network twice. A subclass says what comes then in `propose`."""

    def __init__(self, problem: Problem, seed: int = 0) -> None:
        super().__init__(problem, seed)
        self.operators: tuple[str, ...] = OPERATORS_OF_ONE
        """What `mutant` draws from, each as likely."""
        self.asked: set[str] = set()
        """The ids of all networks so far."""
        self.decisions = 0
        self._next: Draw | None = None
        self._starts = deque(problem.starts)
        self._draws = draws(
            sys.maxsize,
            problem.space,
            input_shape=problem.input_shape,
            classes=problem.classes,
            seed=seed,
            bounds=problem.bounds,
        )

    @abstractmethod
    def propose(self, random: Random) -> Candidate:
        """Decide what is trained next, with random numbers that are this decision's own."""

    def ask(self) -> Candidate:
        while self._starts:
            start = self._starts.popleft()
            if start.id not in self.asked:
                return self._noted(Candidate(start, "start"))
        return self._noted(self.propose(Random(decision_seed(self.seed, self.decisions))))

    def resume(self, candidate: Candidate) -> None:
        match candidate.operator:
            case "start":
                while self._starts and self._starts.popleft().id != candidate.network.id:
                    pass
            case "sample" if self._peek().network.id == candidate.network.id:
                self.fresh()
        self._noted(candidate)

    def fresh(self) -> Candidate:
        """The next network of `cnngen.sample_many` that was not asked for yet.

        Raises `SpaceError` where nothing in the space meets the bounds, `ExhaustedError` where
        nothing is left.
        """
        draw = self._peek()
        self._next = None
        return Candidate(draw.network, "sample", seed=draw.seed)

    def drawn(self, random: Random) -> Candidate:
        """A network of the space that was not asked for yet, drawn with a decision's own numbers.

        Unlike `fresh` it leaves no trace, so that a method may draw many and ask for one. Raises as
        `fresh` does.
        """
        problem = self.problem
        for _ in range(MAX_REPEATS):
            seed = random.randrange(MAX_SEED + 1)
            network = sample(
                problem.space,
                input_shape=problem.input_shape,
                classes=problem.classes,
                seed=seed,
                bounds=problem.bounds,
            )
            if network.id not in self.asked:
                return Candidate(network, "sample", seed=seed)
        raise ExhaustedError(problem.space.name, len(self.asked), MAX_REPEATS)

    def _peek(self) -> Draw:
        """The network that `fresh` gives next."""
        while self._next is None or self._next.network.id in self.asked:
            self._next = next(self._draws)
        return self._next

    def child(
        self, random: Random, make: Callable[[int], Offspring], *parents: Network
    ) -> Candidate:
        """A child that was not asked for yet; a network as of `drawn` where `TRIES` give none.

        `make` makes a child of the `parents` with a seed.
        """
        for _ in range(TRIES):
            seed = random.randrange(MAX_SEED + 1)
            try:
                variant = make(seed)
            except SpaceError:  # no child meets the bounds
                break
            if variant.network.id not in self.asked:
                ids = tuple(parent.id for parent in parents)
                return Candidate(
                    variant.network, variant.operator, ids, seed, reopened=variant.reopened
                )
        return self.drawn(random)

    def mutant(self, random: Random, parent: Network) -> Candidate:
        """A child of one network, as `cnngen.space.variation.vary` makes it.

        A starting point outside the space has none: then a network is drawn.
        """
        space, bounds = self.problem.space, self.problem.bounds
        if inside(parent, space) is not None:
            return self.drawn(random)
        return self.child(
            random,
            lambda seed: vary(parent, space, seed=seed, operators=self.operators, bounds=bounds),
            parent,
        )

    def crossed(self, random: Random, first: Network, second: Network) -> Candidate:
        """A child of two networks, as `cnngen.space.variation.cross` makes it; see `mutant`."""
        space, bounds = self.problem.space, self.problem.bounds
        if inside(first, space) is not None or inside(second, space) is not None:
            return self.drawn(random)
        return self.child(
            random,
            lambda seed: cross(first, second, space, seed=seed, bounds=bounds),
            first,
            second,
        )

    def _noted(self, candidate: Candidate) -> Candidate:
        self.asked.add(candidate.network.id)
        self.decisions += 1
        return candidate


def decision_seed(seed: int, number: int) -> int:
    """An independent, reproducible seed for each decision of a search."""
    digest = hashlib.sha256(f"decision {seed} {number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % (MAX_SEED + 1)
