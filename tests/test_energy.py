import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path

import pytest

from cnngen.energy import Energy, Meter, instrument
from cnngen.energy.gpu import GpuShare
from cnngen.energy.instrument import Setting
from cnngen.errors import CnnGenError


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
    """A RAPL counter in a folder, which runs at so many watts and starts over after 60 J."""

    RANGE = 60.0

    def __init__(self, folder: Path) -> None:
        domain = folder / "intel-rapl" / "intel-rapl:0"
        domain.mkdir(parents=True)
        (domain / "name").write_text("package-0")
        (domain / "max_energy_range_uj").write_text(str(int(self.RANGE * 1e6)))
        self.folder, self.file = folder / "intel-rapl", domain / "energy_uj"
        self.watts, self.counted, self.now = 300.0, 0.0, time.perf_counter()
        self.lock, self.ended = threading.Lock(), threading.Event()
        self.joules()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def joules(self) -> float:
        """What has been counted up to now; the file has it, too."""
        with self.lock:
            then, self.now = self.now, time.perf_counter()
            self.counted += (self.now - then) * self.watts
            new = self.file.with_suffix(".new")
            new.write_text(str(int(self.counted % self.RANGE * 1e6)))
            new.replace(self.file)
            return self.counted

    def run(self) -> None:
        while not self.ended.wait(0.001):
            self.joules()


@pytest.fixture
def counter(fresh: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Counter]:
    """A machine whose processor counts its energy, and is read often enough."""
    from codecarbon.core import cpu
    from codecarbon.external import hardware

    counter = Counter(tmp_path)
    monkeypatch.setattr(cpu, "is_rapl_available", lambda: True)
    monkeypatch.setattr(
        hardware,
        "IntelRAPL",
        lambda **options: cpu.IntelRAPL(**{**options, "rapl_dir": str(counter.folder)}),
    )
    monkeypatch.setattr(instrument, "HEARTBEAT", 0.06)
    yield counter
    counter.ended.set()
    counter.thread.join()


def test_counters_that_start_over_many_times_in_a_window_are_read_in_time(
    counter: Counter,
) -> None:
    with Meter().window("long") as window:
        before = counter.joules()
        time.sleep(0.9)
        true = counter.joules() - before
    energy = window.energy
    assert energy is not None
    assert true > 4 * Counter.RANGE
    assert energy.cpu_energy * 3.6e6 == pytest.approx(true, rel=0.1)
    assert energy.cpu_power == pytest.approx(300, rel=0.1)
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
    setting = Setting(None, None, "machine", False)
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
    counter.watts = 100
    meter = Meter(idle_seconds=0.5)
    with meter.window("warm-up"):
        pass
    counter.watts = 300
    energy = measured(meter, 0.5)
    assert energy.idle_power is not None
    assert energy.net_energy is not None
    assert energy.idle_power == pytest.approx(100 + energy.ram_power, rel=0.15)
    # The constant for memory is in both, and is gone.
    assert energy.net_energy * 3.6e6 / energy.duration == pytest.approx(200, rel=0.15)
    assert energy.provenance.idle_seconds == pytest.approx(0.5, rel=0.5)
    assert energy.provenance.idle_spread is None


def test_net_energy_may_be_below_zero_and_the_baselines_spread_is_told(counter: Counter) -> None:
    meter = Meter(idle_seconds=2)
    threading.Timer(1, setattr, (counter, "watts", 100)).start()
    meter.measure_idle()
    energy = measured(meter, 0.3)
    assert energy.net_energy is not None
    assert energy.net_energy < 0
    assert energy.provenance.idle_spread == pytest.approx(200 / 2**0.5, rel=0.5)


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


WORKER = """
import json, sys, time
from dataclasses import asdict
from cnngen.energy import Meter

meter = Meter(tdp=100, shared=True)
with meter.window("warm-up"):
    pass
print("ready", flush=True)
sys.stdin.readline()
cpu = time.process_time()
with meter.window("work") as window:
    end = time.perf_counter() + 3
    while time.perf_counter() < end:
        sum(range(1000)) if sys.argv[1] == "busy" else time.sleep(0.1)
cpu = time.process_time() - cpu
print(json.dumps([cpu, asdict(window.energy)]))
"""


def test_workers_side_by_side_get_energy_by_their_cpu_time_and_an_idle_one_almost_none() -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for kind in ("busy", "busy", "idle")
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    answers = [json.loads(worker.communicate()[0]) for worker in workers]
    seconds = [answer[0] for answer in answers]
    energies = [answer[1] for answer in answers]
    together = sum(energy["total_energy"] for energy in energies)
    for cpu, energy in zip(seconds, energies, strict=True):
        part = energy["total_energy"] / together
        assert part == pytest.approx(cpu / sum(seconds), rel=0.25, abs=0.05)
        assert energy["provenance"]["shared"]
    first, second, idle = (energy["provenance"]["cpu_share"] for energy in energies)
    assert idle < 0.2 * min(first, second)
    assert first + second + idle < 1.1


def test_the_work_of_a_child_is_its_parents(modelled: None) -> None:
    spin = "import time; end = time.time() + 1\nwhile time.time() < end: pass"
    with Meter(tdp=100, shared=True, mode="process").window("test") as window:
        subprocess.run([sys.executable, "-c", spin], check=True)
    energy = window.energy
    assert energy is not None
    share = energy.provenance.cpu_share
    assert share is not None
    assert share > 0.2 / (os.cpu_count() or 1)
    # Memory is the machine's, and not what a process would be charged alone.
    assert energy.provenance.ram_power is not None
    assert energy.ram_power == pytest.approx(energy.provenance.ram_power * share, rel=0.05)


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
        self.energies, self.uses = iter(energies), iter(uses)

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
    with pytest.raises(CnnGenError, match="for itself"):
        Meter(shared=True).measure_idle()
    for seconds, minutes in ((-1, 30), (float("nan"), 30), (1e6, 30), (3, 0), (3, float("nan"))):
        with pytest.raises(CnnGenError, match="impossible"):
            Meter(idle_seconds=seconds, idle_minutes=minutes)
