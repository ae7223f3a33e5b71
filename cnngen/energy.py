"""What a stretch of work costs in energy and CO2, and which of the figures were measured.

CodeCarbon reads the machine's counters where there are any, and models the rest. Every
figure comes with its provenance, for the two are not worth the same.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from cnngen.errors import CnnGenError

if TYPE_CHECKING:
    from codecarbon import OfflineEmissionsTracker

Mode = Literal["machine", "process"]
Method = Literal["measured", "modelled", "absent"]
TdpOrigin = Literal["stated", "looked up", "guessed"]

JOULES_PER_KWH = 3.6e6
HEARTBEAT = 60.0
"""Seconds between readings in a long window. RAPL counters of 32 bits start over after
65 kJ, five minutes of a 200 W processor; a turn that nobody read is lost."""

TICKS = 0.2
"""Seconds below which the system's CPU times, counted in ticks of 10 ms, say nothing."""


@dataclass(frozen=True, slots=True)
class Component:
    """How one part's energy was found: by what means, and whether that is a measurement."""

    method: Method
    means: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the figures of an `Energy` come from.

    `mode`: whether modelled figures are for the whole machine or for this process and its
    children; counters such as RAPL and NVML always count the whole part. `tdp` is the power
    (W) that a modelled CPU is taken to draw at full load, `ram_power` (W) the constant for
    memory; None where they played no part. `others_before` and `others_during` are the shares
    of all cores, 0 to 1, that other processes kept busy since the window before and in this
    one; None where the time was too short to tell.
    """

    cpu: Component
    gpu: Component
    ram: Component
    tdp: float | None
    tdp_origin: TdpOrigin | None
    ram_power: float | None
    mode: Mode
    country_stated: bool
    others_before: float | None
    others_during: float | None
    codecarbon: str


@dataclass(frozen=True, slots=True)
class Energy:
    """What one window used. Powers are means over the window.

    Emissions in kg of CO2 equivalent and kg/s, powers in W, energies in kWh, duration in
    seconds. `country_code` is ISO 3166-1 alpha-3; None where the world's average stands in
    for a country that was not stated.
    """

    emissions: float
    emissions_rate: float
    cpu_power: float
    gpu_power: float
    ram_power: float
    cpu_energy: float
    gpu_energy: float
    ram_energy: float
    total_energy: float
    duration: float
    country_name: str
    country_code: str | None
    provenance: Provenance


@dataclass(slots=True)
class Window:
    """A stretch of work being measured. Either `energy` or `cause` is set when it ends."""

    name: str
    energy: Energy | None = None
    cause: str | None = None


class Meter:
    """Measures windows with one CodeCarbon tracker a process; needs no network.

    `country` (ISO 3166-1 alpha-3) decides the CO2 of a kWh; without it the world's average
    does. `tdp` states the CPU's power at full load in W; it replaces counters too. `mode`
    `process` leaves other processes' load out of a modelled CPU: for workers side by side.
    The machine's CodeCarbon configuration files are not read into the figures.

    Raises `CnnGenError` for a country that CodeCarbon does not know or an impossible TDP.

        meter = Meter(country="FRA")
        with meter.window("training") as window:
            train()
        window.energy
    """

    def __init__(
        self, *, country: str | None = None, tdp: float | None = None, mode: Mode = "machine"
    ) -> None:
        if tdp is not None and not 0 < tdp < 100_000:
            raise CnnGenError(
                f"a TDP of {tdp} W is impossible", hint="State watts of the whole CPU: 65, for one."
            )
        self.country = _known_country(country) if country is not None else None
        self.tdp = tdp
        self.mode = mode

    @contextmanager
    def window(self, name: str) -> Iterator[Window]:
        """Measure what runs inside. A failure of measuring is a cause in the window, and no
        exception; windows of one meter do not overlap."""
        window = Window(name)
        instrument = None
        try:
            instrument = _instrument(os.getpid(), self.country, self.tdp, self.mode)
            instrument.start(window)
        except Exception as error:
            window.cause = _cause(error)
        try:
            yield window
        finally:
            if instrument is not None and window.cause is None:
                try:
                    window.energy = instrument.stop()
                except Exception as error:
                    window.cause = _cause(error)


def _cause(error: Exception) -> str:
    # A tracker that has failed once would measure the next window wrongly.
    _instrument.cache_clear()
    return f"CodeCarbon failed: {type(error).__name__}: {error}"


class _Instrument:
    """A tracker that has found its hardware, and what is known about how it measures."""

    def __init__(self, country: str | None, tdp: float | None, mode: Mode) -> None:
        self.tracker = _tracker(country, tdp, mode)
        # The first task probes the hardware and loads tables, for seconds: not in a window.
        self.tracker.start_task("rehearsal")
        if self.tracker.stop_task() is None:
            raise RuntimeError("the tracker did not start")
        self.provenance = _provenance(self.tracker, country, tdp, mode)
        self.others = _OtherLoad()
        self.others_before: float | None = None
        self.in_use = threading.Lock()
        self.ended = threading.Event()
        self.heart = threading.Thread(target=self._beat, daemon=True)
        self.started = 0.0

    def start(self, window: Window) -> None:
        if not self.in_use.acquire(blocking=False):
            window.cause = "another window was open"
            return
        self.others_before = self.others.since_last()
        self.ended.clear()
        self.heart = threading.Thread(target=self._beat, daemon=True)
        self.tracker.start_task(window.name)
        self.started = time.perf_counter()
        self.heart.start()

    def stop(self) -> Energy:
        self.ended.set()
        self.heart.join()
        seconds = time.perf_counter() - self.started
        data = self.tracker.stop_task()
        if data is None:
            raise RuntimeError("the tracker lost the window")
        # It keeps every task for reports that nobody asks for.
        getattr(self.tracker, "_tasks", {}).clear()
        energy = Energy(
            emissions=data.emissions,
            emissions_rate=data.emissions / seconds,
            # Its own powers are running means over all tasks.
            cpu_power=data.cpu_energy * JOULES_PER_KWH / seconds,
            gpu_power=data.gpu_energy * JOULES_PER_KWH / seconds,
            ram_power=data.ram_energy * JOULES_PER_KWH / seconds,
            cpu_energy=data.cpu_energy,
            gpu_energy=data.gpu_energy,
            ram_energy=data.ram_energy,
            total_energy=data.energy_consumed,
            duration=seconds,
            country_name=data.country_name or "World",
            country_code=data.country_iso_code or None,
            provenance=replace(
                self.provenance,
                others_before=self.others_before,
                others_during=self.others.since_last(),
            ),
        )
        self.in_use.release()
        return energy

    def _beat(self) -> None:
        while not self.ended.wait(HEARTBEAT):
            self.tracker.flush()


@cache
def _instrument(process: int, country: str | None, tdp: float | None, mode: Mode) -> _Instrument:
    """The instrument of a process. A fork must not use its parent's."""
    return _Instrument(country, tdp, mode)


def _tracker(country: str | None, tdp: float | None, mode: Mode) -> OfflineEmissionsTracker:
    from codecarbon import OfflineEmissionsTracker

    # It logs through a handler of its own, and already while it is made.
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)
    # What is left out here is read from files in the home and working directory.
    return OfflineEmissionsTracker(
        country_iso_code=country,
        country_2letter_iso_code=None,
        region=None,
        cloud_provider=None,
        cloud_region=None,
        electricitymaps_api_token=None,
        force_carbon_intensity_g_co2e_kwh=None,
        force_cpu_power=tdp,
        force_ram_power=None,
        force_mode_cpu_load=False,
        gpu_ids=None,  # all, or those of CUDA_VISIBLE_DEVICES
        rapl_include_dram=False,
        rapl_prefer_psys=False,
        pue=1.0,
        wue=0.0,
        tracking_mode=mode,
        # With a lock file, a tracker elsewhere on the machine would silence this one.
        allow_multiple_runs=True,
        log_level="critical",
        output_dir=".",
        output_methods=[],
        output_handlers=[],
        emissions_endpoint=None,
        api_call_interval=-1,
    )


CPU_COUNTERS = {
    "intel_rapl": "RAPL counters",
    "windows_emi": "Windows energy meter interface",
    "intel_power_gadget": "Intel Power Gadget",
}


def _provenance(
    tracker: OfflineEmissionsTracker, country: str | None, stated_tdp: float | None, mode: Mode
) -> Provenance:
    """How a tracker finds the energy of each part. CodeCarbon says so only in its log, so
    this reads the parts themselves (version 3.3)."""
    unknown = Component("absent", "CodeCarbon found no way to tell")
    found = {"cpu": unknown, "gpu": Component("absent", "no GPU found"), "ram": unknown}
    tdp: float | None = None
    origin: TdpOrigin | None = None
    ram_power: float | None = None
    for part in tracker._hardware:
        match type(part).__name__:
            case "CPU" if part._mode in CPU_COUNTERS:
                found["cpu"] = Component("measured", CPU_COUNTERS[part._mode])
            case "CPU":
                by_load = part._mode == "cpu_load"
                found["cpu"] = Component("modelled", "TDP x load" if by_load else "half of the TDP")
                tdp = float(part._tdp)
                origin = "stated" if stated_tdp is not None else _tdp_origin()
            case "GPU":
                amd = "AMD" in type(part.devices.devices[0]).__name__
                found["gpu"] = Component("measured", "AMD SMI" if amd else "NVML")
            case "RAM":
                found["ram"] = Component("modelled", "constant for the memory's size")
                ram_power = part.total_power().W
            case "AppleSiliconChip":
                found[part.chip_part.lower()] = Component("measured", "powermetrics")
            case "Raspberry":
                found[part.chip_part.lower()] = Component("measured", "the board's power rails")
    return Provenance(
        **found,
        tdp=tdp,
        tdp_origin=origin,
        ram_power=ram_power,
        mode=mode,
        country_stated=country is not None,
        others_before=None,
        others_during=None,
        codecarbon=version("codecarbon"),
    )


def _tdp_origin() -> TdpOrigin:
    """Whether CodeCarbon has the TDP from its table of CPUs. What it does not find there it
    guesses from the number of threads, and does not say so."""
    from codecarbon.core import cpu
    from codecarbon.core.hardware_cache import get_cached_tdp

    tdp = get_cached_tdp(cpu)  # type: ignore[no-untyped-call]
    known = tdp.model and tdp._get_cpu_power_from_registry(tdp.model)
    return "looked up" if known else "guessed"


class _OtherLoad:
    """Share of all cores that processes other than this one and its children keep busy."""

    def __init__(self) -> None:
        self.last = self._read()

    def since_last(self) -> float | None:
        """The share since the call before, 0 to 1; None where that was too short ago."""
        (then, then_all, then_own), self.last = self.last, self._read()
        now, now_all, now_own = self.last
        if now - then < TICKS:
            return None
        others = (now_all - then_all) - (now_own - then_own)
        return min(1.0, max(0.0, others / ((now - then) * (os.cpu_count() or 1))))

    def _read(self) -> tuple[float, float, float]:
        """The time, busy seconds of all cores, and busy seconds of this process."""
        import psutil  # type: ignore[import-untyped]

        machine = psutil.cpu_times()
        idle = machine.idle + getattr(machine, "iowait", 0.0)
        # Linux counts the time of guests twice.
        twice = getattr(machine, "guest", 0.0) + getattr(machine, "guest_nice", 0.0)
        process = psutil.Process()
        own = sum(process.cpu_times()[:4])
        for child in process.children(recursive=True):
            try:
                own += sum(child.cpu_times()[:4])
            except psutil.Error:
                continue  # it ended, and its time is in its parent's
        return time.perf_counter(), sum(machine) - idle - twice, own


def _known_country(code: str) -> str:
    """A country's code as CodeCarbon has it."""
    from difflib import get_close_matches

    from codecarbon.input import DataSource

    countries = DataSource().get_global_energy_mix_data()  # type: ignore[no-untyped-call]
    if code.upper() in countries:
        return code.upper()
    names = {str(facts["country_name"]).lower(): key for key, facts in countries.items()}
    near = get_close_matches(code.lower(), names, 1)
    meant = f" Did you mean {names[near[0]]}?" if near else ""
    raise CnnGenError(
        f"there is no figure for the country '{code}'",
        hint=f"State three letters of ISO 3166, such as FRA or USA.{meant}",
    )
