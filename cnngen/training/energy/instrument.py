"""Wraps one CodeCarbon tracker per process, and reads load and GPU use at the same moments."""

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
"""Seconds between readings in a long window. 32-bit RAPL counters wrap around after 65 kJ, five
minutes of a 200 W processor, and an unread wrap is lost.
"""

GPU_SAMPLING = 1.0
"""Seconds between queries for the GPU use of processes."""


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """The settings of a tracker."""

    country: str | None
    tdp: float | None
    mode: Mode
    shared: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """The raw values between start and stop: energies in kWh, emissions in kg.

    `before` is the load between the last reading and this one, `during` the load in this one.
    `gpu_share` is this process's share of the use of the GPUs, None if unknown. `cards` is the
    number of NVIDIA GPUs that were read.
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
    cards: int = 0


class BusyError(RuntimeError):
    """Another reading is already open."""


class Instrument:
    """A tracker that has probed the hardware, with the provenance of its figures."""

    def __init__(self, setting: TrackerSettings) -> None:
        self.tracker = _tracker(setting)
        # The first task probes the hardware and loads tables, which takes seconds. Do it
        # outside of any window.
        self.tracker.start_task("rehearsal")
        if self.tracker.stop_task() is None:
            raise RuntimeError("the tracker did not start")
        parts = self.tracker._hardware
        if setting.shared:
            for part in parts:
                # In process mode CodeCarbon assumes at least two memory modules, so several workers
                # would together count more memory than the machine has.
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
        """Start a reading. Raises `BusyError` if one is already open."""
        if not self.in_use.acquire(blocking=False):
            raise BusyError
        return OpenReading(self)


class OpenReading:
    """A reading that has been started and not yet stopped."""

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
        """Stop the reading and return its values. The instrument is free again."""
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
        # CodeCarbon would keep every task in memory.
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
            cards=instrument.gpus.cards if instrument.gpus else 0,
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
    """Return the increase of a counter; None if it wrapped around or could not be read."""
    if before is None or after is None or after < before:
        return None
    return after - before


@cache
def instrument(process: int, setting: TrackerSettings) -> Instrument:
    """Return the instrument of a process. A fork must not use that of its parent."""
    return Instrument(setting)


def discard() -> None:
    """Discard all instruments, as a tracker that failed would measure wrongly from then on."""
    instrument.cache_clear()


def _tracker(setting: TrackerSettings) -> OfflineEmissionsTracker:
    from codecarbon import OfflineEmissionsTracker

    # CodeCarbon installs its own log handler, and logs already when it is created.
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
    with _unconfigured():
        return _stated(OfflineEmissionsTracker, setting)


@contextmanager
def _unconfigured() -> Iterator[None]:
    """Keep CodeCarbon from reading its configuration files and variables, in which a mistake
    would stop it even though all settings are passed.
    """
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
    """Create a tracker, passing all settings that it would otherwise read from files."""
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
        # With its lock file, another tracker on the machine would disable this one.
        allow_multiple_runs=True,
        log_level="critical",
        output_dir=".",
        output_methods=[],
        output_handlers=[],
        emissions_endpoint=None,
        api_call_interval=-1,
    )
