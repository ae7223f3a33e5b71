"""The limits of one request, in characters, seconds and bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from cnngen.runs.campaign import WorkerDied
from cnngen.system.machine import limit_memory, time_limit

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a studio.

    `characters` limits a text, `drawn` the boxes of a diagram. `seconds` is the time to check,
    sample or draw, `reading_seconds` to read a folder of runs, `training_seconds` to train.
    `memory` is in bytes for each worker process, including its framework.
    """

    characters: int = 200_000
    drawn: int = 4_000
    points: int = 20_000
    seconds: float = 10.0
    reading_seconds: float = 120.0
    training_seconds: float = 300.0
    memory: int = 4 * 2**30


def within(seconds: float, memory: int, fn: Callable[[], T]) -> T:
    """Call a function in this worker process with limits on time and memory.

    The process is killed if the call takes more than `seconds`. From now on it gets at most
    `memory` bytes; beyond, allocations raise `MemoryError`.
    """
    limit_memory(memory)
    with time_limit(seconds):
        return fn()


def was_late(death: WorkerDied) -> bool:
    """Return whether a worker was ended by its time limit."""
    return death.cause.endswith("SIGALRM")
