"""Measures the power of the idle machine, the baseline for net energy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from cnngen.training.energy.figures import JOULES_PER_KWH
from cnngen.training.energy.instrument import Instrument, Reading
from cnngen.training.energy.load import Load


@dataclass(frozen=True, slots=True)
class Idle:
    """An idle baseline: mean power in W, and the standard deviation between its seconds.

    `others` is the share of all cores that other processes kept busy meanwhile. `spread` is
    None for a single second. `ended` is in seconds of `time.monotonic()`.
    """

    power: float
    spread: float | None
    seconds: float
    others: float | None
    ended: float

    @property
    def age(self) -> float:
        """Return the seconds since it was measured."""
        return time.monotonic() - self.ended


def measure_idle(instrument: Instrument, seconds: float) -> Idle:
    """Sleep for some seconds and measure the power, in slices of about one second."""
    slices = max(1, round(seconds))
    readings = []
    for _ in range(slices):
        run = instrument.start()
        try:
            time.sleep(seconds / slices)
        finally:
            reading = run.stop()
        readings.append(reading)
    return _summary(readings)


def _summary(readings: Sequence[Reading]) -> Idle:
    seconds = sum(reading.seconds for reading in readings)
    joules = [(r.cpu + r.gpu + r.ram) * JOULES_PER_KWH for r in readings]
    powers = [part / r.seconds for part, r in zip(joules, readings, strict=True)]
    loads = [reading.during for reading in readings]
    load = Load(*(sum(getattr(one, name) for one in loads) for name in Load.__slots__))
    return Idle(
        power=sum(joules) / seconds,
        spread=statistics.stdev(powers) if len(powers) > 1 else None,
        seconds=seconds,
        others=load.others,
        ended=time.monotonic(),
    )
