"""The figures of a window, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["machine", "process"]
Method = Literal["measured", "modelled", "absent"]
TdpOrigin = Literal["stated", "looked up", "guessed"]

JOULES_PER_KWH = 3.6e6


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

    `shared`: whether other workers were expected beside this one, and the energy is this
    process's part of the machine's: `cpu_share`, 0 to 1, is its part of the busy CPU time and
    `gpu_share` of the GPU's, None where nothing tells it and `cpu_share` stood in.

    Of the idle baseline: `idle_seconds` that it lasted, `idle_age` in seconds from its end to
    the window, `idle_spread` (W), the standard deviation between its seconds, and
    `idle_others`, the share of all cores that other processes kept busy meanwhile. None
    without a baseline; the last two also where it was too short to tell.
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
    codecarbon: str


@dataclass(frozen=True, slots=True, repr=False)
class Energy:
    """What one window used. Powers are means over the window.

    Emissions in kg of CO2 equivalent and kg/s, powers in W, energies in kWh, duration in
    seconds. `country_code` is ISO 3166-1 alpha-3; None where the world's average stands in
    for a country that was not stated.

    `idle_power` is what the parts drew together before the work, and `net_energy` is
    `total_energy` less that power over the duration; it may fall below zero by noise. None
    where no baseline was taken. `gpu_counter_energy` is `gpu_energy` by NVML's own counter,
    None where there is none.
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
    duration: float
    country_name: str
    country_code: str | None
    provenance: Provenance

    def __repr__(self) -> str:
        parts = {"CPU": self.cpu_energy, "GPU": self.gpu_energy, "RAM": self.ram_energy}
        shown = ", ".join(f"{name} {energy * 1000:.3g}" for name, energy in parts.items())
        return f"<Energy {self.total_energy * 1000:.3g} Wh ({shown}) in {self.duration:.3g} s>"
