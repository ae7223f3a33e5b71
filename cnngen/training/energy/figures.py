"""Energy figures of a measured window, and their provenance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Mode = Literal["machine", "process"]
Method = Literal["measured", "modelled", "absent"]
TdpOrigin = Literal["stated", "looked up", "guessed"]
CalibrationMethod = Literal["two readings", "power log", "live source"]

JOULES_PER_KWH = 3.6e6

BY_LOAD = "TDP x load"
"""The means of a CPU modelled from the load of the machine or process."""


@dataclass(frozen=True, slots=True)
class Component:
    """How the energy of one component was found: the method, and the means in words."""

    method: Method
    means: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The provenance of the figures of an `Energy`.

    `mode` says whether modelled figures are for the whole machine or for this process and its
    children; counters such as RAPL and NVML always measure the whole component. `tdp` is the
    power (W) assumed for a modelled CPU at full load, `ram_power` (W) the constant assumed for
    memory; None if not used. `others_before` and `others_during` are the shares of all cores,
    0 to 1, that other processes kept busy since the window before and during this one; None if
    the time was too short to tell.

    `shared` is true if other workers were expected to run at the same time, so that the energy
    is this process's share of the machine's: `cpu_share`, 0 to 1, is its share of the busy CPU
    time and `gpu_share` that of the GPU; None if unknown, when `cpu_share` was used instead.

    For the idle baseline, `idle_seconds` is its duration, `idle_age` the seconds from its end to
    the window, `idle_spread` (W) the standard deviation between its seconds, and `idle_others`
    the share of all cores that other processes kept busy meanwhile. They are None without a
    baseline, the last two also if it was too short to tell.

    Of the calibration behind `calibrated_energy`: `calibration_date` (ISO 8601, UTC), its method,
    the fitted power at rest and what full load of all cores adds (W), and `calibration_error`, the
    standard error of `calibrated_energy` in kWh. They are None without a calibrated energy, the
    last also if two readings told no error.
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
    shared: bool
    cpu_share: float | None
    gpu_share: float | None
    idle_seconds: float | None
    idle_age: float | None
    idle_spread: float | None
    idle_others: float | None
    calibration_date: str | None = None
    calibration_method: CalibrationMethod | None = None
    calibration_idle_power: float | None = None
    calibration_cpu_power: float | None = None
    calibration_error: float | None = None
    codecarbon: str

    @property
    def models_own_cpu(self) -> bool:
        """Whether the CPU's figure is modelled for the load of this process alone."""
        return self.mode == "process" and self.cpu.means == BY_LOAD


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Energy:
    """The energy and emissions of one measured window.

    Emissions are in kg of CO2 equivalent and kg/s, powers in W (means over the window), energies
    in kWh, the duration in seconds. `country_code` is ISO 3166-1 alpha-3; None if no country was
    stated and the world average was used.

    `idle_power` is the total power of the idle machine before the work. `net_energy` is
    `total_energy` less the idle power over the duration; noise may make it negative. Both are
    None without a baseline. `gpu_counter_energy` is `gpu_energy` by NVML's own counter, None if
    there is none. `calibrated_energy` is what a meter at the plug would have counted, by the
    calibration of this machine: for the load of the window, without CodeCarbon. None without a
    calibration.
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
    idle_power: float | None
    net_energy: float | None
    gpu_counter_energy: float | None
    calibrated_energy: float | None = None
    duration: float
    country_name: str
    country_code: str | None
    provenance: Provenance

    def after(self, earlier: Energy) -> Energy:
        """The figures of both windows together; origin and idle power are those of this one."""
        seconds = self.duration + earlier.duration
        emissions = self.emissions + earlier.emissions
        cpu, gpu, ram = (
            getattr(self, name) + getattr(earlier, name)
            for name in ("cpu_energy", "gpu_energy", "ram_energy")
        )
        own, before = self.provenance, earlier.provenance
        calibrated = error = None
        if own.calibration_date == before.calibration_date:
            calibrated = _sum(self.calibrated_energy, earlier.calibrated_energy)
            # Both are by one fit, so their errors are one error.
            error = _sum(own.calibration_error, before.calibration_error)
        if calibrated is None:
            own = without_calibration(own)
        return replace(
            self,
            emissions=emissions,
            emissions_rate=emissions / seconds,
            cpu_power=cpu * JOULES_PER_KWH / seconds,
            gpu_power=gpu * JOULES_PER_KWH / seconds,
            ram_power=ram * JOULES_PER_KWH / seconds,
            cpu_energy=cpu,
            gpu_energy=gpu,
            ram_energy=ram,
            total_energy=cpu + gpu + ram,
            net_energy=_sum(self.net_energy, earlier.net_energy),
            gpu_counter_energy=_sum(self.gpu_counter_energy, earlier.gpu_counter_energy),
            calibrated_energy=calibrated,
            provenance=replace(own, calibration_error=error),
            duration=seconds,
        )

    def __repr__(self) -> str:
        parts = {"CPU": self.cpu_energy, "GPU": self.gpu_energy, "RAM": self.ram_energy}
        shown = ", ".join(f"{name} {energy * 1000:.3g}" for name, energy in parts.items())
        return f"<Energy {self.total_energy * 1000:.3g} Wh ({shown}) in {self.duration:.3g} s>"


def without_calibration(provenance: Provenance) -> Provenance:
    """The provenance of figures of which none is calibrated."""
    return replace(
        provenance,
        calibration_date=None,
        calibration_method=None,
        calibration_idle_power=None,
        calibration_cpu_power=None,
        calibration_error=None,
    )


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
