"""Campaigns with a stand-in for the training, and one with PyTorch."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from itertools import chain
from pathlib import Path

import numpy as np
import psutil
import pytest
import stand_in
from stand_in import images, plan

from cnngen.errors import CnnGenError, DataError, StoreError
from cnngen.runs.campaign import Job, Plan, Shard, Tally, Watch, Workers, local, run_campaign
from cnngen.runs.merge import merge_folders
from cnngen.runs.parquet_index import read_index
from cnngen.runs.record import Record
from cnngen.runs.store import load
from cnngen.runs.table import table
from cnngen.space.sampling import Bounds, sample, sample_many
from cnngen.system import plugins
from cnngen.training.data.shared import SharedData, shared
from cnngen.training.protocol import Protocol


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The stand-in installed, in this process and in those it starts."""
    path = stand_in.install(tmp_path / "plugins")
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.syspath_prepend(tmp_path / "plugins")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log"))
    (tmp_path / "log").touch()
    plugins._declared.cache_clear()
    plugins._made.cache_clear()
    yield path
    plugins._declared.cache_clear()
    plugins._made.cache_clear()


class Told(Watch):
    """What a campaign told, for tests to look at."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.epochs: Counter[str] = Counter()

    def began(self, job: Job) -> None:
        self.lines.append(f"began {job.network.id}")

    def epoch(self, key: str, epoch: object) -> None:
        self.epochs[key] += 1

    def lost(self, job: Job, cause: str) -> None:
        self.lines.append(f"lost {job.network.id}")

    def given_up(self, job: Job, cause: str) -> None:
        self.lines.append(f"given up {job.network.id}")

    def ended(self, record: Record, *, new: bool) -> None:
        self.lines.append(f"{'new' if new else 'old'} {record.id}")

    def broken(self, run: Path, reason: str, moved: Path | None) -> None:
        self.lines.append(f"{'left' if moved is None else 'moved'} {run.name}")


def run(plan: Plan, folder: Path, *, workers: int = 2, **options: object) -> Tally:
    return run_campaign(plan, images(), folder, executor=local(workers), **options)  # type: ignore[arg-type]


def wanted(count: int, **options: object) -> list[str]:
    """The ids of the networks that a campaign of the stand-in should have."""
    drawn = sample_many(count, "compact", input_shape=(8, 8, 1), classes=3, **options)  # type: ignore[arg-type]
    return [network.id for network in drawn]


def trained(folder: Path) -> list[str]:
    """The ids of the networks that were trained so far, in the order of their beginning."""
    return [line.split()[1] for line in (folder / "log").read_text().splitlines()]


def check(folder: Path, ids: list[str]) -> None:
    """A folder is whole: these networks once each, every file of each, and the index right."""
    runs = load(folder)
    assert not runs.broken
    assert sorted(record.id for record in runs) == sorted(ids)
    for record in runs:
        names = {file.name for file in runs.path(record).iterdir()}
        assert names >= {"model.cnn", "model_stand_in.py", "record.json", "adjacency.json"}
    indexed = read_index(folder)
    assert indexed is not None
    assert indexed.equals(table(runs))


def test_a_campaign_trains_each_network_of_its_list_once_and_may_grow(tmp_path: Path) -> None:
    told = Told()
    tally = run(plan(3), tmp_path / "runs", watches=[told])
    check(tmp_path / "runs", wanted(3))
    assert (tally.done, tally.new, tally.statuses) == (3, 3, {"ok": 3})
    assert set(told.epochs.values()) == {2}
    again = run(plan(3), tmp_path / "runs")
    assert (again.done, again.new) == (3, 0)
    run(plan(5), tmp_path / "runs")
    check(tmp_path / "runs", wanted(5))
    assert sorted(trained(tmp_path)) == sorted(wanted(5))
    assert json.loads((tmp_path / "runs/campaign.json").read_text())["count"] == 5


def test_repeats_train_each_network_with_seeds_of_its_own_and_may_grow(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    tally = run(replace(plan(2), repeats=2), folder)
    assert (tally.total, tally.done, tally.new) == (4, 4, 4)
    assert (more := run(replace(plan(3), repeats=3), folder)).new == 5
    assert more.done == more.total == 9
    seeds = {(record.id, record.protocol.seed) for record in load(folder)}
    assert seeds == {(network, seed) for network in wanted(3) for seed in (0, 1, 2)}
    with pytest.raises(StoreError, match="repeats is 3 there"):
        run(plan(3), folder)


def test_a_space_with_few_networks_ends_with_those_there_are(tmp_path: Path) -> None:
    """Also again, and when only as many are asked for; fewer are still refused."""
    text = files("cnngen").joinpath("space/spaces/compact.toml").read_text()
    for key, value in {
        "count": "[1, 1]",
        "merge": "0",
        "pooling": "0",
        "kinds": '["conv"]',
        "kernels": "[1]",
        "strides": "[1]",
        "dense": "[1, 1]",
        "dropout": "0",
        "activations": '["relu"]',
    }.items():
        text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
    text = re.sub(r"(?ms)(\[pooling\].*?)^kinds = .*?$", r'\1kinds = ["max_pooling"]', text)
    (tmp_path / "few.toml").write_text(text)
    few = replace(plan(9), space=str(tmp_path / "few.toml"))
    tally = run(few, tmp_path / "runs")
    assert tally.exhausted
    assert tally.new == tally.done == tally.total == len(load(tmp_path / "runs")) < 9
    for count in (9, tally.total):
        again = run(replace(few, count=count), tmp_path / "runs")
        assert (again.new, again.done, again.total) == (0, tally.total, tally.total)
        assert again.exhausted is (count == 9)
    with pytest.raises(StoreError, match="count"):
        run(replace(few, count=tally.total - 1), tmp_path / "runs")


def test_workers_share_the_cores_and_the_images(tmp_path: Path) -> None:
    run(plan(4), tmp_path / "runs")
    cores = len(os.sched_getaffinity(0))
    lines = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    assert {(threads, total) for _, _, threads, total in lines} == {
        (str(max(1, cores // 2)), str(images().images.sum()))
    }
    assert os.environ.get("OMP_NUM_THREADS") is None


def test_what_a_record_says_draws_its_network_again(tmp_path: Path) -> None:
    bounds = Bounds(layers=(8, 20))
    run(plan(3, bounds=bounds, seed=7), tmp_path / "runs")
    for record in load(tmp_path / "runs"):
        assert record.space is not None
        assert record.seed is not None
        drawn = sample(
            record.space, input_shape=(8, 8, 1), classes=3, seed=record.seed, bounds=bounds
        )
        assert drawn.id == record.id
        assert 8 <= record.layers <= 20


def test_no_network_of_a_list_depends_on_how_many_there_are_or_on_shards() -> None:
    whole = [draw.network.id for draw in plan(11).draws(images())]
    assert whole[:5] == [draw.network.id for draw in plan(5).draws(images())]
    parts = [
        [draw.network.id for draw in plan(11, shard=Shard(i, 4)).draws(images())]
        for i in (1, 2, 3, 4)
    ]
    assert [len(plan(11, shard=Shard(i, 4))) for i in (1, 2, 3, 4)] == [3, 3, 3, 2]
    assert sorted(chain(*parts)) == sorted(whole)
    for shard in (Shard(0, 4), Shard(5, 4)):
        with pytest.raises(CnnGenError, match="no shard"):
            plan(11, shard=shard)


def test_merged_shards_are_the_whole_campaign_and_it_goes_on_in_them(tmp_path: Path) -> None:
    parts = [tmp_path / f"part{i}" for i in (1, 2)]
    for i, part in enumerate(parts, 1):
        run(plan(5, shard=Shard(i, 2)), part)
    merged = merge_folders(tmp_path / "all", parts)
    assert (merged.copied, merged.same, merged.conflicts, merged.broken) == (5, 0, {}, {})
    check(tmp_path / "all", wanted(5))
    for kept in load(parts[0]):
        for file in (parts[0] / kept.key).iterdir():
            assert (tmp_path / "all" / kept.key / file.name).read_bytes() == file.read_bytes()
    again = merge_folders(tmp_path / "all", parts)
    assert (again.copied, again.same) == (0, 5)
    assert run(plan(5), tmp_path / "all").new == 0


def test_a_merge_names_conflicts_and_broken_runs_and_copies_the_rest(tmp_path: Path) -> None:
    for name, count in (("a", 2), ("b", 3)):
        run(plan(count), tmp_path / name)
    one, two = (tmp_path / "b" / record.key for record in load(tmp_path / "a"))
    text = (one / "record.json").read_text()
    (one / "record.json").write_text(text.replace('"test_accuracy": 0.75', '"test_accuracy": 0.5'))
    (two / "record.json").write_text("{")
    merged = merge_folders(tmp_path / "all", [tmp_path / "a", tmp_path / "b"])
    assert merged.copied == 3
    assert list(merged.conflicts) == [one]
    assert "0.500" in merged.conflicts[one]
    assert list(merged.broken) == [two]
    assert {record.test_accuracy for record in load(tmp_path / "all")} == {0.75}
    with pytest.raises(StoreError, match="into itself"):
        merge_folders(tmp_path / "all", [tmp_path / "all"])


def test_another_campaign_on_a_folder_is_refused_and_the_difference_named(tmp_path: Path) -> None:
    run(plan(2), tmp_path / "runs")
    others = {
        "seed is 0 there, 1 here": plan(2, seed=1),
        "count is 2 there, 1 here": plan(1),
        "protocol.batch is 64 there, 32 here": plan(3, protocol=Protocol(epochs=2, batch=32)),
        'space.name is "compact" there, "paper" here': plan(2, space="paper"),
        'shard is "1/1" there, "1/2" here': plan(2, shard=Shard(1, 2)),
        r"bounds.layers is \[null, null\] there, \[null, 30\] here": plan(
            2, bounds=Bounds(layers=(None, 30))
        ),
    }
    for difference, other in others.items():
        with pytest.raises(StoreError, match=difference):
            run(other, tmp_path / "runs")
    changed = replace(images(), images=images().images + np.uint8(1))
    with pytest.raises(StoreError, match=r"data\.digest"):
        run_campaign(plan(2), changed, tmp_path / "runs", executor=local(1))
    (tmp_path / "runs/campaign.json").write_text("[" * 100_000)
    with pytest.raises(StoreError, match="cannot be read"):
        run(plan(2), tmp_path / "runs")


@pytest.mark.parametrize("younger", [("schedule", "warmup", "augmentation", "abort_dead"), ()])
def test_a_campaign_of_an_older_version_goes_on_with_the_networks_it_began_with(
    tmp_path: Path, younger: tuple[str, ...]
) -> None:
    """It stated no limit of seeds, and perhaps not every field of the protocol."""
    settings = plan(2).settings(images())
    for name in ("seeds_below", *(f"protocol.{name}" for name in younger)):
        del settings[name]
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/campaign.json").write_text(json.dumps(settings))
    run(plan(3), tmp_path / "runs")
    seeds = {record.id: record.seed for record in load(tmp_path / "runs")}
    # As that version drew them.
    assert seeds.items() >= {
        ("75963ea1c225f133", 15862011820431526373),
        ("e8de68b7e5608946", 8392984980442859653),
    }
    check(tmp_path / "runs", list(seeds))
    assert "seeds_below" not in json.loads((tmp_path / "runs/campaign.json").read_text())
    assert run(plan(3), tmp_path / "runs").new == 0


HOLDER = """
import sys, time
from pathlib import Path
from cnngen.system.folder_lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""


def test_two_campaigns_do_not_work_in_one_folder_and_a_killed_one_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(StoreError, match=f"at work in .*: process {other.pid} on"):
        run(plan(1), folder)
    other.kill()
    other.wait()
    run(plan(1), folder)
    check(folder, wanted(1))


def test_whatever_a_network_does_to_its_worker_its_record_says_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = wanted(9)
    kinds = ["kill", "kill-once", "crash", "exit", "hang", "memory", "bug"]
    fails = " ".join(f"{i}:{kind}" for i, kind in zip(ids, kinds, strict=False))
    monkeypatch.setenv("STAND_IN_FAILS", fails)
    told = Told()
    tally = run_campaign(
        plan(9), images(), tmp_path / "runs", executor=local(2, patience=3), watches=[told]
    )
    check(tmp_path / "runs", ids)
    records = {record.id: record for record in load(tmp_path / "runs")}
    found = {kind: records[i] for i, kind in zip(ids, kinds, strict=False)}
    causes = {kind: (record.status, record.cause) for kind, record in found.items()}
    killed, code, silent = (
        "its worker was killed by SIGKILL",
        "its worker ended with code 3",
        "no sign of life for 3 s",
    )
    crashed = "its worker was killed by SIGSEGV in the framework"
    assert causes == {
        "kill": ("error", f"stand_in: {killed}; before that, {killed}"),
        "kill-once": ("ok", None),
        "crash": ("error", f"stand_in: {crashed}; not tried again, for a crash mostly comes back"),
        "exit": ("error", f"stand_in: {code}; before that, {code}"),
        "hang": ("error", f"stand_in: {silent}; before that, {silent}"),
        "memory": ("out_of_memory", "stand_in: 9 GB"),
        "bug": ("error", "stand_in: ZeroDivisionError: a bug of the backend"),
    }
    times = Counter(trained(tmp_path))
    assert [times[i] for i in ids] == [2, 2, 1, 2, 2, 1, 1, 1, 1]
    assert tally.failures == {"error": 5, "out_of_memory": 1}
    assert sum(line.startswith("lost") for line in told.lines) == tally.anew == 4
    assert sum(line.startswith("given up") for line in told.lines) == 4


RUBBISH = {
    "no emit": "emits no source: ZeroDivisionError: nothing to emit",
    "emit None": "emits no source: AttributeError",
    "emit surrogate": "emits no source: UnicodeEncodeError",
    "give None": "gives a NoneType for a training",
    "give too much": "gives no valid result: test_accuracy",
    "give nan": "says 'ok' and gives no test accuracy",
    "give text": "gives no valid result",
    "tell None": "tells of no epoch",
    "quit": "SystemExit: bye",
}
"""What a backend may do wrong without dying, and what its record then says."""


def test_rubbish_from_a_backend_is_in_its_own_record_with_its_name_and_in_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = wanted(len(RUBBISH) + 2)
    fails = " ".join(f"{i}:{kind.replace(' ', '-')}" for i, kind in zip(ids, RUBBISH, strict=False))
    monkeypatch.setenv("STAND_IN_FAILS", fails)
    told = Told()
    run_campaign(plan(len(ids)), images(), tmp_path / "runs", executor=local(1), watches=[told])
    check(tmp_path / "runs", ids)
    records = {record.id: record for record in load(tmp_path / "runs")}
    for i, said in zip(ids, RUBBISH.values(), strict=False):
        assert records[i].status == "error"
        assert "stand_in" in str(records[i].cause)
        assert said in str(records[i].cause)
        source = (tmp_path / "runs" / records[i].key / "model_stand_in.py").read_text()
        assert source == ("" if "emit" in said else f"# {i}\n")
    assert [records[i].status for i in ids[-2:]] == ["ok", "ok"]
    assert not any(line.startswith("lost") for line in told.lines)


def test_what_stops_every_model_stops_the_campaign_and_is_in_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    official = plan(2, protocol=Protocol(split="official"))
    with pytest.raises(DataError, match="no test images"):
        run(official, tmp_path / "runs")
    with pytest.raises(CnnGenError, match="Atlantis"):
        run(plan(2, country="Atlantis"), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    monkeypatch.setenv("STAND_IN_FAILS", f"{wanted(1)[0]}:import")
    with pytest.raises(ImportError, match="no framework here"):
        run(plan(4), tmp_path / "runs", workers=1)
    assert len(load(tmp_path / "runs")) == 0


def test_a_run_that_cannot_be_read_is_reported_and_moved_aside_only_when_asked(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "runs"
    run(plan(3), folder)
    victim = load(folder)[1]
    path = folder / victim.key / "record.json"
    path.write_bytes(path.read_bytes()[:300])
    told = Told()
    tally = run(plan(4), folder, watches=[told])
    assert f"left {victim.key}" in told.lines
    assert (tally.done, tally.unreadable) == (3, 1)
    assert path.stat().st_size == 300
    tally = run(plan(4), folder, watches=[told], repair=True)
    assert f"moved {victim.key}" in told.lines
    assert (tally.done, tally.new, tally.unreadable) == (4, 1, 0)
    check(folder, wanted(4))
    (aside,) = (folder / ".broken").iterdir()
    assert (aside / "record.json").stat().st_size == 300


FULL = """
import resource, sys
from pathlib import Path
import stand_in
from cnngen.runs.campaign import local, run_campaign
from cnngen.errors import StoreError
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    run_campaign(stand_in.plan(3), stand_in.images(), sys.argv[1], executor=local(1))
except StoreError as error:
    print(error)
"""


def test_a_disk_without_room_stops_a_campaign_with_a_message_and_it_can_go_on(
    tmp_path: Path,
) -> None:
    # The system itself refuses to write files of more than 20 kB, as pictures are.
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "runs")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot be written: File too large\nRuns need a folder, with room" in done.stdout
    assert len(load(tmp_path / "runs")) == 0
    run(plan(3), tmp_path / "runs")
    check(tmp_path / "runs", wanted(3))


def test_stopping_waits_for_what_has_begun_and_the_next_campaign_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_SECONDS", "0.3")
    stop = threading.Event()

    class StopAtOnce(Watch):
        def ended(self, record: Record, *, new: bool) -> None:
            stop.set()

    run(plan(20), tmp_path / "runs", stop=stop, watches=[StopAtOnce()])
    done = len(load(tmp_path / "runs"))
    assert 1 <= done <= 4
    assert done == len(trained(tmp_path))
    monkeypatch.setenv("STAND_IN_SECONDS", "0")
    run(plan(20), tmp_path / "runs")
    check(tmp_path / "runs", wanted(20))
    assert len(trained(tmp_path)) == 20


def test_a_shared_data_set_is_the_same_one_and_leaves_no_file_that_could_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = set(tmp_path.iterdir())
    data = replace(images(), test_start=20)
    with shared(data) as handed, Workers(1, files=[handed.file]) as workers:
        assert set(tmp_path.iterdir()) == before
        again = workers.submit(SharedData.open, handed).result()
        assert again.digest == data.digest
        assert again.summary == data.summary
        assert not handed.open().images.flags.owndata
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"cannot be written.*: No "), shared(data):
        pass


CAMPAIGN = ("campaign", "-n", "30", "-s", "compact", "--epochs", "2", "-w", "2", "-o", "runs")


def start(tmp_path: Path, *arguments: str, seconds: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "cnngen", *arguments, "-b", stand_in.NAME],
        cwd=tmp_path,
        env={**os.environ, "STAND_IN_SECONDS": seconds, "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_log(tmp_path: Path, lines: int) -> None:
    deadline = time.monotonic() + 300
    while len(trained(tmp_path)) < lines:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("presses", "seconds"), [(1, "0.3"), (2, "50")])
def test_ctrl_c_ends_with_code_130_and_says_how_to_go_on(
    tmp_path: Path, presses: int, seconds: str
) -> None:
    campaign = start(tmp_path, *CAMPAIGN, seconds=seconds)
    wait_for_log(tmp_path, 2)
    workers = psutil.Process(campaign.pid).children(recursive=True)
    errors = ""
    for press in range(presses):
        os.killpg(campaign.pid, signal.SIGINT)  # as a terminal does: the whole group gets it
        while press < presses - 1 and "Ctrl-C again" not in errors:
            line = campaign.stderr.readline()  # type: ignore[union-attr]
            assert line, errors
            errors += line
    errors += campaign.communicate(timeout=200)[1]
    assert campaign.returncode == 130, errors
    assert "Run the same command again to resume." in errors
    assert "Traceback" not in errors
    assert not psutil.wait_procs(workers, timeout=60)[1]
    done = len(load(tmp_path / "runs"))
    assert done == (0 if presses == 2 else len(trained(tmp_path)))
    assert f"stopped; {done} of 30 networks" in errors


def test_ctrl_c_ends_the_first_command_and_it_goes_on_where_it_was(tmp_path: Path) -> None:
    for seconds in ("0.5", "0"):
        first = start(tmp_path, "-n", "4", "-o", "runs", seconds=seconds)
        if seconds == "0.5":
            wait_for_log(tmp_path, 2)
            os.killpg(first.pid, signal.SIGINT)
        _, errors = first.communicate(timeout=200)
        assert "Traceback" not in errors
        if seconds == "0.5":
            assert first.returncode == 130
            assert "stopped; run the same command again" in errors
            assert 1 <= len(load(tmp_path / "runs")) < 4
    assert first.returncode == 0, errors
    assert len(load(tmp_path / "runs")) == 4


def test_a_campaign_with_pytorch_gives_records_an_index_and_a_card(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cnngen", "campaign", "-n", "8", "-s", "compact", "--layers", ":14",
         "--epochs", "4", "-w", "2", "-o", "runs", "--country", "FRA", "--tensorboard"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("8 of 8 networks in runs: ")
    records = list(load(tmp_path / "runs"))
    assert len({record.id for record in records}) == 8
    assert any(record.energy is not None for record in records)
    for record in records:
        assert record.status == "ok"
        assert (tmp_path / "runs/tensorboard" / record.key).is_dir()
        assert (record.hardware.threads, record.epochs) == (1, 4)
        if record.energy is None:
            assert record.energy_cause == "the window was too short to be apportioned"
            continue
        assert record.energy.country_name == "France"
        assert record.energy.provenance.shared
    assert max(record.test_accuracy or 0 for record in records) > 0.3
    assert len(read_index(tmp_path / "runs")) == 8  # type: ignore[arg-type]
    card = (tmp_path / "runs/README.md").read_text()
    assert "CNNGen: 8 networks on digits" in card
    for figure in ("accuracy", "energy", "layers"):
        assert (tmp_path / f"runs/figures/{figure}.svg").exists()
