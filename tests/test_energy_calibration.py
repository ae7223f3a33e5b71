"""A machine's power by a meter: the fit, what a meter wrote, the load, what is kept and applied."""

from __future__ import annotations

import io
import json
import math
import os
import random
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from test_energy_apportion import READING
from test_store import energy, record

from cnngen.cli.app import run
from cnngen.diagnosis.examine import _calibrated
from cnngen.errors import CnnGenError, StoreError
from cnngen.runs.record import Record
from cnngen.system.machine import usable_cores
from cnngen.training.energy import Meter, load_steps
from cnngen.training.energy.calibrated import calibrated
from cnngen.training.energy.calibration import (
    PowerCalibration,
    calibration_file,
    keep_calibration,
    new_calibration,
    read_calibration,
    remove_calibration,
)
from cnngen.training.energy.load import Load
from cnngen.training.energy.load_steps import LEVELS, LoadStep, busy_cores, plan_of, run_load_steps
from cnngen.training.energy.power_fit import PowerPoint, fit_power
from cnngen.training.energy.power_log import (
    PowerSample,
    points_of,
    read_load_steps,
    read_power_log,
    write_load_steps,
)

ROOT = Path(__file__).parents[1]
CORES = os.cpu_count() or 1


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of settings, empty."""
    monkeypatch.setenv("CNNGEN_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("CNNGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "config"


def kept(**changes: object) -> PowerCalibration:
    """A calibration of this machine: 40 W at rest, 60 W more at full load, errors 1 and 2 W."""
    fit = fit_power([PowerPoint(40, 0), PowerPoint(100, 1)])
    known = replace(
        new_calibration(fit, "power log"),
        idle_power=40.0,
        cpu_power=60.0,
        covariance=((1.0, -1.0), (-1.0, 4.0)),
        residual=1.5,
        **changes,  # type: ignore[arg-type]
    )
    keep_calibration(known)
    return known


# The fit.


@pytest.mark.parametrize("noise", [0.3, 3.0])
def test_a_fit_finds_the_power_within_its_stated_error(noise: float) -> None:
    """Of 200 fits to noisy meters, as many are within an error as Student's t says (7 free)."""
    within = 0
    for seed in range(200):
        draw = random.Random(seed)
        loads = [min(1.0, level + draw.uniform(0, 0.02)) for level in LEVELS]
        fit = fit_power([PowerPoint(43 + 53 * x + draw.gauss(0, noise), x) for x in loads])
        assert fit.covariance is not None
        for i, (found, true) in enumerate(((fit.idle, 43), (fit.cpu, 53))):
            within += abs(found - true) <= fit.covariance[i][i] ** 0.5
            assert abs(found - true) < 7 * fit.covariance[i][i] ** 0.5
    assert 0.57 < within / 400 < 0.73  # 0.649


def test_a_fit_finds_the_slope_of_a_gpu_beside_that_of_the_cpu() -> None:
    draw = random.Random(3)
    known = [(x, 60.0) for x in LEVELS] + [(0.02, 400.0), (0.0, 61.0), (0.02, 380.0)]
    points = [
        PowerPoint(80 + 50 * x + 1.12 * (gpu - 60) + draw.gauss(0, 0.5), x, gpu) for x, gpu in known
    ]
    fit = fit_power(points)
    assert fit.covariance is not None
    assert fit.gpu == pytest.approx(1.12, abs=4 * fit.covariance[2][2] ** 0.5)
    assert fit.idle == pytest.approx(80, abs=4 * fit.covariance[0][0] ** 0.5)
    assert fit.gpu_idle == 60
    resting = fit_power(points[: len(LEVELS)])
    assert (resting.gpu, resting.gpu_idle) == (None, 60)


def test_two_readings_have_the_error_that_is_stated_or_none() -> None:
    two = [PowerPoint(43, 0), PowerPoint(96, 1)]
    assert fit_power(two).covariance is None
    fit = fit_power(two, reading_error=0.5)
    assert (fit.idle, fit.cpu) == (pytest.approx(43), pytest.approx(53))
    assert fit.covariance is not None
    assert fit.covariance[0][0] == pytest.approx(0.25)
    assert fit.covariance[1][1] == pytest.approx(0.5)
    half = fit_power([PowerPoint(43, 0), PowerPoint(96, 0.5)])
    assert half.cpu == pytest.approx(106)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([(43, 0.9), (44, 0.95), (45, 1.0)], "varied only from 90% to 100%"),
        ([(96, 0), (43, 1)], "power of the CPU of -53 W"),
        ([(50, 0), (50, 1)], "power of the CPU of 0 W"),
        ([(50, 0), (51, 1), (52, 0), (51, 1)], r"power of the CPU of 0 \+- 1 W"),
        ([(0, 0), (43, 1)], "power at rest of 0 W"),
        ([], "at no time"),
    ],
)
def test_readings_that_tell_no_power_are_refused(
    points: list[tuple[float, float]], words: str
) -> None:
    with pytest.raises(CnnGenError, match=words):
        fit_power([PowerPoint(*point) for point in points])


# What a meter wrote.


def test_times_are_iso_8601_or_unix_seconds(tmp_path: Path) -> None:
    log = tmp_path / "meter.csv"
    log.write_text(
        "volts,Watts, time\n230,43.5,2026-11-27T13:10:00+00:00\n\n"
        "230,44,2026-11-27T14:10:01+01:00\n231,45e0,1795785002.5\n"
    )
    start = 1795785000.0
    assert read_power_log(log) == [
        PowerSample(start, 43.5),
        PowerSample(start + 1, 44),
        PowerSample(start + 2.5, 45),
    ]


FAULTS = {
    "a word": ("time,watts\n0,40\n1,many\n", ":3: watts: 'many' is not a number"),
    "nan": ("time,watts\n0,nan\n", ":2: watts: nan is not from 0 to 1,000,000"),
    "below zero": ("time,watts\n0,-3\n", ":2: watts: -3 is not from 0"),
    "no time": ("time,watts\nnoon,40\n", ":2: 'noon' is not a time"),
    "milliseconds": ("time,watts\n1795785000000,40\n", ":2: the time 1795785000000 is impossible"),
    "an endless year": ("time,watts\n1e999,40\n", ":2: the time 1e999 is impossible"),
    "no head": ("0,40\n1,41\n", ":1: no column time and no watts"),
    "no watts": ("time,power\n0,40\n", ":1: no column watts"),
    "a cell too many": ("time,watts\n0,40\n\n1,41,7\n", ":4: 3 cells, not 2"),
    "a quote": ('time,watts\n0,"40\n', ":2: unexpected end of data"),
    "nothing": ("", " has no readings"),
    "a head alone": ("time,watts\n", " has no readings"),
    "escapes": ("time,watts\n0,\x1b[31m\n", ":2: watts: ' [31m' is not a number"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_log_is_told_with_its_line_and_exits_with_2(
    fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], config: Path
) -> None:
    text, words = FAULTS[fault]
    log, steps = tmp_path / "meter.csv", tmp_path / "steps.csv"
    log.write_text(text)
    write_load_steps(steps, [LoadStep(0, 10, 0.0, None)])
    assert run(["energy", "calibrate", "--csv", str(log), "--steps", str(steps)]) == 2
    printed = capsys.readouterr()
    assert f"{log}{words}" in printed.err
    assert printed.out == ""
    assert not config.exists()


def test_a_line_that_is_still_being_written_is_passed_over(tmp_path: Path) -> None:
    log = tmp_path / "meter.csv"
    log.write_text("time,watts\n0,43.5\n1,4")
    assert read_power_log(log) == [PowerSample(0, 43.5)]
    log.write_text("time,wa")
    assert read_power_log(log, begun=True) == []
    with pytest.raises(CnnGenError, match="has no readings"):
        read_power_log(log)


def test_logs_that_are_no_text_or_not_there_exit_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "steps.csv").write_text("start,end,load,gpu\n5,4,0.5,\n")
    (tmp_path / "none.csv").write_text("start,end,load,gpu\n")
    (tmp_path / "binary.csv").write_bytes(b"time,watts\n\xff\xfe\x00")
    for log, steps, words in (
        ("binary.csv", "steps.csv", ":2: the step ends before it starts"),
        ("binary.csv", "none.csv", " has no steps"),
        ("missing.csv", str(ROOT / "examples/load.csv"), "there is no "),
        ("binary.csv", str(ROOT / "examples/load.csv"), "is not text in UTF-8"),
        (".", str(ROOT / "examples/load.csv"), "is not a regular file"),
    ):
        given = ["--csv", str(tmp_path / log), "--steps", str(tmp_path / steps)]
        assert run(["energy", "calibrate", *given]) == 2
        assert words in capsys.readouterr().err


def test_steps_are_read_as_they_were_written(tmp_path: Path) -> None:
    steps = [LoadStep(1795785000.25, 1795785020.5, 0.25, None), LoadStep(0.0, 1.0, 1.0, 61.5)]
    write_load_steps(tmp_path / "new" / "steps.csv", steps)
    assert read_load_steps(tmp_path / "new" / "steps.csv") == steps


def test_a_log_of_another_hour_is_told_with_both_times() -> None:
    steps = [LoadStep(100.0 * i, 100.0 * i + 90, i / 4, None) for i in range(5)]
    samples = [PowerSample(3600.0 + second, 40) for second in range(500)]
    with pytest.raises(CnnGenError, match="only 0 of 5 steps") as caught:
        points_of(samples, steps)
    assert "1970-01-01T01:00:00+00:00" in str(caught.value)
    early = [PowerSample(second - 3600, watts) for second, watts in ((3600.0, 40), (3695.0, 99))]
    assert len(points_of([*early, PowerSample(150, 50), PowerSample(250, 60)], steps)) == 3


# The load.


class MadeMachine:
    """A machine, its clock and its meter: nothing takes time, and each second is logged."""

    def __init__(self, seed: int, *, others: float = 0.0) -> None:
        self.now, self.busy, self.share = 1795785000.0, 0.0, 0.0
        self.draw, self.others = random.Random(seed), others
        self.log: list[PowerSample] = []

    @contextmanager
    def busy_cores(self, share: float):
        self.share = share
        yield
        self.share = 0.0

    def sleep(self, seconds: float) -> None:
        load = min(1.0, self.share + self.others)
        for _ in range(round(seconds)):
            watts = 43 + 53 * load + self.draw.gauss(0, 1)
            self.log.append(PowerSample(self.now, watts))
            self.now += 1
            self.busy += load * CORES

    def clock(self) -> SimpleNamespace:
        then, busy = self.now, self.busy
        return SimpleNamespace(lap=lambda: Load(self.now - then, self.busy - busy, 0.0))

    def put(self, monkeypatch: pytest.MonkeyPatch) -> MadeMachine:
        clock = SimpleNamespace(sleep=self.sleep, time=lambda: self.now)
        monkeypatch.setattr(load_steps, "time", clock)
        monkeypatch.setattr(load_steps, "LoadClock", self.clock)
        monkeypatch.setattr(load_steps, "busy_cores", self.busy_cores)
        return self


def test_the_load_runs_in_steps_and_only_the_settled_part_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = MadeMachine(1).put(monkeypatch)
    told: list[float] = []
    steps = run_load_steps(
        plan_of(with_gpus=False), 20, on_step=lambda level: told.append(level.cores)
    )
    assert tuple(told) == LEVELS
    assert [step.load for step in steps] == pytest.approx(LEVELS)
    assert [step.start for step in steps] == [1795785005.0 + 20 * i for i in range(9)]
    assert {step.end - step.start for step in steps} == {15.0}
    fit = fit_power(points_of(made.log, steps))
    assert fit.covariance is not None
    assert fit.idle == pytest.approx(43, abs=4 * fit.covariance[0][0] ** 0.5)
    assert fit.cpu == pytest.approx(53, abs=4 * fit.covariance[1][1] ** 0.5)


def test_the_power_of_gpus_is_read_within_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    MadeMachine(1).put(monkeypatch)
    watts = iter([0.0, 60 * 15 / 3.6e6, 5.0, 5.0 + 300 * 15 / 3.6e6, 9.0, 1.0])
    gpus = SimpleNamespace(energy=lambda: next(watts), cards=1)
    steps = run_load_steps(plan_of(with_gpus=False)[:3], 20, gpus)  # type: ignore[arg-type]
    assert steps[0].gpu == pytest.approx(60)
    assert steps[1].gpu == pytest.approx(300)
    assert steps[2].gpu is None  # the counter started over


def test_a_busy_core_is_a_process_that_works_and_ends() -> None:
    before = {child.pid for child in psutil.Process().children()}
    with busy_cores(1.0):
        spinners = [one for one in psutil.Process().children() if one.pid not in before]
        assert len(spinners) == usable_cores()
        # However busy the machine is, in the end it gets a second of CPU time.
        while sum(spinners[0].cpu_times()[:2]) < 1:
            assert spinners[0].status() != psutil.STATUS_ZOMBIE
    assert {child.pid for child in psutil.Process().children()} == before
    with busy_cores(0.0):
        assert {child.pid for child in psutil.Process().children()} == before


def test_a_busy_core_runs_no_module_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numpy.py").write_text("open('mark', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    before = {child.pid for child in psutil.Process().children()}
    with busy_cores(1.0):
        (spinner, *_) = (one for one in psutil.Process().children() if one.pid not in before)
        while sum(spinner.cpu_times()[:2]) < 1:
            assert spinner.status() != psutil.STATUS_ZOMBIE
    assert not (tmp_path / "mark").exists()


# The command.


@pytest.mark.parametrize("late", [False, True])
def test_a_meters_log_and_the_load_that_runs_give_a_calibration(
    late: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = MadeMachine(5, others=0.12).put(monkeypatch)
    monkeypatch.setattr("cnngen.cli.energy._gpus", lambda: None)
    log, steps = tmp_path / "meter.csv", tmp_path / "steps.csv"
    given = ["energy", "calibrate", "--csv", str(log), "--steps", str(steps)]
    if late:  # the meter's file comes after the load
        assert run(given) == 2
        assert f"add --steps {steps}" in capsys.readouterr().err
        now = made.now
    else:
        keep = made.sleep

        def write(seconds: float) -> None:
            keep(seconds)
            log.write_text("time,watts\n" + "".join(f"{s.time},{s.watts}\n" for s in made.log))

        monkeypatch.setattr(load_steps.time, "sleep", write)
    if late:
        log.write_text("time,watts\n" + "".join(f"{s.time},{s.watts}\n" for s in made.log))
    assert run(given) == 0
    if late:
        assert made.now == now  # nothing ran again
    found = read_calibration()
    assert found is not None
    assert found.errors is not None
    assert found.method == "power log"
    assert found.idle_power == pytest.approx(43, abs=4 * found.errors[0])
    assert found.cpu_power == pytest.approx(53, abs=4 * found.errors[1])
    assert found.errors[1] < 2
    assert "Even at rest, 12% of the cores were busy" in capsys.readouterr().err


def test_readings_are_asked_for_until_they_are_numbers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    MadeMachine(1, others=0.02).put(monkeypatch)
    monkeypatch.setattr(sys, "stdin", io.StringIO("what?\n-4\n44\n95 W\n"))
    assert run(["energy", "calibrate", "--seconds", "30", "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err.count("A number of watts is meant") == 2
    found = json.loads(printed.out)
    # The machine was not quite at rest: 2 % of the load are above idle power.
    assert found["cpu_power"] == pytest.approx(51 / 0.98)
    assert found["idle_power"] == pytest.approx(44 - 0.02 * 51 / 0.98)
    assert found["method"] == "two readings"
    assert found["errors"] is None


def test_a_program_may_be_the_meter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "meter.py"
    script.write_text(
        "import time\nwhile True:\n    print('50.5', flush=True)\n    time.sleep(0.02)"
    )
    monkeypatch.setattr("cnngen.cli.energy._gpus", lambda: None)
    monkeypatch.setattr(load_steps, "busy_cores", MadeMachine(1).busy_cores)
    monkeypatch.setattr(load_steps, "LEVELS", (0.0, 0.5, 1.0))
    loads = iter(load_steps.LEVELS)
    monkeypatch.setattr(
        load_steps,
        "LoadClock",
        lambda: SimpleNamespace(lap=lambda: Load(1.5, 1.5 * CORES * next(loads), 0.0)),
    )
    # It reads the same whatever the load: that is told, and nothing is kept.
    given = ["energy", "calibrate", "--seconds", "2", "--source", f"{sys.executable} {script}"]
    assert run(given) == 2
    assert "power of the CPU of 0 +- " in capsys.readouterr().err
    assert read_calibration() is None


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/nowhere/meter", "does not start"),
        ("'", "is not a command"),
        ("", "is empty"),
        (f"{sys.executable} -c print(chr(104))", "line 1: watts: 'h' is not a number"),
        (f"{sys.executable} -c pass", "ended after 0 lines"),
    ],
)
def test_a_program_that_is_no_meter_exits_with_2(
    command: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["energy", "calibrate", "--source", command]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--idle-watts", "96", "--busy-watts", "43"], "no more than at rest"),
        (["--idle-watts", "-1", "--busy-watts", "43"], "--idle-watts -1 is not above 0"),
        (["--idle-watts", "nan", "--busy-watts", "43"], "--idle-watts nan"),
        (["--idle-watts", "43", "--busy-watts", "inf"], "--busy-watts inf"),
        (["--idle-watts", "43", "--busy-watts", "96", "--load", "1.5"], "at most 1"),
        (["--idle-watts", "43", "--busy-watts", "96", "--load", "0.1"], "varied only"),
        (["--idle-watts", "43", "--csv", "x.csv"], "one of them"),
        (["--source", "x", "--csv", "x.csv"], "one of them"),
        (["--gpu"], "--gpu needs"),
        (["--steps", "x"], "--steps needs"),
        (["--load", "0.5"], "needs both readings"),
    ],
)
def test_mistaken_options_exit_with_2(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str], config: Path
) -> None:
    assert run(["energy", "calibrate", *options]) == 2
    assert words in capsys.readouterr().err
    assert not config.exists()


def test_a_calibration_is_kept_shown_and_forgotten(capsys: pytest.CaptureFixture[str]) -> None:
    assert _calibrated().level == "missing"
    two = ["--idle-watts", "43", "--busy-watts", "96", "--reading-error", "0.5"]
    assert run(["energy", "calibrate", *two, "--dry-run"]) == 0
    assert read_calibration() is None
    assert run(["energy", "calibrate", *two]) == 0
    assert str(calibration_file()) in capsys.readouterr().out
    assert run(["energy", "show"]) == 0
    assert "43.0 W +- 0.5" in capsys.readouterr().out
    assert run(["energy", "show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["idle_power"], shown["cores"]) == (pytest.approx(43), CORES)
    found = _calibrated()
    assert found.level == "good"
    assert "43.0 W +- 0.5 at rest, 53.0 W +- 0.7 more at full load" in found.text
    assert run(["energy", "forget"]) == 0
    assert run(["energy", "show", "--json"]) == 0
    assert capsys.readouterr().out.endswith("null\n")
    assert remove_calibration() is None
    assert run(["energy", "forget"]) == 0


BROKEN: dict[str, Callable[[dict[str, object]], object]] = {
    "a list": lambda found: [found],
    "a word": lambda found: {**found, "idle_power": "43"},
    "infinite": lambda found: {**found, "idle_power": math.inf},
    "nan": lambda found: {**found, "cpu_power": math.nan},
    "below zero": lambda found: {**found, "cpu_power": -1.0},
    "huge": lambda found: {**found, "cpu_power": 1e30},
    "an unknown field": lambda found: {**found, "more": 1},
    "a field too few": lambda found: {k: v for k, v in found.items() if k != "date"},
    "no date": lambda found: {**found, "date": "yesterday"},
    "a date without offset": lambda found: {**found, "date": "2026-11-27"},
    "another machine": lambda found: {**found, "cpu": "Z80"},
    "other cores": lambda found: {**found, "cores": CORES + 1},
    "a small covariance": lambda found: {**found, "covariance": [[1.0]]},
    "no covariance": lambda found: {**found, "covariance": [[1.0, 5.0], [5.0, 1.0]]},
    "variance below zero": lambda found: {**found, "covariance": [[-1.0, 0.0], [0.0, 1.0]]},
    "a slope of no GPU": lambda found: {**found, "gpu_slope": 1.1},
    "a later schema": lambda found: {**found, "schema": 2},
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_calibration_is_told_and_makes_no_figure(
    fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = keep_calibration(kept())
    path.write_text(json.dumps(BROKEN[fault](json.loads(path.read_text()))))
    with pytest.raises(StoreError):
        read_calibration()
    assert run(["energy", "show"]) == 2
    printed = capsys.readouterr().err
    assert str(path) in printed
    assert "cnngen energy forget" in printed
    assert _calibrated().level == "limited"
    assert calibrated(READING, energy().provenance) is None
    assert run(["energy", "forget"]) == 0
    assert read_calibration() is None


def test_what_is_no_file_of_a_calibration_is_no_calibration(tmp_path: Path, config: Path) -> None:
    config.mkdir()
    for content in (b"", b"\x00\xff", b"[" * 10**5, b"{}", b" " * 10**6):
        calibration_file().write_bytes(content)
        with pytest.raises(StoreError):
            read_calibration()
    calibration_file().unlink()
    other = tmp_path / "other.json"
    other.write_text(kept().to_json())
    calibration_file().unlink()
    calibration_file().symlink_to(other)
    with pytest.raises(StoreError, match="symbolic link"):
        read_calibration()


# The figure in records.

MACHINE = replace(energy().provenance, mode="machine", shared=False)
HALF = replace(READING, gpu=0.0, during=Load(10, 10 * CORES * 0.5, 10 * CORES * 0.125))
"""A reading of 10 s with half of all cores busy, an eighth by this process."""


def test_the_calibrated_energy_is_the_fitted_power_at_the_windows_load() -> None:
    assert calibrated(HALF, MACHINE) is None
    found = kept()
    by_meter = calibrated(HALF, MACHINE)
    assert by_meter is not None
    assert by_meter.energy * 3.6e6 == pytest.approx(10 * (40 + 60 * 0.5))
    # Variance of idle + slope / 2: 1 + 4 / 4 - 1.
    assert by_meter.error is not None
    assert by_meter.error * 3.6e6 == pytest.approx(10 * 1.0)
    told = by_meter.told_in(MACHINE)
    assert (told.calibration_date, told.calibration_idle_power) == (found.date, 40)
    keep_calibration(replace(found, covariance=None))
    unsure = calibrated(HALF, MACHINE)
    assert unsure is not None
    assert unsure.error is None


def test_it_is_apportioned_as_the_raw_figure_is() -> None:
    kept()
    shared = calibrated(HALF, replace(MACHINE, shared=True, cpu_share=0.25))
    assert shared is not None
    assert shared.energy * 3.6e6 == pytest.approx(0.25 * 10 * 70)
    for is_shared in (False, True):  # of this process alone, and without idle power
        own = calibrated(HALF, replace(MACHINE, mode="process", shared=is_shared, cpu_share=0.25))
        assert own is not None
        assert own.energy * 3.6e6 == pytest.approx(10 * 60 * 0.125)
    assert calibrated(HALF, replace(MACHINE, shared=True, cpu_share=None)) is None


def test_a_window_that_lacks_what_is_needed_has_none() -> None:
    found = kept()
    assert calibrated(replace(HALF, during=Load(0.1, 0.1, 0.1)), MACHINE) is None
    assert calibrated(replace(HALF, gpu=1e-3), MACHINE) is None  # a GPU that was not calibrated
    covariance = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.01))
    gpus = {"gpu_slope": 1.1, "gpu_idle_power": 60.0, "cards": 2, "covariance": covariance}
    keep_calibration(replace(found, **gpus))  # type: ignore[arg-type]
    kwh = (2 * 60 + 200) * 10 / 3.6e6
    keep_calibration(replace(found, **gpus | {"gpu_idle_power": 120.0}))  # type: ignore[arg-type]
    by_meter = calibrated(replace(HALF, gpu=kwh, cards=2), MACHINE)
    assert by_meter is not None
    assert by_meter.energy * 3.6e6 == pytest.approx(10 * (70 + 1.1 * 200))
    assert calibrated(replace(HALF, gpu=kwh, cards=1), MACHINE) is None
    half = replace(MACHINE, shared=True, cpu_share=0.5, gpu_share=0.25)
    part = calibrated(replace(HALF, gpu=kwh, cards=2), half)
    assert part is not None
    assert part.energy * 3.6e6 == pytest.approx(10 * (0.5 * 70 + 0.25 * 1.1 * 200))


def test_a_meter_puts_it_beside_the_raw_figures() -> None:
    meter = Meter(tdp=100)
    with meter.window("without") as bare:
        sum(range(10**7))
    kept()
    with meter.window("with") as window:
        time.sleep(0.4)
    assert bare.energy is not None
    assert (bare.energy.calibrated_energy, bare.energy.provenance.calibration_date) == (None, None)
    found = window.energy
    assert found is not None
    assert found.calibrated_energy is not None
    watts = found.calibrated_energy * 3.6e6 / found.duration
    assert 40 <= watts <= 100
    assert found.total_energy == pytest.approx(
        found.cpu_energy + found.gpu_energy + found.ram_energy
    )
    assert found.provenance.calibration_method == "power log"
    calibration_file().write_text("{")
    with meter.window("broken") as window:
        time.sleep(0.4)
    assert window.cause is None
    assert window.energy is not None
    assert window.energy.calibrated_energy is None


def test_windows_that_belong_together_add_up_unless_calibrated_otherwise() -> None:
    one = energy()
    both = one.after(one)
    assert both.calibrated_energy == pytest.approx(2 * 2e-4)
    assert both.provenance.calibration_error == pytest.approx(2e-6)
    other = replace(one, provenance=replace(one.provenance, calibration_date="2026-01-01"))
    mixed = one.after(other)
    assert (mixed.calibrated_energy, mixed.provenance.calibration_date) == (None, None)
    assert mixed.total_energy == both.total_energy
    bare = replace(one, calibrated_energy=None)
    assert one.after(bare).calibrated_energy is None


def test_records_from_before_calibrations_can_be_read() -> None:
    tree = json.loads(record().to_json())
    del tree["energy"]["calibrated_energy"]
    for name in [name for name in tree["energy"]["provenance"] if name.startswith("calibration_")]:
        del tree["energy"]["provenance"][name]
    old = Record.from_json(json.dumps(tree))
    assert old.energy is not None
    assert old.energy.calibrated_energy is None
    assert old.energy.provenance.calibration_date is None


def test_show_tells_the_raw_energy_from_that_at_the_plug(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from test_store import SOURCE, network

    from cnngen.runs.store import save

    run_folder = save(tmp_path / "runs", record(), network(), SOURCE)
    assert run(["show", str(run_folder)]) == 0
    shown = capsys.readouterr().out
    assert "0.0700 Wh" in shown
    assert "0.2000 Wh +- 0.0010 by calibration (power log, 2026-11-27): 43.0 W at rest" in shown
    assert run(["show", str(tmp_path / "runs")]) == 0
    shown = capsys.readouterr().out
    assert "By calibration with a meter, the energy at the plug is 2.9 times that." in shown
