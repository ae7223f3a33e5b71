"""Worker processes as an executor, apart from any campaign."""

from __future__ import annotations

import gc
import math
import operator
import os
import signal
import struct
import time
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread

import pytest

from cnngen.errors import CnnGenError
from cnngen.runs.campaign import InProcess, WorkerDied, Workers
from cnngen.runs.campaign.worker_pool import THREAD_VARIABLES
from cnngen.system import process, worker


@pytest.fixture(scope="module")
def pool():
    with Workers(1, patience=30) as pool:
        yield pool


def test_a_call_gives_what_it_gives_or_raises_what_it_raises(pool: Workers) -> None:
    for executor in (pool, InProcess()):
        assert executor.submit(math.gcd, 12, 18).result() == 6
        assert executor.submit(int, "ff", base=16).result() == 255
        assert list(executor.map(operator.neg, [1, 2, 3])) == [-1, -2, -3]
        with pytest.raises(ZeroDivisionError):
            executor.submit(operator.truediv, 1, 0).result()


@pytest.mark.parametrize("error", [EOFError, OSError, BrokenPipeError])
def test_an_error_of_a_call_is_not_taken_for_the_end_of_its_worker(
    pool: Workers, error: type[Exception]
) -> None:
    pid = pool.submit(os.getpid).result()
    with pytest.raises(error, match="mine"):
        pool.submit(fail, error("mine")).result()
    assert pool.submit(os.getpid).result() == pid


def test_what_cannot_be_sent_is_an_error_of_the_call(pool: Workers) -> None:
    with pytest.raises(RuntimeError, match="cannot be sent"):
        pool.submit(open, os.devnull).result()
    with pytest.raises(AttributeError):
        pool.submit(lambda: 1).result()
    assert pool.submit(abs, -1).result() == 1


def test_a_worker_that_ends_is_the_end_of_one_call_alone(pool: Workers) -> None:
    futures = [
        pool.submit(math.sqrt, 4),
        pool.submit(os._exit, 3),
        pool.submit(os.kill, 0, signal.SIGKILL),  # its whole group, which is it alone
        pool.submit(math.sqrt, 9),
    ]
    assert futures[0].result() == 2
    with pytest.raises(WorkerDied, match="code 3"):
        futures[1].result()
    with pytest.raises(WorkerDied, match="SIGKILL"):
        futures[2].result()
    assert futures[3].result() == 3
    with pytest.raises(WorkerDied) as died:
        pool.submit(os.abort).result()
    assert died.value.training_cause == "its worker was killed by SIGABRT in the framework"


def test_a_worker_killed_amid_its_answer_has_died(pool: Workers) -> None:
    future = pool.submit(half_an_answer)
    with pytest.raises(WorkerDied, match="SIGKILL"):
        future.result()
    assert pool.submit(abs, -1).result() == 1


def test_dropping_ends_what_runs_and_cancels_what_waits() -> None:
    pool = Workers(1)
    running, waiting = pool.submit(time.sleep, 100), pool.submit(abs, -1)
    while not running.running():
        time.sleep(0.01)
    pool.drop()
    assert isinstance(running.exception(), WorkerDied)
    assert waiting.cancelled()
    with pytest.raises(RuntimeError, match="no more work"):
        pool.submit(abs, -1)


def test_workers_that_cannot_begin_are_an_error_and_no_endless_trying(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "START", "raise SystemExit(1)  # {}")
    with Workers(1) as pool, pytest.raises(CnnGenError, match="end before they begin"):
        pool.submit(abs, -1).result()


def test_what_a_worker_may_not_tell_the_system_does_not_keep_it_from_working(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(path: Path, text: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "write_text", refused)
    monkeypatch.setattr(worker, "_end_with_parent", lambda: None)
    ours, theirs = Pipe()
    with ours:
        ours.send((abs, (-1,), {}))
        os.dup2(theirs.fileno(), end := os.open(os.devnull, os.O_RDWR))
        theirs.close()
        shut = Thread(target=lambda: [ours.recv(), told.append(ours.recv()), ours.close()])
        told: list[object] = []
        shut.start()
        worker.main(f"fd:{end}", worker.WorkerOptions())
        shut.join()
    assert told == [("done", 1)]


def fail(error: Exception) -> None:
    raise error


def half_an_answer() -> None:
    """The head of a message of 1,000 bytes, one of them, and the end."""
    (line,) = (item for item in gc.get_objects() if isinstance(item, Connection))
    os.write(line.fileno(), struct.pack("!i", 1000) + b"x")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_stated_number_of_threads_is_that_of_every_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with Workers(1) as workers:
        seen = [workers.submit(os.getenv, name).result() for name in THREAD_VARIABLES]
    assert set(seen) == {"3"}
