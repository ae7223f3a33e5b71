"""Searches on a benchmark, with a clock that runs as fast as the answers come."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from cnngen.search.benchmark.benchmark import Answer, Benchmark
from cnngen.search.problem import Candidate
from cnngen.search.searcher import Searcher


@dataclass(frozen=True, slots=True)
class SimulatedTraining:
    """A simulated training: what was asked for, what came of it, and when it began and ended, in
    simulated seconds since the search began."""

    candidate: Candidate
    answer: Answer
    began: float
    ended: float


def simulate(
    searcher: Searcher, benchmark: Benchmark, *, count: int, workers: int = 1, seed: int = 0
) -> list[SimulatedTraining]:
    """Let a method ask `count` times and tell it what the benchmark answers; return the trainings in
    the order in which they end.

    Each of the workers trains one network at a time, for as long as the answer says, so that a
    method decides without knowing what comes of those under way. `seed` is that of the trainings.
    Raises what the method and the benchmark raise.
    """
    steps: list[SimulatedTraining] = []
    under_way: list[tuple[float, int, SimulatedTraining]] = []
    now = 0.0
    for number in range(count):
        if len(under_way) == workers:
            now = _end_first(under_way, searcher, steps)
        candidate = searcher.ask()
        answer = benchmark.query(candidate.network, epochs=candidate.epochs, seed=seed)
        step = SimulatedTraining(candidate, answer, now, now + answer.seconds)
        heapq.heappush(under_way, (step.ended, number, step))
    while under_way:
        _end_first(under_way, searcher, steps)
    return steps


def _end_first(
    under_way: list[tuple[float, int, SimulatedTraining]],
    searcher: Searcher,
    steps: list[SimulatedTraining],
) -> float:
    """End the training that ends next, and return when."""
    ended, _, step = heapq.heappop(under_way)
    searcher.tell(step.candidate, step.answer.evaluation(step.candidate.network))
    steps.append(step)
    return ended
