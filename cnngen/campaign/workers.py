"""Executors that train on this machine: worker processes, or this process itself.

They have the shape of `concurrent.futures.Executor`. The standard library's own pool breaks
as a whole when a process of it dies; here that is the end of one future, and another process
takes the place.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from cnngen.campaign.worker import Report, report_epoch
from cnngen.errors import CnnGenError

P = ParamSpec("P")
T = TypeVar("T")
PATIENCE = 6 * 3600.0
"""Seconds without a sign of life after which a worker counts as hung."""

THREAD_VARIABLES = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
)
"""What frameworks read when they are imported."""

STARTS = 10
"""Processes started in a row of which none gets to work, after which there is no use in it."""

START = """
from multiprocessing.connection import Connection
from cnngen.campaign.worker import main
main(Connection({}))
"""


class WorkerDied(Exception):
    """A worker ended before its work did.

    `out_of_memory`: the system ended it for memory. `by_model`: the model may be to blame.
    """

    def __init__(self, cause: str, *, out_of_memory: bool = False, by_model: bool = True) -> None:
        super().__init__(cause)
        self.cause = cause
        self.out_of_memory = out_of_memory
        self.by_model = by_model


class InProcess(Executor):
    """Runs each call at once, here."""

    def __init__(self, on_epoch: Report | None = None) -> None:
        self._on_epoch = on_epoch

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        token = report_epoch.set(self._on_epoch) if self._on_epoch else None
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        finally:
            if token is not None:
                report_epoch.reset(token)
        return future


class Workers(Executor):
    """Worker processes on this machine, each with its part of the cores.

    A call whose process dies, or gives no sign of life for `patience` seconds, ends with
    `WorkerDied`. Leaving the context by an exception drops the calls that are running.
    `OMP_NUM_THREADS` and its like are set to cores / `count` where they are not set already,
    or to `OMP_NUM_THREADS` where that is.
    """

    def __init__(
        self, count: int = 1, on_epoch: Report | None = None, *, patience: float = PATIENCE
    ) -> None:
        self.threads = _threads(count)
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._seats = [_Seat(self._tasks, self.threads, on_epoch, patience) for _ in range(count)]
        self._closed = False
        for seat in self._seats:
            seat.start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if self._closed:
            raise RuntimeError("these workers take no more work")
        future: Future[T] = Future()
        self._tasks.put(_Task(future, fn, args, kwargs))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if not self._closed:
            self._closed = True
            if cancel_futures:
                self._cancel_waiting()
            for _ in self._seats:
                self._tasks.put(None)
        if wait:
            for seat in self._seats:
                seat.join()

    def drop(self) -> None:
        """End the workers at once, and with them what they do."""
        self.shutdown(wait=False, cancel_futures=True)
        for seat in self._seats:
            seat.drop()
        self.shutdown()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.shutdown()
        else:
            self.drop()

    def _cancel_waiting(self) -> None:
        while True:
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                return
            if task is not None:
                task.future.cancel()


@dataclass(frozen=True, slots=True)
class _Task:
    future: Future[Any]
    fn: Callable[..., object]
    args: tuple[object, ...]
    kwargs: dict[str, object]


class _Seat(threading.Thread):
    """A place for a worker: hands it one task after the other, and replaces it."""

    def __init__(
        self,
        tasks: queue.SimpleQueue[_Task | None],
        threads: int,
        on_epoch: Report | None,
        patience: float,
    ) -> None:
        super().__init__(name="cnngen worker", daemon=True)
        self.tasks = tasks
        self.threads = threads
        self.on_epoch = on_epoch
        self.patience = patience
        self.worker: _Worker | None = None
        self.dropped = False

    def run(self) -> None:
        while (task := self.tasks.get()) is not None:
            if not task.future.set_running_or_notify_cancel():
                continue
            try:
                task.future.set_result(self._do(task))
            except Exception as error:
                task.future.set_exception(error)
        self._end()

    def drop(self) -> None:
        self.dropped = True
        if (worker := self.worker) is not None:
            worker.process.kill()

    def _do(self, task: _Task) -> object:
        for _ in range(STARTS):
            if self.worker is None:
                self.worker = _Worker(self.threads)
            worker = self.worker
            if self.dropped:
                worker.process.kill()
            try:
                return worker.do(task, self.on_epoch, self.patience)
            except WorkerDied:
                self._end()
                if worker.ready or self.dropped:
                    raise
        raise CnnGenError(
            "worker processes end before they begin",
            hint="What they print tells why; is there memory left, and may processes start?",
        )

    def _end(self) -> None:
        if self.worker is not None:
            self.worker.end()
            self.worker = None


class _Worker:
    """A process and the line to it.

    It is no process of `multiprocessing`, which would import the main module again and with
    it run whatever stands there unguarded.
    """

    def __init__(self, threads: int) -> None:
        unset = [name for name in THREAD_VARIABLES if name not in os.environ]
        ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            self.process = subprocess.Popen(
                [sys.executable, "-c", START.format(number)],
                env=os.environ
                | dict.fromkeys(unset, str(threads))
                | {"PYTHONPATH": os.pathsep.join(sys.path)},
                pass_fds=[number],
                stdin=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the campaign to act on
            )
        self.line = Connection(ours.detach())
        self.kills = _kills_for_memory()
        self.ready = False

    def do(self, task: _Task, on_epoch: Report | None, patience: float) -> object:
        try:
            self.line.send((task.fn, task.args, task.kwargs))
        except OSError:
            raise self._death() from None
        while True:
            match self._next(patience):
                case "ready", _:
                    self.ready = True
                case "epoch", (key, epoch):
                    if on_epoch is not None:
                        on_epoch(key, epoch)
                case "done", value:
                    return value
                case "failed", error:
                    raise error

    def end(self) -> None:
        self.line.close()  # it reads this as the end of its work
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def _next(self, patience: float) -> tuple[str, Any]:
        """The next message. Raises `WorkerDied` where none comes in time, or ever."""
        deadline = time.monotonic() + patience
        try:
            # A child of the worker may hold the line open when the worker itself is gone.
            while not self.line.poll(min(1.0, max(0.0, deadline - time.monotonic()))):
                if self.process.poll() is not None:
                    raise self._death()
                if time.monotonic() >= deadline:
                    self.process.kill()
                    raise WorkerDied(f"no sign of life for {patience:,.0f} s")
            kind, value = self.line.recv()
        except (EOFError, OSError):  # the latter within a message
            raise self._death() from None
        return kind, value

    def _death(self) -> WorkerDied:
        try:
            code = self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return WorkerDied("its worker closed the line")
        if code >= 0:
            return WorkerDied(f"its worker ended with code {code}")
        name = signal.Signals(-code).name if -code in list(signal.Signals) else str(-code)
        if -code == signal.SIGKILL and _kills_for_memory() > self.kills:
            return WorkerDied("the system ended its worker for memory", out_of_memory=True)
        return WorkerDied(f"its worker was ended by {name}")


def _threads(count: int) -> int:
    """Threads for each of so many workers."""
    # PyTorch takes MKL's number over OpenMP's, so one that is stated must be both.
    stated = os.environ.get("OMP_NUM_THREADS", "")
    return int(stated) if stated.isdecimal() and int(stated) else max(1, _cores() // count)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _kills_for_memory() -> int:
    """How many processes the system has ended for want of memory since it started."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
