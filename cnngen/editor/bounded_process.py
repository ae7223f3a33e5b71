"""Calls of this package's functions in another process, which is ended if one takes too long.

A text may come from anywhere. Reading it is bounded by its length, but inferring dimensions
may take minutes where somebody made it so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from threading import Lock
from typing import ParamSpec, TypeVar, cast

from cnngen.system.process import START_PATIENCE, Worker, WorkerDied
from cnngen.system.worker import WorkerOptions

P = ParamSpec("P")
T = TypeVar("T")

SECONDS = 2.0
"""Of computing that one question may take. A network of 300 layers takes a fiftieth of it."""

BUSY = 15
"""On a machine with much else to do, so many times as long by the clock."""

MEMORY = 4 * 2**30
"""Bytes that the process may write to."""

OPTIONS = WorkerOptions(
    setup="cnngen.editor.bounded_process:warm_up", memory=MEMORY, collect_when_idle=True
)


class TooLongError(Exception):
    """A question took longer than a text is worth, or more memory."""


class BoundedProcess:
    """Calls functions in another process; one call at a time, from any thread.

    `seconds` of computing is the most that one call may take.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._lock = Lock()
        self._worker: _BoundedWorker | None = _BoundedWorker(seconds)

    def call(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Call a function of `cnngen.editor`, and return what it returns.

        Raises what the function raises, and `TooLongError` where it takes too long; the next
        call is then made in a new process.
        """
        with self._lock:
            if self._worker is None:
                self._worker = _BoundedWorker(self.seconds)
            try:
                result = self._worker.call(function, arguments, named, patience=START_PATIENCE)
            except WorkerDied as death:
                self._worker.end()
                self._worker = _BoundedWorker(self.seconds)
                raise TooLongError(death.cause) from None
            except MemoryError:
                raise TooLongError("it takes too much memory") from None
        return cast(T, result)

    def close(self) -> None:
        """End the process, and with it a call that it is at."""
        if (worker := self._worker) is not None:
            worker.process.kill()
        with self._lock:
            if self._worker is not None:
                self._worker.process.kill()
                self._worker.end()
                self._worker = None


class _BoundedWorker(Worker):
    """A worker that is killed when a call takes too much computing."""

    def __init__(self, seconds: float) -> None:
        threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        unset = {name: "1" for name in threads if name not in os.environ}
        super().__init__(OPTIONS, unset)
        self.seconds = seconds

    def wait(self, patience: float) -> None:
        """Wait for a message. Raises `WorkerDied` where it takes too long."""
        if not self.ready:
            super().wait(patience)
            return
        begun, deadline = self._computed(), time.monotonic() + BUSY * self.seconds
        while not self.connection.poll(0.1):
            if self.process.poll() is not None:
                raise self.death()
            if self._computed() - begun > self.seconds or time.monotonic() > deadline:
                self.process.kill()
                raise WorkerDied("it takes too long")

    def _computed(self) -> float:
        """Seconds of processor time that the process has used so far."""
        import psutil  # type: ignore[import-untyped]

        try:
            times = psutil.Process(self.process.pid).cpu_times()
        except psutil.Error:
            return 0.0
        return float(times.user + times.system)


def warm_up() -> None:
    """Compute what every first question needs: the grammar, its repairs, the space."""
    from cnngen.editor import completions, diagnostics

    diagnostics("input conv flatten dense")
    completions("input conv(kernel=", 18)
