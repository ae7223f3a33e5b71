"""Comparisons with a stand-in for frameworks, and one with frameworks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import pytest
import rivals

from cnngen.cli.app import run
from cnngen.comparison import CompareWatch, Comparison, compare, read_comparison
from cnngen.errors import BackendError, CnnGenError, StoreError
from cnngen.network import Network
from cnngen.runs.store import load
from cnngen.space.sampling import sample_many
from cnngen.system import plugins
from cnngen.training.data import Dataset, save_npz
from cnngen.training.protocol import PROTOCOLS, Protocol


@pytest.fixture(autouse=True)
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The rivals installed, in this process and in those it starts; gives what they tell."""
    monkeypatch.setenv("PYTHONPATH", rivals.install(tmp_path / "plugins"))
    monkeypatch.syspath_prepend(tmp_path / "plugins")
    monkeypatch.setenv("RIVALS_LOG", str(tmp_path / "log"))
    (tmp_path / "log").touch()
    plugins._declared.cache_clear()
    plugins._made.cache_clear()
    yield tmp_path / "log"
    plugins._declared.cache_clear()
    plugins._made.cache_clear()


class Training(NamedTuple):
    process: str
    mode: str
    network: str
    seed: int
    start: str


def trainings(log: Path) -> list[Training]:
    lines = (line.split() for line in log.read_text().splitlines())
    return [Training(a, b, c, int(seed), start) for a, b, c, seed, start in lines]


def images() -> Dataset:
    pixels = (np.arange(60 * 64) % 251).astype(np.uint8).reshape(60, 8, 8, 1)
    return Dataset("made up", pixels, np.arange(60) % 3, ("a", "b", "c"))


def networks(count: int) -> list[Network]:
    return list(sample_many(count, "compact", input_shape=(8, 8, 1), classes=3))


def compared(
    folder: Path,
    *modes: str,
    count: int = 1,
    repeats: int = 1,
    patience: float = 300,
    watches: Sequence[CompareWatch] = (),
) -> Comparison:
    return compare(
        networks(count),
        images(),
        Protocol(epochs=3),
        [f"rivals:{mode}" for mode in modes],
        repeats=repeats,
        folder=folder,
        idle_seconds=0,
        patience=patience,
        watches=watches,
    )


def test_modes_take_turns_each_in_processes_of_its_own_that_warm_up_first(
    tmp_path: Path, log: Path
) -> None:
    comparison = compared(tmp_path / "out", "steady", "slow", count=2, repeats=2)
    told = trainings(log)
    order = [training.process for training in told]
    processes = list(dict.fromkeys(order))
    assert len(processes) == 4
    assert order == sorted(order, key=processes.index)  # none came back after another
    modes = [next(t.mode for t in told if t.process == process) for process in processes]
    assert modes == ["steady", "slow", "slow", "steady"]
    one, other = (network.id for network in networks(2))
    for process, repeat in zip(processes, (0, 0, 1, 1), strict=True):
        warm_up, *rest = [training for training in told if training.process == process]
        assert warm_up.network not in (one, other)
        assert [t.network for t in rest] == [[one, other], [other, one]][repeat]
        assert {t.seed for t in rest} == {repeat}
    starts = {(t.mode, t.network, t.seed): t.start for t in told}
    for network in (one, other):
        for seed in (0, 1):
            assert starts["steady", network, seed] == starts["slow", network, seed]
    assert len({start for (_, network, _), start in starts.items() if network == one}) == 2
    assert len(comparison.records) == 8
    assert comparison.frameworks["rivals:slow"] == "rivals 1.0, slow"


def test_a_folder_serves_again_for_more_repeats_and_not_for_other_settings(
    tmp_path: Path, log: Path
) -> None:
    folder = tmp_path / "out"
    compared(folder, "steady", "slow")
    before = len(trainings(log))
    assert before == 4
    more = compared(folder, "steady", "slow", repeats=2)
    assert [t.seed for t in trainings(log)[before:] if t.network == networks(1)[0].id] == [1, 1]
    read = read_comparison(folder)
    assert read.measures == more.measures
    assert read.design == more.design
    assert len(read.records) == 4
    with pytest.raises(StoreError, match="contains another comparison: protocol"):
        compare(
            networks(1),
            images(),
            Protocol(epochs=4),
            ["rivals:steady", "rivals:slow"],
            folder=folder,
            idle_seconds=0,
        )
    # The folder of a mode is one of runs like any other, and no mode can name another.
    (record, _) = load(folder / "rivals-slow")
    assert record.versions.framework == "rivals 1.0, slow"
    assert (folder / "rivals-slow" / "index.parquet").is_file()
    file = folder / "comparison.json"
    file.write_text(file.read_text().replace("rivals:slow", "rivals:../../x"))
    with pytest.raises(StoreError, match="is not a valid comparison file"):
        read_comparison(folder)


def test_faults_have_the_name_of_their_mode_and_spoil_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnngen.comparison.experiment.GIVE_UP", 1)
    comparison = compared(tmp_path / "out", "steady", "crash", "absent", "raises")
    assert set(comparison.faults) == {"rivals:crash", "rivals:raises", "rivals:absent"}
    assert "pip install rivals" in comparison.faults["rivals:absent"]
    assert "SIGSEGV" in comparison.faults["rivals:crash"]
    assert "a bug of the backend" in comparison.faults["rivals:raises"]
    statuses = {mode: record.status for (mode, _, _), record in comparison.records.items()}
    assert statuses == {
        "rivals:steady": "ok",
        "rivals:crash": "error",
        "rivals:raises": "error",
    }


def test_a_mode_that_hangs_is_ended_and_named(tmp_path: Path) -> None:
    comparison = compared(tmp_path / "out", "hang", "steady", patience=8)
    causes = {mode: record.cause for (mode, _, _), record in comparison.records.items()}
    assert "no sign of life for 8 s" in (causes["rivals:hang"] or "")
    assert causes["rivals:steady"] is None


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"modes": ["../../etc", "b"]}', "[" * 100_000, '{"schema": 2}'],
)
def test_a_folder_from_a_stranger_is_checked_before_it_is_used(
    tmp_path: Path, content: str
) -> None:
    (tmp_path / "comparison.json").write_text(content)
    with pytest.raises(StoreError, match="is not a valid comparison file"):
        read_comparison(tmp_path)


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="no mode 'fast'"):
        compared(tmp_path / "out", "steady", "fast")
    with pytest.raises(CnnGenError, match="at least two modes"):
        compared(tmp_path / "out", "steady")
    assert not (tmp_path / "out").exists()


def arguments(tmp_path: Path, *more: str) -> list[str]:
    """Of the command, for two networks on images of three classes."""
    save_npz(images(), tmp_path / "made_up.npz", PROTOCOLS["quick"])
    return [
        *("compare", "--data", str(tmp_path / "made_up.npz"), "--out", str(tmp_path / "out")),
        *("-n", "2", "--epochs", "2", "--idle", "0", *more),
    ]


def test_the_command_tells_what_each_needs_and_gives_json_alone_on_stdout(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pair = arguments(tmp_path, "--backends", "rivals:rubbish,rivals:slow", "-n", "3", "-r", "2")
    assert run([*pair, "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    verdict = next(v for v in told["verdicts"] if v["scope"] == "networks")
    assert verdict["told_apart"]
    assert verdict["interval"]["ratio"] == pytest.approx(2)
    assert len(told["measures"]) == 12
    assert run(pair) == 0
    shown = capfd.readouterr().out
    assert "rivals:rubbish needs 2 (2 to 2) times less time than rivals:slow." in shown
    for name in ("time", "accuracy"):
        text = " ".join(ElementTree.parse(tmp_path / "out" / f"{name}.svg").getroot().itertext())
        assert "rivals:slow" in text
        assert "Energy is missing" in text
    assert not (tmp_path / "out" / "energy.svg").exists()


@pytest.mark.parametrize("backends", ["", "rivals:steady"])
def test_less_than_two_backends_are_a_mistake_of_the_user(
    tmp_path: Path, backends: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments(tmp_path, "--backends", backends)) == 2
    assert "at least two modes" in capsys.readouterr().err


def test_one_mode_that_can_run_is_refused_before_it_is_trained(
    tmp_path: Path, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments(tmp_path, "--backends", "rivals:steady,rivals:absent", "-r", "1")) == 2
    told = capsys.readouterr()
    assert "only rivals:steady can run, with nothing to compare it to" in told.err
    assert "pip install rivals" in told.err
    assert not trainings(log)


def test_only_modes_that_can_run_are_counted(tmp_path: Path) -> None:
    expected: list[tuple[int, int]] = []

    class Counting(CompareWatch):
        def modes_found(self, modes: int, trainings: int) -> None:
            expected.append((modes, trainings))

    watch = Counting()
    compared(tmp_path / "out", "steady", "absent", "slow", repeats=2, watches=[watch])
    assert expected == [(2, 2 * 2)]


def test_unequal_accuracies_are_said_and_give_no_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = ["--backends", "rivals:worse,rivals:slow", "--repeats", "2", "-n", "1"]
    assert run(arguments(tmp_path, *pair)) == 0
    shown = capsys.readouterr().out
    assert "is unequal in rivals:worse and rivals:slow" in shown
    assert "times less" not in shown


def test_a_comparison_that_is_stopped_goes_on_and_keeps_what_it_has(
    tmp_path: Path, log: Path
) -> None:
    given = arguments(tmp_path, "--backends", "rivals:steady,rivals:slow", "--repeats", "1")
    environment = os.environ | {"RIVALS_SECONDS": "1"}

    def stopped_by(number: signal.Signals, count: int) -> tuple[int, str]:
        """Run the command until so many trainings have begun, and then send it a signal."""
        with subprocess.Popen(
            [sys.executable, "-m", "cnngen", *given],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            deadline = time.monotonic() + 300
            while len(trainings(log)) < count:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            process.send_signal(number)
            _, errors = process.communicate(timeout=300)
        return process.returncode, errors

    code, errors = stopped_by(signal.SIGINT, 2)  # a warm-up, and the first training
    assert code == 130
    assert "stopped; 1 of 4 trainings" in errors
    stopped_by(signal.SIGKILL, 6)  # another, and in the other mode a warm-up and the first
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("record.json")}
    assert len(kept) == 2
    assert run(given) == 0
    assert len(read_comparison(tmp_path / "out").records) == 4
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_one_framework_in_two_processes_reaches_the_same_and_has_its_energy(tmp_path: Path) -> None:
    """The same first weights, batches and code: only time and energy may differ."""
    comparison = compare(
        networks(1),
        images(),
        Protocol(epochs=100),  # long enough for CPU times, in ticks of 10 ms
        ["torch", "torch:eager"],
        repeats=1,
        folder=tmp_path / "out",
        idle_seconds=1,
        energy_mode="process",
    )
    assert not comparison.faults
    one, other = comparison.records.values()
    assert [epoch.train_loss for epoch in one.history] == [
        epoch.train_loss for epoch in other.history
    ]
    assert one.test_loss == other.test_loss
    for measure in comparison.measures:
        assert measure.energy is not None
        assert measure.net_energy is not None
        assert 0 < measure.net_energy < measure.energy
    assert comparison.frameworks["torch"].startswith("torch ")
    text = " ".join(comparison.provenance)
    assert one.energy is not None
    if one.energy.provenance.cpu.method == "modelled":
        assert "Energy above idle is the CPU's alone" in text
    else:
        assert "is subtracted" in text
    assert not any(verdict.told_apart for verdict in comparison.verdicts)


def test_precisions_are_compared_as_frameworks_are(tmp_path: Path) -> None:
    given: dict[str, object] = {"repeats": 1, "folder": tmp_path / "out", "idle_seconds": 0}
    modes = ["torch@float32", "torch@bfloat16"]
    comparison = compare(networks(1), images(), Protocol(epochs=2), modes, **given)  # type: ignore[arg-type]
    assert not comparison.faults
    assert comparison.modes == tuple(modes)
    one, other = comparison.records.values()
    assert (one.precision, other.precision) == ("float32", "bfloat16")
    assert one.train_loss is not None
    assert one.train_loss != other.train_loss == pytest.approx(one.train_loss, rel=0.1)
    again = compare(networks(1), images(), Protocol(epochs=2), modes, **given)  # type: ignore[arg-type]
    assert again.records == comparison.records
    with pytest.raises(CnnGenError, match="no precision 'half'"):
        compare(networks(1), images(), Protocol(epochs=2), ["torch", "torch@half"], **given)  # type: ignore[arg-type]
    stored = tmp_path / "out" / "comparison.json"
    stored.write_text(stored.read_text().replace("@bfloat16", "@half"))
    with pytest.raises(StoreError, match="unknown precision 'half'"):
        read_comparison(tmp_path / "out")
