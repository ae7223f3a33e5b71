import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest

import cnngen.energy
from cnngen.energy import Energy, Meter
from cnngen.errors import CnnGenError


@pytest.fixture
def fresh() -> Iterator[None]:
    """A process that has not used CodeCarbon yet, as far as that can be had again."""
    from codecarbon.core import hardware_cache

    def forget() -> None:
        hardware_cache.clear_cache()
        cnngen.energy._instrument.cache_clear()

    forget()
    yield
    forget()


@pytest.fixture
def modelled(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without counters, whatever this one has."""
    from codecarbon.core import cpu, gpu

    monkeypatch.setattr(cpu, "is_rapl_available", lambda: False)
    monkeypatch.setattr(gpu, "is_nvidia_system", lambda: False)
    monkeypatch.setattr(gpu, "is_rocm_system", lambda: False)


def busy(seconds: float) -> float:
    """Compute for a while; gives the CPU seconds this process got meanwhile."""
    cpu, end = time.process_time(), time.perf_counter() + seconds
    while time.perf_counter() < end:
        sum(range(1000))
    return time.process_time() - cpu


def measured(meter: Meter, seconds: float = 0.05) -> Energy:
    with meter.window("test") as window:
        busy(seconds)
    assert window.cause is None
    assert window.energy is not None
    return window.energy


def test_the_figures_of_a_window_belong_together(modelled: None) -> None:
    energy = measured(Meter(tdp=100), 0.3)
    parts = energy.cpu_energy + energy.gpu_energy + energy.ram_energy
    assert energy.total_energy == pytest.approx(parts)
    joules = (energy.cpu_power + energy.gpu_power + energy.ram_power) * energy.duration
    assert energy.total_energy * 1000 * 3600 == pytest.approx(joules)
    assert energy.emissions_rate * energy.duration == pytest.approx(energy.emissions)
    assert 0.3 <= energy.duration < 2


@pytest.mark.parametrize(
    ("country", "name", "code", "grams"),
    [
        (None, "World", None, 475),  # IEA, Global Energy & CO2 Status Report 2019
        ("FRA", "France", "FRA", 56),  # Our World in Data, 2023
        ("pol", "Poland", "POL", 662),
    ],
)
def test_emissions_are_those_of_the_countrys_electricity(
    modelled: None, country: str | None, name: str, code: str | None, grams: float
) -> None:
    energy = measured(Meter(country=country))
    assert (energy.country_name, energy.country_code) == (name, code)
    assert energy.provenance.country_stated == (country is not None)
    assert energy.emissions / energy.total_energy * 1000 == pytest.approx(grams, rel=0.02)


def test_a_process_is_charged_its_share_of_a_stated_tdp(modelled: None) -> None:
    with Meter(tdp=100, mode="process").window("busy") as window:
        seconds = busy(1.5)
    energy = window.energy
    assert energy is not None
    share = seconds / energy.duration / (os.cpu_count() or 1)
    assert energy.cpu_power == pytest.approx(100 * share, rel=0.1)
    assert energy.provenance.tdp == 100
    assert energy.provenance.tdp_origin == "stated"
    assert energy.provenance.mode == "process"


def test_power_is_that_of_the_window_and_no_mean_over_earlier_ones(modelled: None) -> None:
    meter = Meter(tdp=100, mode="process")
    for _ in range(3):
        measured(meter, 0.3)
    with meter.window("idle") as window:
        time.sleep(0.5)
    assert window.energy is not None
    assert window.energy.cpu_power < 5


@pytest.mark.parametrize(("known", "origin"), [(65.0, "looked up"), (None, "guessed")])
def test_a_guessed_tdp_is_told_from_one_that_was_looked_up(
    modelled: None, monkeypatch: pytest.MonkeyPatch, known: float | None, origin: str
) -> None:
    from codecarbon.core.cpu import TDP

    monkeypatch.setattr(TDP, "_get_cpu_power_from_registry", lambda self, model: known)
    provenance = measured(Meter()).provenance
    assert provenance.cpu.method == "modelled"
    assert provenance.tdp_origin == origin
    assert provenance.tdp is not None
    if known:
        assert provenance.tdp % known == 0
    assert provenance.gpu.method == "absent"
    assert provenance.ram.method == "modelled"
    assert provenance.ram_power == pytest.approx(measured(Meter()).ram_power, rel=0.05)


class Counter:
    """A RAPL counter in a folder, which runs at 300 W and starts over after 60 J."""

    WATTS, RANGE = 300.0, 60.0

    def __init__(self, folder: Path) -> None:
        domain = folder / "intel-rapl" / "intel-rapl:0"
        domain.mkdir(parents=True)
        (domain / "name").write_text("package-0")
        (domain / "max_energy_range_uj").write_text(str(int(self.RANGE * 1e6)))
        self.folder, self.file = folder / "intel-rapl", domain / "energy_uj"
        self.began, self.ended = time.perf_counter(), threading.Event()
        self.write()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def joules(self) -> float:
        return (time.perf_counter() - self.began) * self.WATTS

    def write(self) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(str(int(self.joules() % self.RANGE * 1e6)))
        new.replace(self.file)

    def run(self) -> None:
        while not self.ended.wait(0.001):
            self.write()


def test_counters_that_start_over_many_times_in_a_window_are_read_in_time(
    fresh: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from codecarbon.core import cpu
    from codecarbon.external import hardware

    counter = Counter(tmp_path)
    monkeypatch.setattr(cpu, "is_rapl_available", lambda: True)
    monkeypatch.setattr(
        hardware,
        "IntelRAPL",
        lambda **options: cpu.IntelRAPL(**{**options, "rapl_dir": str(counter.folder)}),
    )
    monkeypatch.setattr(cnngen.energy, "HEARTBEAT", 0.06)
    with Meter().window("long") as window:
        before = counter.joules()
        time.sleep(0.9)
        true = counter.joules() - before
    counter.ended.set()
    counter.thread.join()
    energy = window.energy
    assert energy is not None
    assert true > 4 * Counter.RANGE
    assert energy.cpu_energy * 3.6e6 == pytest.approx(true, rel=0.1)
    assert energy.cpu_power == pytest.approx(Counter.WATTS, rel=0.1)
    assert (energy.provenance.cpu.method, energy.provenance.cpu.means) == (
        "measured",
        "RAPL counters",
    )
    assert energy.provenance.tdp is None
    assert energy.provenance.tdp_origin is None


def test_a_gpu_read_through_nvml_counts_as_measured() -> None:
    class GPU:
        devices = SimpleNamespace(devices=[type("NvidiaGPUDevice", (), {})()])

    class AppleSiliconChip:
        chip_part = "CPU"

    tracker = SimpleNamespace(_hardware=[GPU(), AppleSiliconChip()])
    parts = cnngen.energy._provenance(tracker, None, None, "machine")
    assert (parts.gpu.method, parts.gpu.means) == ("measured", "NVML")
    assert (parts.cpu.method, parts.cpu.means) == ("measured", "powermetrics")
    assert parts.ram.method == "absent"


@pytest.mark.parametrize("step", ["__init__", "start_task", "stop_task"])
def test_when_codecarbon_fails_the_work_goes_on_and_the_next_window_is_measured(
    fresh: None, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    from codecarbon import OfflineEmissionsTracker

    meter = Meter(tdp=100)
    if step != "__init__":
        measured(meter)

    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("sensor on fire")

    monkeypatch.setattr(OfflineEmissionsTracker, step, fail)
    done = False
    with meter.window("test") as window:
        done = True
    assert done
    assert window.energy is None
    assert window.cause is not None
    assert "sensor on fire" in window.cause
    monkeypatch.undo()
    assert 0 < measured(meter, 0.2).duration < 1


def test_an_error_of_the_work_itself_comes_through_and_is_measured(modelled: None) -> None:
    meter = Meter()
    with pytest.raises(ZeroDivisionError), meter.window("test") as window:
        raise ZeroDivisionError
    assert window.energy is not None
    assert measured(meter).duration < 1


def test_of_two_windows_at_once_only_the_first_is_measured(modelled: None) -> None:
    meter = Meter()
    with meter.window("outer") as outer:
        with Meter().window("inner") as inner:
            busy(0.01)
        assert inner.energy is None
        assert inner.cause == "another window was open"
    assert outer.energy is not None


def test_measuring_asks_no_network_prints_nothing_and_heeds_no_stray_configuration(
    modelled: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: asked.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **_: asked.append(address))
    (tmp_path / ".codecarbon.config").write_text(
        "[codecarbon]\nlog_level=debug\nforce_ram_power=5000\npue=7\nsave_to_api=true\n"
        "electricitymaps_api_token=abc\nemissions_endpoint=http://localhost:9\n"
        "country_iso_code=POL\ntracking_mode=process\noutput_dir=/nowhere\ngpu_ids=7\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODECARBON_FORCE_CPU_POWER", "7000")
    energy = measured(Meter(country="FRA"))
    assert asked == []
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert energy.ram_power < 1000
    assert (energy.provenance.tdp or 0) < 7000
    assert energy.country_code == "FRA"
    assert energy.provenance.mode == "machine"
    assert sorted(os.listdir(tmp_path)) == [".codecarbon.config"]
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)


def test_the_work_of_others_on_the_machine_is_seen(modelled: None) -> None:
    meter = Meter()
    measured(meter)
    # An orphan is nobody's child: its work is not this process's.
    spin = "import time; end = time.time() + 1.5\nwhile time.time() < end: pass"
    started = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {spin!r}])",
        ],
        check=True,
    )
    assert started.returncode == 0
    with meter.window("test") as window:
        time.sleep(1.0)
    assert window.energy is not None
    others = window.energy.provenance.others_during
    assert others is not None
    assert others > 0.4 / (os.cpu_count() or 1)
    assert others <= 1


def test_a_window_too_short_to_tell_says_nothing_of_others(modelled: None) -> None:
    assert measured(Meter(), 0.01).provenance.others_during is None


def test_an_unknown_country_or_impossible_tdp_is_refused_at_once() -> None:
    with pytest.raises(CnnGenError) as caught:
        Meter(country="France")
    assert "Did you mean FRA?" in str(caught.value)
    with pytest.raises(CnnGenError, match="no figure for the country"):
        Meter(country="ATLANTIS")
    for tdp in (0, -5, float("nan"), 1e9):
        with pytest.raises(CnnGenError, match="impossible"):
            Meter(tdp=tdp)


def test_a_tracker_belongs_to_one_process(modelled: None) -> None:
    meter = Meter()
    measured(meter)
    mine = cnngen.energy._instrument(os.getpid(), None, None, "machine")
    other = cnngen.energy._instrument(os.getpid() + 1, None, None, "machine")
    assert mine is cnngen.energy._instrument(os.getpid(), None, None, "machine")
    assert mine.tracker is not other.tracker


def test_the_papers_metrics_are_all_there_under_their_names() -> None:
    assert [field.name for field in fields(Energy)] == [
        *("emissions", "emissions_rate"),
        *("cpu_power", "gpu_power", "ram_power"),
        *("cpu_energy", "gpu_energy", "ram_energy", "total_energy"),
        *("duration", "country_name", "country_code", "provenance"),
    ]
