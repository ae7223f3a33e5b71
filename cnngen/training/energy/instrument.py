"""One CodeCarbon tracker a process, and what is read beside it in the same moments."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from cnngen.training.energy.figures import Mode
from cnngen.training.energy.gpu import GpuShare, nvidia_gpus
from cnngen.training.energy.load import Load, LoadClock, own_processes
from cnngen.training.energy.provenance import provenance_of

if TYPE_CHECKING:
    from codecarbon import OfflineEmissionsTracker

HEARTBEAT = 60.0
"""Seconds between readings in a long window. RAPL counters of 32 bits start over after
65 kJ, five minutes of a 200 W processor; a turn that nobody read is lost."""

GPU_SAMPLING = 1.0
"""Seconds between questions which process used the GPU."""


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """What decides how a tracker measures."""

    country: str | None
    tdp: float | None
    mode: Mode
    shared: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read between start and stop: energies in kWh, emissions in kg.

    `before` is the load between the reading before and this one, `during` that in it.
    `gpu_share` is this process's share of the use of the GPUs, None where it is not known.
    """

    seconds: float
    cpu: float
    gpu: float
    ram: float
    emissions: float
    gpu_counter: float | None
    gpu_share: float | None
    before: Load
    during: Load
    country_name: str
    country_code: str | None


class BusyError(RuntimeError):
    """A reading is going on already."""


class Instrument:
    """A tracker that has found its hardware, and what is known about how it measures."""

    def __init__(self, setting: TrackerSettings) -> None:
        self.tracker = _tracker(setting)
        # The first task probes the hardware and loads tables, for seconds: not in a window.
        self.tracker.start_task("rehearsal")
        if self.tracker.stop_task() is None:
            raise RuntimeError("the tracker did not start")
        parts = self.tracker._hardware
        if setting.shared:
            for part in parts:
                # For a process it takes two modules of memory at least, so that the workers
                # of a machine would have more memory together than the machine.
                if type(part).__name__ == "RAM":
                    part._tracking_mode = "machine"
        self.provenance = provenance_of(
            self.tracker,
            country=setting.country,
            tdp=setting.tdp,
            mode=setting.mode,
            shared=setting.shared,
        )
        self.gpus = nvidia_gpus(parts)
        self.clock = LoadClock()
        self.shared = setting.shared
        self.in_use = threading.Lock()

    def start(self) -> OpenReading:
        """Begin a reading. Raises `BusyError` where one is going on."""
        if not self.in_use.acquire(blocking=False):
            raise BusyError
        return OpenReading(self)


class OpenReading:
    """A reading that is going on."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._before = instrument.clock.lap()
        gpus = instrument.gpus
        self._gpu_share = GpuShare(gpus, own_processes) if gpus and instrument.shared else None
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)
        instrument.tracker.start_task("window")
        self._counter = gpus.energy() if gpus else None
        self._started = time.perf_counter()
        self._heart.start()

    def stop(self) -> Reading:
        """End it; the instrument is free again."""
        self._ended.set()
        self._heart.join()
        seconds = time.perf_counter() - self._started
        instrument = self._instrument
        counter = instrument.gpus.energy() if instrument.gpus else None
        data = instrument.tracker.stop_task()
        if data is None:
            raise RuntimeError("the tracker lost the window")
        if self._gpu_share:
            self._gpu_share.poll()
        # It keeps every task for reports that nobody asks for.
        getattr(instrument.tracker, "_tasks", {}).clear()
        reading = Reading(
            seconds=seconds,
            cpu=data.cpu_energy,
            gpu=data.gpu_energy,
            ram=data.ram_energy,
            emissions=data.emissions,
            gpu_counter=_counted(self._counter, counter),
            gpu_share=self._gpu_share.share if self._gpu_share else None,
            before=self._before,
            during=instrument.clock.lap(),
            country_name=data.country_name or "World",
            country_code=data.country_iso_code or None,
        )
        instrument.in_use.release()
        return reading

    def _beat(self) -> None:
        period = min(HEARTBEAT, GPU_SAMPLING) if self._gpu_share else HEARTBEAT
        while not self._ended.wait(period):
            self._instrument.tracker.flush()
            if self._gpu_share:
                self._gpu_share.poll()


def _counted(before: float | None, after: float | None) -> float | None:
    """What a counter ran through; None where it started over or could not be read."""
    if before is None or after is None or after < before:
        return None
    return after - before


@cache
def instrument(process: int, setting: TrackerSettings) -> Instrument:
    """The instrument of a process. A fork must not use its parent's."""
    return Instrument(setting)


def discard() -> None:
    """Make new instruments from here on: a tracker that failed would measure wrongly."""
    instrument.cache_clear()


def _tracker(setting: TrackerSettings) -> OfflineEmissionsTracker:
    from codecarbon import OfflineEmissionsTracker

    # It logs through a handler of its own, and already while it is made.
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
    with _unconfigured():
        return _stated(OfflineEmissionsTracker, setting)


@contextmanager
def _unconfigured() -> Iterator[None]:
    """CodeCarbon reads none of its files in the home and working folder, nor its variables:
    even where all is stated, what is broken in them would stop it."""
    from codecarbon import emissions_tracker

    name = "get_hierarchical_config"
    read = getattr(emissions_tracker, name, None)
    setattr(emissions_tracker, name, dict)
    try:
        yield
    finally:
        setattr(emissions_tracker, name, read)


def _stated(
    kind: type[OfflineEmissionsTracker], setting: TrackerSettings
) -> OfflineEmissionsTracker:
    """A tracker with all that it could read elsewhere."""
    return kind(
        country_iso_code=setting.country,
        country_2letter_iso_code=None,
        region=None,
        cloud_provider=None,
        cloud_region=None,
        electricitymaps_api_token=None,
        force_carbon_intensity_g_co2e_kwh=None,
        force_cpu_power=setting.tdp,
        force_ram_power=None,
        force_mode_cpu_load=False,
        gpu_ids=None,  # all, or those of CUDA_VISIBLE_DEVICES
        rapl_include_dram=False,
        rapl_prefer_psys=False,
        pue=1.0,
        wue=0.0,
        tracking_mode=setting.mode,
        # With a lock file, a tracker elsewhere on the machine would silence this one.
        allow_multiple_runs=True,
        log_level="critical",
        output_dir=".",
        output_methods=[],
        output_handlers=[],
        emissions_endpoint=None,
        api_call_interval=-1,
    )
