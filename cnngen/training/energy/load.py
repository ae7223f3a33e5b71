"""How busy the machine is, and how much of that is this process and its children."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

TICKS = 0.2
"""Seconds below which the system's CPU times, counted in ticks of 10 ms, say nothing."""


@dataclass(frozen=True, slots=True)
class Load:
    """CPU seconds within a stretch of time: of all cores, and of this process's tree."""

    seconds: float
    machine: float
    own: float

    @property
    def others(self) -> float | None:
        """Share of all cores that other processes kept busy, 0 to 1; None if too short."""
        if self.seconds < TICKS:
            return None
        share = (self.machine - self.own) / (self.seconds * (os.cpu_count() or 1))
        return min(1.0, max(0.0, share))

    @property
    def own_share(self) -> float | None:
        """This process's share of all busy CPU time, 0 to 1; None if there was too little."""
        if self.seconds < TICKS or self.machine <= 0:
            return None
        return min(1.0, max(0.0, self.own / self.machine))


class LoadClock:
    """Tells the load since it was asked before."""

    def __init__(self) -> None:
        self._last = _cpu_times()

    def lap(self) -> Load:
        """The load since the lap before, or since the clock was made."""
        then, self._last = self._last, _cpu_times()
        return Load(*(now - before for now, before in zip(self._last, then, strict=True)))


def _cpu_times() -> tuple[float, float, float]:
    """The time, busy seconds of all cores, and busy seconds of this process's tree."""
    import psutil  # type: ignore[import-untyped]

    machine = psutil.cpu_times()
    # Time stolen by other guests of the host is no work of this machine; that of its own
    # guests Linux counts twice.
    beside = ("iowait", "steal", "guest", "guest_nice")
    busy = sum(machine) - machine.idle - sum(getattr(machine, name, 0.0) for name in beside)
    process = psutil.Process()
    # A child's time passes to its parent when it ends: those four sums lose nothing.
    own = sum(process.cpu_times()[:4])
    for child in process.children(recursive=True):
        try:
            own += sum(child.cpu_times()[:4])
        except psutil.Error:
            continue
    return time.perf_counter(), busy, own


def own_processes() -> frozenset[int]:
    """The ids of this process and its children."""
    import psutil

    return frozenset(
        {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
    )
