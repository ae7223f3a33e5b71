"""What one question of the page may take, in characters, seconds and bytes."""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from cnngen.runs.campaign import WorkerDied

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

    What asks for more memory fails with a `MemoryError`. The limit is on what the process
    writes to (RLIMIT_DATA): the address space of a framework with its libraries is many times
    larger and says little. Linux alone enforces it.
    """
    if sys.platform == "linux":
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        limit = memory if most == resource.RLIM_INFINITY else min(memory, most)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    # Nobody catches the alarm, so it ends whatever runs, Python or not.
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return fn()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def was_late(death: WorkerDied) -> bool:
    """Whether a worker ended because its time was over."""
    return death.cause.endswith("SIGALRM")
