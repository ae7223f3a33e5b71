import hashlib
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from cnngen.errors import CnnGenError
from cnngen.training.energy import Energy, Meter, apportion, idle, instrument, load
from cnngen.training.energy.gpu import GpuShare
from cnngen.training.energy.instrument import TrackerSettings
from cnngen.training.energy.load import LoadClock


@pytest.fixture
def fresh() -> Iterator[None]:
    """A process that has not used CodeCarbon yet, as far as that can be had again."""
    from codecarbon.core import hardware_cache

    def forget() -> None:
        hardware_cache.clear_cache()
        instrument.discard()

    forget()
    yield
    forget()


@pytest.fixture
def modelled(fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without counters, whatever this one has."""
    from codecarbon.core import cpu
    from codecarbon.core import gpu as gpus

    monkeypatch.setattr(cpu, "is_rapl_available", lambda: False)
    monkeypatch.setattr(gpus, "is_nvidia_system", lambda: False)
    monkeypatch.setattr(gpus, "is_rocm_system", lambda: False)


def busy(seconds: float) -> float:
    """Compute for so many seconds of CPU time, however busy the machine is; gives those that
    this process got meanwhile.

    Hashing lets go of the interpreter's lock, as training does: CodeCarbon's thread, which looks at
    the clock before it reads the CPU times of all processes, would else wait for it in between."""
    cpu, end = time.process_time(), time.thread_time() + seconds
    while time.thread_time() < end:
        hashlib.sha256(bytes(2**18)).digest()
    return time.process_time() - cpu


def measured(meter: Meter, seconds: float = 0.05) -> Energy:
    with meter.window("test") as window:
        busy(seconds)
    assert window.cause is None
    assert window.energy is not None
    return window.energy


def test_the_figures_of_a_window_belong_together(modelled: None) -> None:
    began = time.perf_counter()
    energy = measured(Meter(tdp=100), 0.3)
    parts = energy.cpu_energy + energy.gpu_energy + energy.ram_energy
    assert energy.total_energy == pytest.approx(parts)
    joules = (energy.cpu_power + energy.gpu_power + energy.ram_power) * energy.duration
    assert energy.total_energy * 1000 * 3600 == pytest.approx(joules)
    assert energy.emissions_rate * energy.duration == pytest.approx(energy.emissions)
    assert 0.3 <= energy.duration <= time.perf_counter() - began


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
    meter = Meter(tdp=100, mode="process")
    measured(meter)
    cpu = time.process_time()
    with meter.window("busy") as window:
        seconds = busy(1.5)
    most = time.process_time() - cpu
    energy = window.energy
    assert energy is not None
    charged = energy.cpu_energy * 3.6e6 / 100 * (os.cpu_count() or 1)
    assert 0.85 * seconds < charged < 1.15 * most
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
    """A RAPL counter in a folder, which starts over after 60 J. It counts what it is told to:
    nothing hangs on the time that anything takes."""

    RANGE = 60.0

    def __init__(self, folder: Path) -> None:
        domain = folder / "intel-rapl" / "intel-rapl:0"
        domain.mkdir(parents=True)
        (domain / "name").write_text("package-0")
        (domain / "max_energy_range_uj").write_text(str(int(self.RANGE * 1e6)))
        self.folder, self.file = folder / "intel-rapl", domain / "energy_uj"
        self.counted, self.reads, self.idle = 0.0, 0, [20.0]
        self.add(0)

    def add(self, joules: float) -> None:
        self.counted += joules
        new = self.file.with_suffix(".new")
        new.write_text(str(int(self.counted % self.RANGE * 1e6)))
        new.replace(self.file)

    def sleep(self, seconds: float) -> None:
        """Sleep, while the idle machine uses the next of `idle` in J; at the end the last."""
        self.add(self.idle.pop(0) if len(self.idle) > 1 else self.idle[0])
        time.sleep(seconds)

    def be_read(self) -> None:
        """Wait until the counter was read; a reading that had begun already does not count."""
        enough = self.reads + 2
        while self.reads < enough:
            time.sleep(0.001)


@pytest.fixture
def counter(fresh: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Counter:
    """A machine whose processor counts its energy, and is read often."""
    from codecarbon.core import cpu, rapl
    from codecarbon.external import hardware

    counter = Counter(tmp_path)
    value = rapl.RAPLFile._get_value

    def read(file: rapl.RAPLFile) -> object:
        found = value(file)
        counter.reads += 1
        return found

    monkeypatch.setattr(rapl.RAPLFile, "_get_value", read)
    monkeypatch.setattr(
        idle, "time", SimpleNamespace(sleep=counter.sleep, monotonic=time.monotonic)
    )
    monkeypatch.setattr(cpu, "is_rapl_available", lambda: True)
    monkeypatch.setattr(
        hardware,
        "IntelRAPL",
        lambda **options: cpu.IntelRAPL(**{**options, "rapl_dir": str(counter.folder)}),
    )
    monkeypatch.setattr(instrument, "HEARTBEAT", 0.01)
    return counter


def test_counters_that_start_over_many_times_in_a_window_are_read_in_time(
    counter: Counter,
) -> None:
    with Meter().window("long") as window:
        for _ in range(8):
            counter.add(40)
            counter.be_read()
    energy = window.energy
    assert energy is not None
    assert energy.cpu_energy * 3.6e6 == pytest.approx(8 * 40)
    assert energy.cpu_power == pytest.approx(8 * 40 / energy.duration)
    assert (energy.provenance.cpu.method, energy.provenance.cpu.means) == (
        "measured",
        "RAPL counters",
    )
    assert energy.provenance.tdp is None
    assert energy.provenance.tdp_origin is None


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
    began = time.perf_counter()
    assert 0 < measured(meter, 0.2).duration <= time.perf_counter() - began


def test_an_error_of_the_work_itself_comes_through_and_is_measured(modelled: None) -> None:
    meter = Meter()
    with pytest.raises(ZeroDivisionError), meter.window("test") as window:
        raise ZeroDivisionError
    assert window.energy is not None
    began = time.perf_counter()
    assert measured(meter).duration <= time.perf_counter() - began


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


@pytest.mark.parametrize("broken", [b"[codecarbon\n=", b"measure = 1\n", b"\xff\xfe[codecarbon]"])
def test_broken_configuration_of_codecarbon_stops_no_measuring(
    modelled: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broken: bytes
) -> None:
    (tmp_path / ".codecarbon.config").write_bytes(broken)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CODECARBON_MEASURE_POWER_SECS", "abc")
    assert measured(Meter(), 0.1).total_energy > 0


def test_the_work_of_others_on_the_machine_is_seen(modelled: None) -> None:
    meter = Meter()
    measured(meter)
    # An orphan is nobody's child: its work is not this process's. It ends with its stdin.
    spin = "import select\nwhile not select.select([0], [], [], 0)[0]: pass"
    start = (
        "import subprocess, sys\n"
        f"print(subprocess.Popen([sys.executable, '-c', {spin!r}], stdout=2).pid)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        orphan = psutil.Process(int(starter.stdout.readline()))
        starter.wait()
        with meter.window("test") as window:
            enough = sum(orphan.cpu_times()[:2]) + 0.6
            while sum(orphan.cpu_times()[:2]) < enough:
                time.sleep(0.05)
    assert window.energy is not None
    others = window.energy.provenance.others_during
    assert others is not None
    assert others * window.energy.duration * (os.cpu_count() or 1) > 0.4
    assert others <= 1


def test_a_window_too_short_to_tell_says_nothing_of_others(modelled: None) -> None:
    assert measured(Meter(), 0.01).provenance.others_during is None


def test_an_unknown_country_or_impossible_tdp_is_refused_at_once() -> None:
    with pytest.raises(CnnGenError) as caught:
        Meter(country="France")
    assert "Did you mean FRA?" in str(caught.value)
    with pytest.raises(CnnGenError, match="no emission figure is known for the country"):
        Meter(country="ATLANTIS")
    for tdp in (0, -5, float("nan"), 1e9):
        with pytest.raises(CnnGenError, match="impossible"):
            Meter(tdp=tdp)


def test_a_tracker_belongs_to_one_process(modelled: None) -> None:
    meter = Meter()
    measured(meter)
    setting = TrackerSettings(None, None, "machine", False)
    mine = instrument.instrument(os.getpid(), setting)
    other = instrument.instrument(os.getpid() + 1, setting)
    assert mine is instrument.instrument(os.getpid(), setting)
    assert mine.tracker is not other.tracker


def test_the_papers_metrics_are_all_there_under_their_names() -> None:
    assert {field.name for field in fields(Energy)} >= {
        *("emissions", "emissions_rate"),
        *("cpu_power", "gpu_power", "ram_power"),
        *("cpu_energy", "gpu_energy", "ram_energy", "total_energy"),
        *("duration", "country_name", "country_code"),
    }


def test_net_energy_is_what_the_counters_ran_above_idle(counter: Counter) -> None:
    meter = Meter(idle_seconds=0.2)
    with meter.window("warm-up"):
        pass
    with meter.window("test") as window:
        busy(0.1)
        counter.add(50)
    energy = window.energy
    assert energy is not None
    assert energy.idle_power is not None
    assert energy.net_energy is not None
    assert energy.provenance.idle_seconds is not None
    assert energy.provenance.idle_seconds >= 0.2
    assert energy.cpu_energy * 3.6e6 == pytest.approx(50)
    # The 20 J that the idle processor used, and the constant for memory.
    idle_joules = energy.idle_power * energy.provenance.idle_seconds
    assert idle_joules > 20
    assert idle_joules == pytest.approx(
        20 + energy.ram_power * energy.provenance.idle_seconds, rel=0.2
    )
    gone = energy.idle_power * energy.duration / 3.6e6
    assert energy.net_energy == pytest.approx(energy.total_energy - gone)
    assert energy.provenance.idle_spread is None


def test_net_energy_may_be_below_zero_and_the_baselines_spread_is_told(counter: Counter) -> None:
    counter.idle = [50, 0]
    meter = Meter(idle_seconds=1.6)  # in two slices
    meter.measure_idle()
    energy = measured(meter)
    assert energy.net_energy is not None
    assert energy.net_energy < 0
    spread, seconds = energy.provenance.idle_spread, energy.provenance.idle_seconds
    assert spread is not None
    assert seconds is not None
    # In the slower of the slices were 50 J, which took less than both together.
    assert spread > 0.9 * 50 / seconds / 2**0.5


def test_a_baseline_serves_until_it_is_too_old_or_a_new_one_is_asked_for(counter: Counter) -> None:
    def baseline(meter: Meter) -> tuple[float, float]:
        energy = measured(meter)
        assert energy.idle_power is not None
        assert energy.provenance.idle_age is not None
        return energy.idle_power, energy.provenance.idle_age

    lasting, short = (Meter(idle_seconds=0.2, idle_minutes=minutes) for minutes in (30, 1e-9))
    power, age = baseline(lasting)
    later_power, later_age = baseline(lasting)
    assert later_power == power
    assert later_age > age + 0.05
    assert baseline(short)[0] != baseline(short)[0]
    asked = lasting.measure_idle()
    assert asked != power
    assert baseline(lasting)[0] == asked


def test_without_a_baseline_there_is_no_net_energy(modelled: None) -> None:
    energy = measured(Meter())
    assert (energy.idle_power, energy.net_energy, energy.provenance.idle_age) == (None,) * 3


@pytest.mark.parametrize(("own", "share"), [(6.0, 0.75), (2.0, 0.25), (0.0, 0.0)])
def test_a_shared_machines_energy_is_divided_by_cpu_time(
    modelled: None, monkeypatch: pytest.MonkeyPatch, own: float, share: float
) -> None:
    times = [100.0, 50.0, 20.0]
    monkeypatch.setattr(load, "_cpu_times", lambda: tuple(times))
    with Meter(tdp=100, shared=True).window("test") as window:
        time.sleep(0.2)
        times = [110.0, 58.0, 20.0 + own]
    energy = window.energy
    assert energy is not None
    assert energy.provenance.shared
    assert energy.provenance.cpu_share == share
    # Memory is the machine's, and not what a process would be charged alone.
    assert energy.provenance.ram_power is not None
    assert energy.ram_power == pytest.approx(energy.provenance.ram_power * share, rel=0.05)


def test_the_work_of_a_child_is_its_parents() -> None:
    spin = "import time\nwhile time.process_time() < 1: pass"
    clock = LoadClock()
    subprocess.run([sys.executable, "-c", spin], check=True)
    lap = clock.lap()
    assert 0.95 < lap.own <= lap.machine + 0.05
    assert lap.seconds > 0.9


def test_what_is_too_short_is_not_apportioned(modelled: None) -> None:
    meter = Meter(shared=True)
    with meter.window("test") as window:
        pass
    assert window.energy is None
    assert window.cause == "the window was too short to be apportioned"
    with meter.window("test") as window:
        busy(0.5)
    assert window.cause is None


class Gpus:
    """GPUs that say what they are told to."""

    def __init__(
        self, energies: list[float | None], uses: list[Mapping[int, float] | None]
    ) -> None:
        self.energies, self.uses, self.cards = iter(energies), iter(uses), 1

    def energy(self) -> float | None:
        return next(self.energies)

    def use(self) -> Mapping[int, float] | None:
        return next(self.uses)


@pytest.mark.parametrize(
    ("energies", "difference"),
    [([5.0, 5.25], 0.25), ([5.0, 1.0], None), ([None, 1.0], None), ([5.0, None], None)],
)
def test_a_gpus_own_counter_stands_beside_codecarbons_sum(
    modelled: None,
    monkeypatch: pytest.MonkeyPatch,
    energies: list[float | None],
    difference: float | None,
) -> None:
    monkeypatch.setattr(instrument, "nvidia_gpus", lambda parts: Gpus(energies, []))
    assert measured(Meter()).gpu_counter_energy == difference


def test_a_shared_gpu_is_divided_by_its_use_within_the_window(
    modelled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, others = os.getpid(), os.getpid() + 10**6
    uses = [{others: 900.0}, {mine: 30.0, others: 10.0}, {others: 20.0}, {}]
    gpus = Gpus([0.0, 8.0], [*uses, *[{}] * 1000])
    monkeypatch.setattr(instrument, "nvidia_gpus", lambda parts: gpus)
    monkeypatch.setattr(instrument, "GPU_SAMPLING", 0.05)
    with Meter(shared=True).window("test") as window:
        busy(1)
    energy = window.energy
    assert energy is not None
    assert energy.provenance.gpu_share == 0.5
    assert energy.gpu_counter_energy == 4.0


def test_a_worker_with_a_card_of_its_own_has_all_of_it(
    modelled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instrument, "nvidia_gpus", lambda parts: Gpus([0.0, 8.0], [None]))
    monkeypatch.setattr(apportion, "has_own_card", lambda: True)
    with Meter(shared=True).window("test") as window:
        busy(0.5)
    energy = window.energy
    assert energy is not None
    assert (energy.provenance.gpu_share, energy.gpu_counter_energy) == (1, 8.0)


def test_gpus_that_once_do_not_tell_their_users_leave_the_share_open() -> None:
    share = GpuShare(Gpus([], [{}, {1: 10.0}, None]), lambda: frozenset({1}))
    share.poll()
    assert share.share == 1
    share.poll()
    assert share.share is None
    share.poll()
    assert share.share is None


def test_a_baseline_of_a_shared_machine_or_an_impossible_one_is_refused() -> None:
    with pytest.raises(CnnGenError, match="shared"):
        Meter(shared=True, idle_seconds=3)
    with pytest.raises(CnnGenError, match="shared machine"):
        Meter(shared=True).measure_idle()
    for seconds, minutes in ((-1, 30), (float("nan"), 30), (1e6, 30), (3, 0), (3, float("nan"))):
        with pytest.raises(CnnGenError, match="impossible"):
            Meter(idle_seconds=seconds, idle_minutes=minutes)
