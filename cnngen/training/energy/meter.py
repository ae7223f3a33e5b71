"""`Meter`: measures the energy of a block of code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from cnngen.errors import CnnGenError
from cnngen.training.energy.apportion import TooShortError, apportion
from cnngen.training.energy.calibrated import calibrated
from cnngen.training.energy.country import known_country
from cnngen.training.energy.figures import JOULES_PER_KWH, Energy, Mode, Provenance
from cnngen.training.energy.idle import Idle, measure_idle
from cnngen.training.energy.instrument import (
    BusyError,
    Instrument,
    OpenReading,
    Reading,
    TrackerSettings,
    discard,
    instrument,
)


@dataclass(slots=True)
class MeasuredWindow:
    """A measured block of code. When it ends, either `energy` or `cause` is set."""

    name: str
    energy: Energy | None = None
    cause: str | None = None


class Meter:
    """Measures the energy of blocks of code with CodeCarbon, without network access.

    If the machine was calibrated (`cnngen energy calibrate`), energies have a calibrated figure.

    `country` (ISO 3166-1 alpha-3) determines the CO2 emissions per kWh, by default the world
    average. `tdp` is the power of the CPU at full load in W; it also replaces counters. With
    `mode="process"`, a modelled CPU leaves out the load of other processes.

    With `idle_seconds` above 0, for a machine that does nothing else, the meter measures the
    idle machine for that time before its first window, and again after `idle_minutes`. With
    `shared`, for several workers on one machine, each gets its share of the machine's energy by
    CPU and GPU time. CodeCarbon's configuration files are not read.

    Raises `CnnGenError` for an unknown country, an impossible TDP or time, and for an idle
    baseline on a shared machine.

        meter = Meter(country="FRA", idle_seconds=5)
        with meter.window("training") as window:
            train()
        window.energy
    """

    def __init__(
        self,
        *,
        country: str | None = None,
        tdp: float | None = None,
        mode: Mode = "machine",
        idle_seconds: float = 0.0,
        idle_minutes: float = 30.0,
        shared: bool = False,
    ) -> None:
        if tdp is not None and not 0 < tdp < 100_000:
            raise CnnGenError(
                f"a TDP of {tdp} W is impossible", hint="State watts of the whole CPU: 65, for one."
            )
        if not 0 <= idle_seconds <= 600 or not idle_minutes > 0:
            raise CnnGenError(
                f"an idle baseline of {idle_seconds} s for {idle_minutes} minutes is impossible",
                hint="Some 5 s serve for half an hour; 0 s leave it out.",
            )
        if shared and idle_seconds:
            raise CnnGenError(
                "an idle baseline cannot be measured on a shared machine",
                hint="Measure one model at a time, or leave the baseline out.",
            )
        self._setting = TrackerSettings(
            known_country(country) if country is not None else None, tdp, mode, shared
        )
        self._idle_seconds = idle_seconds
        self._idle_minutes = idle_minutes
        self._idle: tuple[int, Idle] | None = None

    def __repr__(self) -> str:
        given = {
            "country": self._setting.country,
            "tdp": self._setting.tdp,
            "mode": self._setting.mode,
            "idle_seconds": self._idle_seconds,
            "shared": self._setting.shared,
        }
        return f"Meter({', '.join(f'{name}={value!r}' for name, value in given.items())})"

    @contextmanager
    def window(self, name: str) -> Iterator[MeasuredWindow]:
        """Measure the code in the `with` block.

        If the measurement fails, it raises nothing and sets the window's `cause`. Windows of one
        meter cannot overlap.
        """
        window = MeasuredWindow(name)
        run: OpenReading | None = None
        idle: Idle | None = None
        age = 0.0
        try:
            own = instrument(os.getpid(), self._setting)
            provenance = own.provenance
            idle = self._baseline(own)
            age = idle.age if idle else 0.0
            run = own.start()
        except Exception as error:
            window.cause = _cause(error)
        try:
            yield window
        finally:
            if run is not None:
                try:
                    window.energy = _energy(run.stop(), provenance, idle, age)
                except Exception as error:
                    window.cause = _cause(error)

    def examine(self) -> Provenance:
        """Find out how the energy of each component would be determined on this machine.

        Raises `CnnGenError` if CodeCarbon fails.
        """
        try:
            return instrument(os.getpid(), self._setting).provenance
        except Exception as error:
            raise CnnGenError(f"no energy can be measured: {_cause(error)}") from None

    def measure_idle(self) -> float:
        """Measure the idle machine now, for the following windows, and return its power in W.

        Takes `idle_seconds`, or 5 s if that is 0. Raises `CnnGenError` if the machine is shared
        or cannot be measured.
        """
        if self._setting.shared:
            raise CnnGenError("an idle baseline cannot be measured on a shared machine")
        self._idle_seconds = self._idle_seconds or 5.0
        try:
            return self._take_baseline(instrument(os.getpid(), self._setting)).power
        except Exception as error:
            raise CnnGenError(f"the idle machine cannot be measured: {_cause(error)}") from None

    def _baseline(self, own: Instrument) -> Idle | None:
        """Return the current baseline, measured now if there is none or it is too old."""
        if not self._idle_seconds:
            return None
        if self._idle is not None:
            process, idle = self._idle
            # The meter may have been inherited by a fork.
            if process == os.getpid() and idle.age < self._idle_minutes * 60:
                return idle
        return self._take_baseline(own)

    def _take_baseline(self, own: Instrument) -> Idle:
        idle = measure_idle(own, self._idle_seconds)
        self._idle = (os.getpid(), idle)
        return idle


def _cause(error: Exception) -> str:
    match error:
        case BusyError():
            return "another window was open"
        case TooShortError():
            return "the window was too short to be apportioned"
    discard()
    return f"CodeCarbon failed: {type(error).__name__}: {error}"


def _energy(reading: Reading, provenance: Provenance, idle: Idle | None, idle_age: float) -> Energy:
    """Convert a reading to the paper's metrics, with the net energy if there is a baseline."""
    whole = reading
    provenance = replace(
        provenance,
        others_before=reading.before.others,
        others_during=reading.during.others,
        gpu_share=reading.gpu_share,
    )
    if provenance.shared:
        part = apportion(reading, cpu_is_own=provenance.models_own_cpu)
        reading = part.reading
        provenance = replace(provenance, cpu_share=part.cpu_share, gpu_share=part.reading.gpu_share)
    by_meter = calibrated(whole, provenance)
    if by_meter is not None:
        provenance = by_meter.told_in(provenance)
    if idle is not None:
        provenance = replace(
            provenance,
            idle_seconds=idle.seconds,
            idle_age=idle_age,
            idle_spread=idle.spread,
            idle_others=idle.others,
        )
    seconds = reading.seconds
    total = reading.cpu + reading.gpu + reading.ram
    return Energy(
        emissions=reading.emissions,
        emissions_rate=reading.emissions / seconds,
        # CodeCarbon's own powers are means over all windows so far.
        cpu_power=reading.cpu * JOULES_PER_KWH / seconds,
        gpu_power=reading.gpu * JOULES_PER_KWH / seconds,
        ram_power=reading.ram * JOULES_PER_KWH / seconds,
        cpu_energy=reading.cpu,
        gpu_energy=reading.gpu,
        ram_energy=reading.ram,
        total_energy=total,
        idle_power=idle.power if idle else None,
        net_energy=total - idle.power * seconds / JOULES_PER_KWH if idle else None,
        gpu_counter_energy=reading.gpu_counter,
        calibrated_energy=by_meter.energy if by_meter else None,
        duration=seconds,
        country_name=reading.country_name,
        country_code=reading.country_code,
        provenance=provenance,
    )
