"""What one question of the page may take, in characters, seconds and bytes."""

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

    `characters` of a text, `drawn` boxes of a diagram. `seconds` to check, sample or draw,
    `reading_seconds` to read a folder of runs, `training_seconds` to train; `memory` in bytes
    is that of each worker process, its framework included.
    """

    characters: int = 200_000
    drawn: int = 4_000
    points: int = 20_000
    seconds: float = 10.0
    reading_seconds: float = 120.0
    training_seconds: float = 300.0
    memory: int = 4 * 2**30


def within(seconds: float, memory: int, fn: Callable[[], T]) -> T:
    """Call a function in this process, which ends if that takes more than `seconds`, and from
    now on gets no more than `memory` bytes. Made for worker processes.

    What asks for more memory fails with a `MemoryError`.
    """
    limit_memory(memory)
    with time_limit(seconds):
        return fn()


def was_late(death: WorkerDied) -> bool:
    """Whether a worker ended because its time was over."""
    return death.cause.endswith("SIGALRM")
