"""Processes of a campaign are killed at random moments, fifty times."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import stand_in

from cnngen.runs.parquet_index import read_index
from cnngen.runs.record import Record
from cnngen.runs.run_folder import run_paths
from cnngen.runs.store import load
from cnngen.runs.table import table
from cnngen.space.sampling import sample_many

KILLS = 50
AHEAD = 60
"""How many networks a campaign has to train, more than it gets to before it is killed."""

CAMPAIGN = """
import sys, stand_in
from cnngen.runs.campaign import local, run_campaign
run_campaign(stand_in.plan(int(sys.argv[2])), stand_in.images(), sys.argv[1], executor=local(2))
"""


def begin(folder: Path, count: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", CAMPAIGN, str(folder), str(count)],
        env=environment,
        stderr=(folder.parent / "stderr").open("w"),
    )


def workers(campaign: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(campaign.pid).children()
    except psutil.Error:
        return []


def wait_for_growth(log: Path, campaign: subprocess.Popen[bytes]) -> None:
    size = log.stat().st_size
    deadline = time.monotonic() + 300
    while log.stat().st_size == size:
        assert not campaign.poll(), (log.parent / "stderr").read_text()
        assert time.monotonic() < deadline, f"{len(workers(campaign))} workers do nothing"
        time.sleep(0.01)


def check(folder: Path) -> dict[str, bytes]:
    """Every visible run is whole; gives their records."""
    found = {}
    for run in run_paths(folder):
        names = {file.name for file in run.iterdir()}
        assert names >= {"model.cnn", "model_stand_in.py", "record.json", "adjacency.json"}
        found[run.name] = (run / "record.json").read_bytes()
        assert Record.from_json(found[run.name]).key == run.name
    return found


def test_whenever_processes_are_killed_nothing_is_lost_doubled_or_broken(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = {
        **os.environ,
        "PYTHONPATH": stand_in.install(tmp_path / "plugins"),
        "STAND_IN_SECONDS": "0.02",
        "STAND_IN_LOG": str(tmp_path / "log"),
        "TMPDIR": str(temporary),
        "OMP_NUM_THREADS": "1",
    }
    folder = tmp_path / "runs"
    folder.mkdir()
    (tmp_path / "log").touch()
    chance = random.Random(7)
    kills = lives = count = 0
    before: dict[str, bytes] = {}
    while kills < KILLS:
        lives += 1
        count = max(count, len(before) + AHEAD)  # the campaign grows
        campaign = begin(folder, count, environment)
        seen: dict[int, psutil.Process] = {}
        wait_for_growth(tmp_path / "log", campaign)
        for _ in range(chance.randint(2, 6)):
            time.sleep(chance.uniform(0, 0.8))
            victims = workers(campaign)
            seen |= {victim.pid: victim for victim in victims}
            if victims:
                chance.choice(victims).kill()
                kills += 1
        time.sleep(chance.uniform(0, 0.6))
        seen |= {victim.pid: victim for victim in workers(campaign)}
        campaign.send_signal(signal.SIGKILL)
        # It may have been through by now, and well.
        assert campaign.wait() in (-signal.SIGKILL, 0), (folder.parent / "stderr").read_text()
        kills += campaign.returncode != 0
        # Its workers end with it, and after them nothing changes any more.
        assert not psutil.wait_procs(list(seen.values()), timeout=60)[1]
        after = check(folder)
        assert {key: after.get(key) for key in before} == before
        before = after

    assert begin(folder, count, environment).wait(timeout=300) == 0
    after = check(folder)
    assert {key: after[key] for key in before} == before
    drawn = sample_many(count, "compact", input_shape=(8, 8, 1), classes=3)
    runs = load(folder)
    assert sorted(record.id for record in runs) == sorted(network.id for network in drawn)
    for record in runs:
        # Two kills may have met one model twice; its record says so.
        assert record.status == "ok" or "SIGKILL" in str(record.cause)
    indexed = read_index(folder)
    assert indexed is not None
    assert indexed.equals(table(runs))
    assert list(temporary.iterdir()) == []
    # Little was done again: only what was in training when it was hit.
    started = len((tmp_path / "log").read_text().splitlines())
    assert started <= count + 2 * kills
    assert lives >= 5
