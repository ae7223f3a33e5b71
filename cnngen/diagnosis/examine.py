"""Finds out what a machine can run and measure."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from cnngen.backend import backend_names, get_backend
from cnngen.backend.mode_process import Mode, ModeError, ModeProcess
from cnngen.diagnosis.counters import nvml, rapl
from cnngen.diagnosis.finding import Finding
from cnngen.errors import CnnGenError
from cnngen.system.machine import usable_cores
from cnngen.training.data import dataset_files, known_datasets
from cnngen.training.energy import Meter, Provenance
from cnngen.training.energy.calibration import read_calibration, watts_text

GIB = 2**30
LOW_MEMORY = 2.0
"""GiB below which trainings may not fit."""
LOW_DISK = 5.0
"""GiB below which folders of runs or downloads may not fit."""
BUSY = 0.05
"""Share of all cores kept busy by others from which modelled energies are of them, too."""
UNSTEADY = 0.1
"""Standard deviation of the idle power's seconds, as a share of it, from which it says little."""


def diagnose(
    *,
    country: str | None = None,
    tdp: float | None = None,
    idle_seconds: float = 5.0,
    on_topic: Callable[[str], None] | None = None,
) -> list[Finding]:
    """Find out what this machine can run and measure, and what limits the trust in its figures.

    `country` and `tdp` are as for `Meter`. The idle machine is measured for `idle_seconds`;
    0 leaves it out. Each framework is loaded in a process of its own, one after another.
    `on_topic` is told what is examined next. Raises `CnnGenError` for an unknown country or an
    impossible TDP or time.
    """
    meter = Meter(country=country, tdp=tdp, idle_seconds=idle_seconds)
    steps: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("machine", _machine),
        ("memory and disk", _room),
        ("counters", lambda: (rapl(), *nvml())),
        ("energy", lambda: _energy(meter, idle_seconds)),
        *((f"framework {name}", _framework(name)) for name in backend_names()),
        ("data sets", _data),
    ]
    findings: list[Finding] = []
    for topic, examine in steps:
        if on_topic is not None:
            on_topic(topic)
        findings += examine()
    return findings


def _machine() -> Iterator[Finding]:
    cores = usable_cores()
    there = os.cpu_count() or cores
    some = f"{cores} of {there} cores" if cores < there else f"{cores} cores"
    yield Finding(
        "machine",
        f"{platform.system()} {platform.release()}, {platform.machine()}, {some}, "
        f"Python {platform.python_version()}",
        figures={"cores": cores},
    )


def _room() -> Iterator[Finding]:
    import psutil  # type: ignore[import-untyped]

    memory = psutil.virtual_memory()
    free, total = memory.available / GIB, memory.total / GIB
    yield Finding(
        "memory",
        f"{free:.1f} of {total:.1f} GiB free",
        "good" if free >= LOW_MEMORY else "limited",
        None
        if free >= LOW_MEMORY
        else "Large networks will run out of memory: end other programs.",
        {"free_gib": free, "total_gib": total},
    )
    places = {"this folder": Path.cwd(), "temporary files": Path(tempfile.gettempdir())}
    for name, path in places.items():
        free = shutil.disk_usage(path).free / GIB
        yield Finding(
            "disk",
            f"{free:.1f} GiB free for {name} ({path})",
            "good" if free >= LOW_DISK else "limited",
            None if free >= LOW_DISK else "Folders of runs may not fit: free some space.",
            {"free_gib": free},
        )


def _energy(meter: Meter, idle_seconds: float) -> Iterator[Finding]:
    try:
        provenance = meter.examine()
    except CnnGenError as error:
        yield Finding("energy", error.message, "limited", error.hint)
        return
    yield from _components(provenance)
    yield _calibrated()
    if not provenance.country_stated:
        yield Finding(
            "emissions",
            "CO2 per kWh is the world average",
            "limited",
            "State where the machine is: --country FRA, for one.",
        )
    if idle_seconds:
        yield from _idle(meter)


def _components(provenance: Provenance) -> Iterator[Finding]:
    for name, part in (
        ("CPU energy", provenance.cpu),
        ("GPU energy", provenance.gpu),
        ("RAM energy", provenance.ram),
    ):
        if part.method == "absent":
            yield Finding(name, part.means, "missing")
            continue
        level = "good" if part.method == "measured" else "limited"
        yield Finding(name, f"{part.method}: {part.means}", level)  # type: ignore[arg-type]
    if provenance.tdp is not None:
        yield Finding(
            "CPU power",
            f"{provenance.tdp:g} W at full load, {provenance.tdp_origin}",
            "limited" if provenance.tdp_origin == "guessed" else "good",
            "State the processor's TDP: --tdp 65, for one."
            if provenance.tdp_origin == "guessed"
            else None,
            {"tdp_watts": provenance.tdp},
        )


def _calibrated() -> Finding:
    topic = "calibration"
    try:
        found = read_calibration()
    except CnnGenError as error:
        return Finding(topic, error.message, "limited", error.hint)
    if found is None:
        return Finding(
            topic,
            "no power meter was read: energies are CodeCarbon's alone",
            "missing",
            "With a wall meter or a server's management controller: cnngen energy calibrate",
        )
    idle_error, cpu_error = (found.errors or (None, None))[:2]
    return Finding(
        topic,
        f"{watts_text(found.idle_power, idle_error)} at rest, "
        f"{watts_text(found.cpu_power, cpu_error)} more at full load, by {found.method} of {found.date[:10]}",
        figures={
            "idle_watts": found.idle_power,
            "idle_error_watts": idle_error,
            "cpu_watts": found.cpu_power,
            "cpu_error_watts": cpu_error,
            "date": found.date,
        },
    )


def _idle(meter: Meter) -> Iterator[Finding]:
    with meter.window("doctor") as window:
        pass
    if window.energy is None or window.energy.idle_power is None:
        yield Finding("idle power", f"not measured: {window.cause}", "limited")
        return
    power, facts = window.energy.idle_power, window.energy.provenance
    spread, others = facts.idle_spread, facts.idle_others
    unsteady = spread is not None and spread > UNSTEADY * power
    yield Finding(
        "idle power",
        f"{power:.1f} W over {facts.idle_seconds:.0f} s"
        + (f", +- {spread:.1f} W between seconds" if spread is not None else ""),
        "limited" if unsteady else "good",
        "It does not stand still: measure it on a machine at rest." if unsteady else None,
        {"idle_watts": power, "spread_watts": spread},
    )
    if others is not None:
        busy = others >= BUSY
        yield Finding(
            "other load",
            f"other programs keep {others:.0%} of the cores busy",
            "limited" if busy else "good",
            "Modelled energies include theirs: end them first." if busy else None,
            {"others_share": others},
        )


def _framework(name: str) -> Callable[[], Iterable[Finding]]:
    def examine() -> Iterator[Finding]:
        try:
            backend = get_backend(name)
            version = backend.version()
        except CnnGenError as error:
            yield Finding(name, error.message, "limited", error.hint)
            return
        if version is None:
            yield Finding(name, "not installed", "missing", backend.install)
            return
        if "train" not in backend.capabilities:
            yield Finding(name, version)
            return
        try:
            with ModeProcess(Mode(name)) as process:
                devices = process.devices()
        except ModeError as error:
            yield Finding(
                name, f"{version}, but it does not start: {error.message}", "limited", error.hint
            )
            return
        first = devices[0] if devices else "an unknown device"
        more = f" (also there: {', '.join(devices[1:])})" if devices[1:] else ""
        yield Finding(name, f"{version}, trains in float32 on {first}{more}")

    return examine


def _data() -> Iterator[Finding]:
    missing = []
    for name in known_datasets():
        if name == "digits":
            yield Finding("data", "digits: comes with scikit-learn")
        elif (path := dataset_files(name)) is not None:
            yield Finding("data", f"{name}: {path}")
        else:
            missing.append(name)
    if missing:
        yield Finding(
            "data",
            f"not here: {', '.join(missing)}",
            "missing",
            "torchvision downloads each when it is first used; or give --data a path.",
        )
