"""Finds out how a CodeCarbon tracker determines the energy of each component."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

from cnngen.training.energy.figures import BY_LOAD, Component, Mode, Provenance, TdpOrigin

if TYPE_CHECKING:
    from codecarbon import OfflineEmissionsTracker

CPU_COUNTERS = {
    "intel_rapl": "RAPL counters",
    "windows_emi": "Windows energy meter interface",
    "intel_power_gadget": "Intel Power Gadget",
}


def provenance_of(
    tracker: OfflineEmissionsTracker,
    *,
    country: str | None,
    tdp: float | None,
    mode: Mode,
    shared: bool,
) -> Provenance:
    """Return the provenance of a tracker's figures, as far as it is the same for every window.

    CodeCarbon reports its methods only in its log, so this inspects its hardware objects
    (version 3.3). `country` and `tdp` are those that the user stated.
    """
    unknown = Component("absent", "CodeCarbon found no way to tell")
    found = {"cpu": unknown, "gpu": Component("absent", "no GPU found"), "ram": unknown}
    taken: float | None = None
    origin: TdpOrigin | None = None
    ram_power: float | None = None
    for part in tracker._hardware:
        match type(part).__name__:
            case "CPU" if part._mode in CPU_COUNTERS:
                found["cpu"] = Component("measured", CPU_COUNTERS[part._mode])
            case "CPU":
                by_load = part._mode == "cpu_load"
                found["cpu"] = Component("modelled", BY_LOAD if by_load else "half of the TDP")
                taken = float(part._tdp)
                origin = "stated" if tdp is not None else _tdp_origin()
            case "GPU":
                found["gpu"] = Component("measured", _gpu_means(part.devices.devices))
            case "RAM":
                found["ram"] = Component("modelled", "constant for the memory's size")
                ram_power = part.total_power().W
            case "AppleSiliconChip":
                found[part.chip_part.lower()] = Component("measured", "powermetrics")
            case "Raspberry":
                found[part.chip_part.lower()] = Component("measured", "the board's power rails")
    return Provenance(
        cpu=found["cpu"],
        gpu=found["gpu"],
        ram=found["ram"],
        tdp=taken,
        tdp_origin=origin,
        ram_power=ram_power,
        mode=mode,
        country_stated=country is not None,
        others_before=None,
        others_during=None,
        shared=shared,
        cpu_share=None,
        gpu_share=None,
        idle_seconds=None,
        idle_age=None,
        idle_spread=None,
        idle_others=None,
        codecarbon=version("codecarbon"),
    )


def _gpu_means(devices: Sequence[object]) -> str:
    source = "AMD SMI" if "AMD" in type(devices[0]).__name__ else "NVML"
    sampled = any(getattr(device, "_use_power_fallback", False) for device in devices)
    return f"{source}, power sampled each second" if sampled else source


def _tdp_origin() -> TdpOrigin:
    """Return whether CodeCarbon found the TDP in its table of CPUs. Otherwise it guesses from the
    number of threads, without saying so.
    """
    from codecarbon.core import cpu
    from codecarbon.core.hardware_cache import get_cached_tdp

    tdp = get_cached_tdp(cpu)  # type: ignore[no-untyped-call]
    known = tdp.model and tdp._get_cpu_power_from_registry(tdp.model)
    return "looked up" if known else "guessed"
