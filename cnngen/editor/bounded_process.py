"""The functions of this package in a process of its own, which is ended where one takes too long.

A text may come from anywhere. Reading it is bounded by its length, but inferring dimensions
may take minutes where somebody made it so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from threading import Lock
from typing import ParamSpec, TypeVar, cast

import psutil  # type: ignore[import-untyped]

from cnngen.system.process import Child, WorkerDied

P = ParamSpec("P")
T = TypeVar("T")

SECONDS = 2.0
"""Of computing that one question may take. A network of 300 layers takes a fiftieth of it."""

BUSY = 15
"""On a machine with much else to do, so many times as long by the clock."""

START_SECONDS = 120.0
"""By the clock, until a new process is ready."""


class TooLongError(Exception):
    """A question took longer than a text is worth, or more memory."""


class Apart:
    """Asks in another process; one question at a time, from any thread."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._lock = Lock()
        self._child: Child | None = _begin()
        self._ready = False

    def ask(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """What a function of `cnngen.editor` gives.

        Raises `TooLongError` where it takes too long; the next question is answered by a
        new process. What the function raises is raised here.
        """
        with self._lock:
            if self._child is None:
                self._child = _begin()
            try:
                if not self._ready:
                    self._next(self._child, START_SECONDS)
                    self._ready = True
                self._child.tell((function, arguments, named))
                self._wait(self._child)
                kind, value = self._next(self._child, START_SECONDS)
            except WorkerDied as death:
                self._child.end()
                self._child, self._ready = _begin(), False
                raise TooLongError(death.cause) from None
        if kind == "failed":
            if isinstance(value, MemoryError):
                raise TooLongError("it takes too much memory")
            raise cast(Exception, value)
        return cast(T, value)

    def close(self) -> None:
        """End the process, and with it a question that is being answered."""
        if (child := self._child) is not None:
            child.process.kill()
        with self._lock:
            if self._child is not None:
                self._child.process.kill()
                self._child.end()
                self._child, self._ready = None, False

    def _wait(self, child: Child) -> None:
        """Wait for an answer. Raises `WorkerDied` where it takes too long."""
        process = psutil.Process(child.process.pid)
        begun, deadline = _computed(process), time.monotonic() + BUSY * self.seconds
        while not child.line.poll(0.1):
            if child.process.poll() is not None:
                raise child.death()
            if _computed(process) - begun > self.seconds or time.monotonic() > deadline:
                child.process.kill()
                raise WorkerDied("it takes too long")

    def _next(self, child: Child, seconds: float) -> tuple[str, object]:
        child.wait(seconds)
        try:
            kind, value = child.line.recv()
        except (EOFError, OSError):
            raise child.death() from None
        return kind, value


def _computed(process: psutil.Process) -> float:
    """Seconds that a process has computed so far."""
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _begin() -> Child:
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    unset = {name: "1" for name in threads if name not in os.environ}
    return Child("cnngen.editor.worker_main", unset)
