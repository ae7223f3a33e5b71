"""Searches that train: nothing lost or decided twice, whatever ends them, and clear refusals."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
import stand_in

from cnngen.cli.app import run
from cnngen.errors import CnnGenError, StoreError
from cnngen.runs.campaign import ExecutorFactory, in_process, local, run_campaign
from cnngen.runs.store import load
from cnngen.search import (
    Budget,
    Candidate,
    Evaluation,
    SearchError,
    SearchPlan,
    SearchState,
    SpaceSearcher,
    Told,
    read_journal,
    run_search,
)
from cnngen.search import plan as plans
from cnngen.search.journal import FILE
from cnngen.space.sampling import Bounds, sample
from cnngen.training.protocol import Protocol

SEARCH = """
import sys, stand_in, test_search_run
test_search_run.go_on(sys.argv[1], int(sys.argv[2]))
"""


@pytest.fixture(autouse=True)
def _stand_in(tmp_path, monkeypatch) -> Iterator[None]:
    with stand_in.installed_here(tmp_path / "plugins", monkeypatch):
        yield


def plan(**settings: object) -> SearchPlan:
    fixed = {
        "space": "compact",
        "protocol": Protocol(epochs=2),
        "backend": stand_in.NAME,
        "objectives": ("accuracy", "parameters"),
        "method": "nsga2",
        "bounds": Bounds(layers=(None, 30)),
    }
    return SearchPlan(**fixed | settings)  # type: ignore[arg-type]


def go_on(
    folder: str | Path,
    count: int = 30,
    executor: ExecutorFactory | None = None,
    **settings: object,
) -> SearchState:
    return run_search(
        plan(**settings),
        stand_in.images(),
        folder,
        budget=Budget(count=count),
        executor=executor or in_process(),
    )


def decisions(state: SearchState) -> list[str]:
    return [asked.key for asked in state.asked]


def test_a_search_is_kept_and_goes_on_where_it_was(tmp_path) -> None:
    whole = go_on(tmp_path / "whole", 26)
    for count in (5, 21, 26):
        state = go_on(tmp_path / "parts", count)
        assert len(state.asked) == len(state.told) == count
    assert decisions(state) == decisions(whole)
    assert len(load(tmp_path / "parts")) == 26
    events = read_journal(tmp_path / "parts")
    assert [event.number for event in events if isinstance(event, Told)] == list(range(26))
    front = json.loads((tmp_path / "parts" / "front.json").read_text())
    assert [row["key"] for row in front] == [asked.key for asked in state.front()]
    assert set(front[0]) == {"key", "accuracy", "parameters"}
    assert go_on(tmp_path / "parts", 26).told.keys() == state.told.keys()


def test_decisions_say_where_networks_came_from(tmp_path) -> None:
    state = go_on(tmp_path / "runs", 30)
    ids = {asked.candidate.network.id for asked in state.asked}
    children = [one.candidate for one in state.asked if one.candidate.parents]
    assert len(children) >= 5
    for child in children:
        assert set(child.parents) <= ids
        assert child.seed is not None
    records = {record.key: record for record in load(tmp_path / "runs")}
    for asked in state.asked:
        record = records[asked.key]
        drawn = asked.candidate.operator == "sample"
        assert (record.space, record.seed) == (
            ("compact", asked.candidate.seed) if drawn else (None, None)
        )


def test_whenever_a_search_is_killed_it_decides_as_if_nothing_had_happened(tmp_path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": stand_in.install(tmp_path / "plugins2"),
        "STAND_IN_SECONDS": "0.02",
    }
    folder, count = tmp_path / "runs", 40
    chance = random.Random(1)
    kills = 0
    while kills < 8:
        search = subprocess.Popen(
            [sys.executable, "-c", SEARCH, str(folder), str(count)],
            env=environment,
            stderr=(tmp_path / "stderr").open("w"),
        )
        log = folder / FILE
        size = log.stat().st_size if log.exists() else 0
        while search.poll() is None and (log.stat().st_size if log.exists() else 0) <= size:
            time.sleep(0.01)
        time.sleep(chance.random() * 0.2)
        if search.poll() is not None:
            assert search.returncode == 0, (tmp_path / "stderr").read_text()
            break
        search.send_signal(signal.SIGKILL)
        search.wait()
        kills += 1
    assert kills > 2
    state = go_on(folder, count)
    assert decisions(state) == decisions(go_on(tmp_path / "whole", count))
    assert len(state.told) == count


def test_a_torn_line_is_dropped_and_a_wrong_one_named(tmp_path) -> None:
    folder = tmp_path / "runs"
    whole = go_on(folder, 12)
    path = folder / FILE
    lines = path.read_bytes()
    path.write_bytes(lines[:-40])  # what was told last is told again
    assert decisions(go_on(folder, 12)) == decisions(whole)
    assert path.read_bytes().count(b"\n") == lines.count(b"\n")
    for wrong, message in (
        (b'{"event": "asked"}\n', "line 25: number: Field required"),
        (b"null\n", "line 25"),
        (lines.splitlines()[-1] + b"\n", "nothing can be told of decision 11 here"),
        (lines.splitlines()[0] + b"\n", "decision 0 follows 11"),
    ):
        path.write_bytes(lines + wrong)
        with pytest.raises(StoreError, match=message):
            go_on(folder, 12)


def test_failures_are_told_as_such(tmp_path, monkeypatch) -> None:
    first = [asked.candidate.network.id[:6] for asked in go_on(tmp_path / "a", 4).asked]
    fails = f"{first[0]}:memory {first[1]}:bug {first[2]}:give-nan"
    monkeypatch.setenv("STAND_IN_FAILS", fails)
    state = go_on(tmp_path / "b", 30)
    statuses = [state.told[number].evaluation.status for number in range(3)]
    assert statuses == ["out_of_memory", "error", "error"]
    assert len(state.told) == 30
    assert not any(asked.number < 3 for asked in state.front())


def test_two_workers_search_together(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", stand_in.install(tmp_path / "plugins2"))
    state = go_on(tmp_path / "runs", 26, executor=local(2))
    assert len(state.told) == 26
    assert len(set(decisions(state))) == 26


def test_another_search_or_a_campaign_in_the_folder_is_left_alone(tmp_path) -> None:
    go_on(tmp_path / "a", 2)
    with pytest.raises(StoreError, match='method is "nsga2" there, "random" here'):
        go_on(tmp_path / "a", 3, method="random")
    with pytest.raises(StoreError, match="holds a search"):
        run_campaign(stand_in.plan(2), stand_in.images(), tmp_path / "a", executor=in_process())
    run_campaign(stand_in.plan(2), stand_in.images(), tmp_path / "b", executor=in_process())
    with pytest.raises(StoreError, match="holds a campaign"):
        go_on(tmp_path / "b", 3)
    assert len(load(tmp_path / "a")) == len(load(tmp_path / "b")) == 2


def test_a_budget_of_hours_or_watt_hours_ends_a_search(tmp_path) -> None:
    state = run_search(
        plan(),
        stand_in.images(),
        tmp_path / "hours",
        budget=Budget(hours=1e-9),
        executor=in_process(),
    )
    assert not state.asked
    for wrong in ({}, {"count": 0}, {"hours": -1.0}, {"watt_hours": float("nan")}):
        with pytest.raises(CnnGenError, match=r"cannot end after|needs an end"):
            Budget(**wrong)  # type: ignore[arg-type]


def test_the_studio_shows_a_search_as_it_runs(tmp_path) -> None:
    from cnngen.editor.studio.limits import Limits
    from cnngen.editor.studio.runs import explore

    go_on(tmp_path / "night", 23)
    found = explore(tmp_path, "night", Limits())
    assert len(found.points) == 23
    assert found.search is not None
    assert found.search.text.startswith("nsga2 for accuracy and parameters: 23 trainings, best acc")
    assert found.search.is_running
    os.utime(tmp_path / "night" / FILE, (0, 0))
    assert not explore(tmp_path, "night", Limits()).search.is_running  # type: ignore[union-attr]
    (tmp_path / "night" / FILE).write_text("<b>rubbish</b>\n")
    broken = explore(tmp_path, "night", Limits())
    assert (broken.search, [name for name, _ in broken.reasons]) == (None, [FILE])


def test_a_stop_waits_for_what_has_begun(tmp_path) -> None:
    stop = threading.Event()

    def after_three(state: SearchState) -> None:
        if len(state.told) == 3:
            stop.set()

    state = run_search(
        plan(),
        stand_in.images(),
        tmp_path / "runs",
        budget=Budget(count=10),
        executor=in_process(),
        on_change=after_three,
        stop=stop,
    )
    assert len(state.told) == 3
    assert len(go_on(tmp_path / "runs", 10).told) == 10


class Stranger(SpaceSearcher):
    """A method whose answers a test decides."""

    name: ClassVar[str] = "stranger"
    interface: ClassVar[int] = 1
    answer: ClassVar[object] = None

    def propose(self, random: random.Random) -> Candidate:
        if self.decisions < 2:
            return self.fresh()
        return self._answer()

    def ask(self) -> Candidate:
        if self.decisions < 2:
            return super().ask()
        return self._answer()

    def _answer(self) -> Candidate:
        answer = type(self).answer
        return answer(self) if callable(answer) else answer  # type: ignore[return-value]

    def tell(self, candidate: Candidate, evaluation: Evaluation) -> None: ...


def bug(searcher: Stranger) -> Candidate:
    raise ZeroDivisionError("of the method")


def again(searcher: Stranger) -> Candidate:
    first = Stranger(searcher.problem, searcher.seed).ask()
    return Candidate(first.network, "again")


OTHER_IMAGES = Candidate(sample("compact", seed=1), "other")
OUTSIDE = Candidate(sample("paper", input_shape=(8, 8, 1), classes=3, seed=12), "outside")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (again, "a second time"),
        (bug, "failed in ask: ZeroDivisionError: of the method"),
        ("a network", "asks for 'a network', which is not a Candidate"),
        (None, "asks for None, which is not a Candidate"),
        (OTHER_IMAGES, "it is for other images or classes"),
        (OUTSIDE, "asks for the network"),
        (
            lambda s: Candidate(s.fresh().network, "sample", epochs=5),
            "5 epochs; a training has 1 to 2",
        ),
        (lambda s: time.sleep(60), "has not answered for 1 s"),
    ],
)
def test_rubbish_of_a_method_is_an_error_and_nothing_is_lost(
    tmp_path, monkeypatch, answer: object, message: str
) -> None:
    monkeypatch.setattr(plans, "get_searcher", lambda name: Stranger)
    monkeypatch.setattr(Stranger, "answer", staticmethod(answer) if callable(answer) else answer)
    with pytest.raises(SearchError, match=f"'stranger' .*{message}"):
        run_search(
            plan(method="stranger"),
            stand_in.images(),
            tmp_path / "runs",
            budget=Budget(count=5),
            executor=in_process(),
            patience=1,
        )
    assert len(load(tmp_path / "runs")) == 2
    assert len(read_journal(tmp_path / "runs")) == 4


def test_the_command_searches_prints_the_front_and_goes_on(tmp_path, capsys) -> None:
    options = ["-b", "stand_in", "-d", "digits", "--space", "compact", "--idle", "0"]
    options += ["--for", "accuracy,parameters", "-m", "nsga2", "-o", str(tmp_path / "runs")]
    assert run(["search", "-n", "6", "--flops", ":10M", *options]) == 0
    printed = capsys.readouterr().out
    assert "6 trainings in" in printed
    assert "by" in printed.splitlines()[0]
    assert run(["search", "-n", "8", "--flops", ":10M", "--json", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["trainings"] == 8
    assert found["front"][0]["text"].startswith("input(8x8x1)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-n", "3", "--for", "speed"], "there is no objective 'speed'"),
        (["-n", "3", "-m", "magic"], "there is no search method 'magic'"),
        ([], "a search needs an end"),
        (["-n", "3", "--parameters", ":10"], "met the bounds"),
        (["-n", "3", "--start", "nowhere.cnn"], "nowhere.cnn"),
        (["-n", "3", "--start", "examples/lenet.cnn"], "is for 32x32x1 images, these are 8x8x1"),
        (["-n", "3", "--flops", "10:5k:3"], "is not a range"),
    ],
)
def test_bad_input_exits_with_2_and_says_what_is_wrong(
    tmp_path, capsys, monkeypatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])
    fixed = ["-b", "stand_in", "-d", "digits", "--space", "compact", "-o", str(tmp_path / "runs")]
    assert run(["search", *options, *fixed]) == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_starting_points_come_from_descriptions_and_folders(tmp_path, capsys) -> None:
    first = go_on(tmp_path / "first", 5, objectives=("accuracy",), method="random")
    text = tmp_path / "own.cnn"
    text.write_text("input conv(filters=4, kernel=3) conv flatten dense output")
    from cnngen.cli.search import _starting_points

    found = _starting_points([text, tmp_path / "first"], stand_in.images(), "compact")
    assert len(found) == 6
    assert {network.id for network in found[1:]} == {
        asked.candidate.network.id for asked in first.asked
    }
    with pytest.raises(CnnGenError, match="outside the bounds: it has"):
        go_on(tmp_path / "third", starts=tuple(found), bounds=Bounds(layers=(None, 3)))
    state = go_on(tmp_path / "second", 8, starts=tuple(found))
    assert [asked.candidate.operator for asked in state.asked[:7]] == ["start"] * 6 + ["sample"]
