"""Trainings that go on where they were: to the same bits, or anew where they cannot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import cnngen
from cnngen.runs.campaign import in_process, make_job, train_jobs
from cnngen.runs.campaign.jobs import CHECKPOINTS, Metering, checkpoint_of
from cnngen.runs.store import load
from cnngen.search import Budget, SearchPlan, run_search
from cnngen.training.checkpoint import Checkpoint
from cnngen.training.data import load_data
from cnngen.training.protocol import Protocol, TrainingResult
from cnngen_torch import train as trainer

TEXT = """input(8x8x1) convbn(filters=6, kernel=3, stride=1, padding=same, activation=relu)
    max_pooling(size=2) dropout(rate=0.2) flatten dense(units=16) dense output(10)"""
PROTOCOL = Protocol(epochs=5, augmentation="flip_crop")


def network(text: str = TEXT):
    return cnngen.resolve(cnngen.parse(text), seed=0)


def run(
    protocol: Protocol, checkpoint: Checkpoint | None = None, text: str = TEXT
) -> TrainingResult:
    net = network(text)
    return trainer.train(
        net.to_source("torch"), net, load_data("digits"), protocol, checkpoint=checkpoint
    )


def figures(result: TrainingResult) -> list[object]:
    epochs = [replace(epoch, seconds=0.0) for epoch in result.epochs]
    return [*epochs, result.test_loss, result.test_accuracy, result.skipped_steps]


class Interrupted(Exception):
    """Raised in the middle of a training."""


@pytest.mark.parametrize(
    "protocol",
    [
        PROTOCOL,
        replace(PROTOCOL, optimizer="sgd", schedule="cosine", warmup=1.0),
        replace(PROTOCOL, precision="float16"),
        replace(PROTOCOL, learning_rate=0.05, keep="best"),
    ],
    ids=["adam", "sgd", "float16", "best"],
)
def test_an_interrupted_training_goes_on_to_the_same_bits(tmp_path, protocol) -> None:
    whole = run(protocol)
    checkpoint = Checkpoint(tmp_path, "state", every=0)

    def interrupt(epoch) -> None:
        if epoch.number == 4:
            raise Interrupted

    net = network()
    with pytest.raises(Interrupted):
        trainer.train(
            net.to_source("torch"), net, load_data("digits"), protocol, interrupt, None, checkpoint
        )
    torch.manual_seed(1)  # what another process would have
    result = run(protocol, Checkpoint(tmp_path, "state", every=0))
    assert result.resumed_epochs == 3
    assert figures(result) == figures(whole)
    assert result.train_seconds > sum(epoch.seconds for epoch in result.epochs[:3])
    assert whole.weights is not None
    assert (whole.best_weights is not None) == (protocol.keep == "best")
    for name, own in (whole.best_weights or {}).items():
        for part, array in own.items():
            assert (result.best_weights or {})[name][part].tobytes() == array.tobytes()
    assert result.weights is not None
    for name, own in whole.weights().items():
        for part, array in own.items():
            assert (result.weights()[name][part] == array).all()


def test_a_longer_training_goes_on_from_a_shorter_one(tmp_path) -> None:
    whole = run(PROTOCOL)
    short = replace(PROTOCOL, name="short", epochs=2)
    run(short, Checkpoint(tmp_path, "state", at_end=True))
    longer = run(PROTOCOL, Checkpoint(tmp_path, "state"))
    assert (longer.resumed_epochs, figures(longer)) == (2, figures(whole))


@pytest.mark.parametrize(
    ("protocol", "text"),
    [
        (replace(PROTOCOL, seed=1), TEXT),
        (replace(PROTOCOL, learning_rate=0.01), TEXT),
        (replace(PROTOCOL, schedule="cosine"), TEXT),
        (PROTOCOL, TEXT.replace("relu", "tanh")),
        (PROTOCOL, TEXT.replace("units=16", "units=17")),
        (replace(PROTOCOL, epochs=2), TEXT),
    ],
)
def test_another_training_begins_anew(tmp_path, protocol, text) -> None:
    run(replace(PROTOCOL, epochs=2), Checkpoint(tmp_path, "state", at_end=True))
    result = run(protocol, Checkpoint(tmp_path, "state"), text)
    assert result.resumed_epochs == 0
    assert figures(result) == figures(run(protocol, text=text))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04N.", b"x" * 1000])
def test_a_strangers_state_is_passed_over(tmp_path, content: bytes) -> None:
    (tmp_path / "state").write_bytes(content)
    short = replace(PROTOCOL, epochs=1)
    result = run(short, Checkpoint(tmp_path, "state"))
    assert (result.status, result.resumed_epochs) == ("ok", 0)


def test_a_state_that_would_run_something_runs_nothing(tmp_path) -> None:
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"identity": Trap()}, tmp_path / "state")
    result = run(replace(PROTOCOL, epochs=1), Checkpoint(tmp_path, "state"))
    assert result.status == "ok"
    assert not (tmp_path / "sprung").exists()


KILLED = """
import sys
import test_checkpoints as t
from pathlib import Path
from cnngen.training import checkpoint
checkpoint.Checkpoint.is_due = lambda self, last: not last
t.kept(Path(sys.argv[1]))
"""


def kept(folder: Path) -> None:
    """Train a network for many epochs, as `cnngen train` does."""
    job = make_job(
        network(), load_data("digits"), Protocol(epochs=60), "torch", Metering(), keep_weights=True
    )
    with in_process()(load_data("digits"), lambda key, epoch: None) as setup:
        list(train_jobs([job], load_data("digits"), folder, setup))


def test_a_killed_process_loses_nothing_of_a_training(tmp_path) -> None:
    tests = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])}
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], env=environment)
    states = tmp_path / CHECKPOINTS
    while process.poll() is None and not (states.is_dir() and any(states.iterdir())):
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not len(load(tmp_path))
    kept(tmp_path)
    [record] = load(tmp_path)
    assert (record.status, record.epochs) == ("ok", 60)
    assert "first" in str(record.energy_cause)
    assert record.energy is None
    assert not any(states.iterdir())
    whole = run(Protocol(epochs=60))
    assert record.test_loss == whole.test_loss
    assert [e.train_loss for e in record.history] == [e.train_loss for e in whole.epochs]


def test_halving_trains_on_where_shorter_trainings_were(tmp_path) -> None:
    plan = SearchPlan(
        method="halving",
        space="compact",
        protocol=Protocol(epochs=9),
        bounds=cnngen.Bounds(layers=(None, 12)),
    )
    epochs: list[tuple[str, int]] = []

    class Counter:
        def __getattr__(self, name: str):
            return lambda *args, **kwargs: None

        def epoch(self, key, epoch) -> None:
            epochs.append((key, epoch.number))

    state = run_search(
        plan,
        load_data("digits"),
        tmp_path,
        budget=Budget(count=7),
        executor=in_process(),
        watches=[Counter()],  # type: ignore[list-item]
    )
    longer = [asked for asked in state.asked if asked.candidate.operator == "longer"]
    assert longer
    records = {record.key: record for record in load(tmp_path)}
    for asked in longer:
        record = records[asked.key]
        trained = [number for key, number in epochs if key == asked.key]
        assert trained == list(range(2, record.epochs + 1))
        assert len(record.history) == record.epochs
        assert record.energy is not None
        anew = cnngen.train(asked.candidate.network, load_data("digits"), record.protocol).record
        assert anew.test_loss == record.test_loss
    promoted = {asked.candidate.network.id for asked in longer}
    for asked in state.asked:
        short = asked.candidate.epochs is not None
        superseded = asked not in longer and asked.candidate.network.id in promoted
        assert (checkpoint_of(tmp_path, asked.key).read() is not None) == (short and not superseded)
