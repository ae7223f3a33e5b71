"""Measure the overhead of the energy meter: the same load with and without it.

The load is a stand-in that keeps one core busy. The baseline is the bare load, run twice per
round; the ratio of the two runs shows how much the machine varies by itself. If that exceeds
the overhead of the meter, look at the CPU time spent outside the load.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from cnngen.training.energy import Meter

ROUNDS = {2.0: 9, 10.0: 5}
"""Seconds of load, and the number of rounds."""

WAYS = ("bare", "metered", "bare again")


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds: wall clock, CPU time of the process, and its part outside the load."""

    wall: float
    cpu: float
    beside: float


def main() -> None:
    meter = Meter()
    with meter.window("warm-up"):
        steps = _steps_a_second()
    for seconds, rounds in ROUNDS.items():
        costs: dict[str, list[Cost]] = {way: [] for way in WAYS}
        for round_ in range(rounds):
            for turn in range(len(WAYS)):
                way = WAYS[(round_ + turn) % len(WAYS)]
                window = meter.window("work") if way == "metered" else nullcontext()
                costs[way].append(_cost(window, round(seconds * steps)))
        print(f"{seconds:g} s of work, {rounds} rounds: median (min to max)")
        for name in ("wall", "cpu"):
            bare, metered, again = ([getattr(cost, name) for cost in costs[way]] for way in WAYS)
            print(f"  {name:4} with the meter / without  {_ratios(metered, bare)}")
            print(f"  {name:4} without / without         {_ratios(again, bare)}")
        for way in ("metered", "bare"):
            beside = [cost.beside / cost.cpu * 100 for cost in costs[way]]
            print(f"  CPU time beside the work, {way:8} {_spread(beside, '.3f')} %")


def _cost(window: AbstractContextManager[object], steps: int) -> Cost:
    wall, cpu = time.perf_counter(), time.process_time()
    with window:
        work = time.thread_time()
        for _ in range(steps):
            sum(range(1000))
        work = time.thread_time() - work
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Cost(wall, cpu, cpu - work)


def _steps_a_second() -> float:
    began = time.thread_time()
    for _ in range(100_000):
        sum(range(1000))
    return 100_000 / (time.thread_time() - began)


def _ratios(these: Sequence[float], those: Sequence[float]) -> str:
    pairs = [a / b for a, b in zip(these, those, strict=True)]
    return f"{_spread(pairs, '.4f')}, of the quickest {min(these) / min(those):.4f}"


def _spread(figures: Sequence[float], form: str) -> str:
    low, middle, high = min(figures), statistics.median(figures), max(figures)
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


if __name__ == "__main__":
    main()
