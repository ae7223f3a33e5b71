"""Progress that is told: lines in a log, a bar in Python, records for `logging`."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import cnngen
from cnngen.cli.progress import Display
from cnngen.runs.campaign import Metering, Plan, Watch, in_process, make_job, run_campaign
from cnngen.training.progress import BatchDone, on_batch
from cnngen.training.protocol import Epoch


def test_a_log_has_its_line_from_the_first_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No epoch has ended yet, and one that takes an hour must not look like one that hangs."""
    monkeypatch.setattr("cnngen.cli.progress.LINE_EVERY", 0.05)
    network = cnngen.sample("compact", input_shape=(8, 8, 1), seed=1)
    job = make_job(
        network, cnngen.load_data("digits"), cnngen.PROTOCOLS["paper"], "torch", Metering()
    )
    said: list[str] = []
    told = threading.Event()

    class Listening(Display):
        def say(self, text: str, style: str | None = None) -> None:
            said.append(text)
            told.set()

    with Listening(3) as display:
        display.began(job)
        told.clear()
        assert told.wait(60)
        assert f"0 of 3 networks, {network.id[:8]} in epoch 1 of 36, after 0 s" in said[-1]
        display.epoch(job.key, Epoch(7, 1.0, 1.0, 0.5, 1.0, 0.5))
        assert f"{network.id[:8]} in epoch 8 of 36, after" in display.line()
        display.batch(job.key, BatchDone(8, 120, 1600))
        assert f"{network.id[:8]} in epoch 8 of 36, batch 120 of 1,600, after" in display.line()
        display.epoch(job.key, Epoch(8, 1.0, 1.0, 0.5, 1.0, 0.5))
        assert f"{network.id[:8]} in epoch 9 of 36, after" in display.line()


def test_a_long_epoch_tells_its_batches_to_the_log_and_to_a_campaign(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setattr("cnngen.training.progress.TELL_EVERY", 0.0)
    monkeypatch.setattr("cnngen.runs.epoch_bar.LOG_EVERY", 0.0)
    data = cnngen.load_data("digits")
    protocol = cnngen.Protocol(epochs=1, batch=300, validation_share=0.0)  # 1,437 images
    batches: list[BatchDone] = []

    class Following(Watch):
        def batch(self, key: str, batch: BatchDone) -> None:
            batches.append(batch)

    plan = Plan(count=1, space="compact", protocol=protocol)
    with caplog.at_level("INFO", logger="cnngen"):
        run_campaign(plan, data, tmp_path / "runs", executor=in_process(), watches=[Following()])
    assert batches == [BatchDone(1, number, 5) for number in range(1, 5)]
    told = [one.message.partition(": ")[2] for one in caplog.records]
    assert told[:2] == ["epoch 1 of 1, batch 1 of 5", "epoch 1 of 1, batch 2 of 5"]
    assert on_batch.get() is None


def test_python_users_see_a_bar_on_request_and_each_epoch_in_the_log(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    network = cnngen.sample("compact", input_shape=(8, 8, 1), seed=1)
    protocol = cnngen.Protocol(epochs=2)
    with caplog.at_level("INFO", logger="cnngen"):
        cnngen.train(network, "digits", protocol, progress=True)
    assert [record.message.split(",")[0] for record in caplog.records] == [
        f"{network.id[:8]}: epoch 1 of 2",
        f"{network.id[:8]}: epoch 2 of 2",
    ]
    assert "100%" in capsys.readouterr().err
    cnngen.train(network, "digits", protocol)
    assert capsys.readouterr() == ("", "")
