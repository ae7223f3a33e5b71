"""Measures the CPU load of the machine, and the share of this process and its children."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

TICKS = 0.2
"""Intervals shorter than this many seconds are too short for CPU times in ticks of 10 ms."""


@dataclass(frozen=True, slots=True)
class Load:
    """CPU seconds within an interval: of all cores, and of this process tree."""

    seconds: float
    machine: float
    own: float

    @property
    def machine_share(self) -> float | None:
        """Share of all cores that was busy, 0 to 1; None if too short to tell."""
        return self._of_all_cores(self.machine)

    @property
    def own_of_machine(self) -> float | None:
        """Share of all cores that this process tree kept busy; None if too short to tell."""
        return self._of_all_cores(self.own)

    @property
    def others(self) -> float | None:
        """Share of all cores that other processes kept busy, 0 to 1; None if too short to tell."""
        return self._of_all_cores(self.machine - self.own)

    def _of_all_cores(self, busy: float) -> float | None:
        if self.seconds < TICKS:
            return None
        return min(1.0, max(0.0, busy / (self.seconds * (os.cpu_count() or 1))))

    @property
    def own_share(self) -> float | None:
        """This process tree's share of all busy CPU time, 0 to 1; None if that was too short."""
        if self.seconds < TICKS or self.machine <= 0:
            return None
        return min(1.0, max(0.0, self.own / self.machine))


class LoadClock:
    """Measures the load between consecutive calls of `lap`."""

    def __init__(self) -> None:
        self._last = _cpu_times()

    def lap(self) -> Load:
        """Return the load since the last call, or since the clock was created."""
        then, self._last = self._last, _cpu_times()
        return Load(*(now - before for now, before in zip(self._last, then, strict=True)))


def _cpu_times() -> tuple[float, float, float]:
    """Return the time, the busy seconds of all cores and those of this process tree."""
    import psutil  # type: ignore[import-untyped]

    machine = psutil.cpu_times()
    # Stolen time belongs to other guests of the host. Linux counts the time of this machine's
    # own guests twice.
    beside = ("iowait", "steal", "guest", "guest_nice")
    busy = sum(machine) - machine.idle - sum(getattr(machine, name, 0.0) for name in beside)
    process = psutil.Process()
    # The time of a child that ends is added to its parent, so these four sums lose nothing.
    own = sum(process.cpu_times()[:4])
    for child in process.children(recursive=True):
        try:
            own += sum(child.cpu_times()[:4])
        except psutil.Error:
            continue
    return time.perf_counter(), busy, own


def own_processes() -> frozenset[int]:
    """Return the ids of this process and its children."""
    import psutil

    return frozenset(
        {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
    )
