"""Worker processes from outside: calls go in; results, errors and progress come out."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnngen.errors import CnnGenError
from cnngen.system.link import linked
from cnngen.system.machine import CRASHES, OWN_GROUP, kill_group, signal_name
from cnngen.system.worker import WorkerOptions

START = "from cnngen.system.worker import WorkerOptions, main; main({!r}, {!r})"

START_PATIENCE = 120.0
"""Seconds that a new process gets to be ready, however short the patience is."""

STDERR = 2


class WorkerDied(Exception):
    """A worker process ended before its call did.

    `out_of_memory`: the system killed it because memory ran out. `by_model`: the model may be
    to blame. `crashed`: native code that it ran failed.
    """

    def __init__(
        self,
        cause: str,
        *,
        out_of_memory: bool = False,
        by_model: bool = True,
        crashed: bool = False,
    ) -> None:
        super().__init__(cause)
        self.cause = cause
        self.out_of_memory = out_of_memory
        self.by_model = by_model
        self.crashed = crashed

    @property
    def training_cause(self) -> str:
        """The cause where a framework was at work, whose native code is then what crashed."""
        return f"{self.cause} in the framework" if self.crashed else self.cause


class Worker:
    """A process that does one call after the other, as `options` say.

    It is not a process of `multiprocessing`, which would import the main module again and with
    it run whatever stands there unguarded. `environment` is set on top of ours. If `capture`
    is set, what the process prints comes out of `process.stdout`, where somebody must read it.
    The open `files` are open there, too, by the same numbers, where processes inherit files.
    Raises `CnnGenError` where it does not start.
    """

    def __init__(
        self,
        options: WorkerOptions,
        environment: Mapping[str, str],
        *,
        capture: bool = False,
        files: Sequence[int] = (),
    ) -> None:
        def start(
            address: str, variables: Mapping[str, str], ends: Sequence[int]
        ) -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                [sys.executable, "-c", START.format(address, options)],
                env={**os.environ, **environment, **safe_python_path(), **variables},
                pass_fds=[*ends, *files] if ends else (),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if capture else STDERR,  # stdout is for our own answers
                stderr=subprocess.STDOUT if capture else None,
                **OWN_GROUP,  # Ctrl-C is for the parent to act on
            )

        try:
            self.process, self.connection = linked(start, START_PATIENCE)
        except TimeoutError as error:
            raise CnnGenError(f"a worker process does not start: {error}") from None
        self.ready = False
        self._kills = _kills_for_memory()

    def call(
        self,
        function: Callable[..., object],
        arguments: Sequence[object],
        named: Mapping[str, object],
        *,
        patience: float,
        on_progress: Callable[..., None] | None = None,
    ) -> object:
        """Call a function in the process, and return what it returns.

        `on_progress` gets what the call reports. Raises what the call raises, and `WorkerDied`
        where the process ends, or gives no sign of life for `patience` seconds once it is
        ready.
        """
        if not self.ready:
            self._receive(max(patience, START_PATIENCE))
            self.ready = True
        try:
            self.connection.send((function, arguments, named))
        except OSError:
            raise self.death() from None
        while True:
            match self._receive(patience):
                case "progress", progress:
                    if on_progress is not None:
                        on_progress(*progress)
                case "done", result:
                    return result
                case "failed", error:
                    raise error

    def wait(self, patience: float) -> None:
        """Wait for a message. Raises `WorkerDied` if none comes in so many seconds, or ever."""
        deadline = time.monotonic() + patience
        try:
            # A child of the worker may hold the connection open when the worker itself is gone.
            while not self.connection.poll(min(1.0, max(0.0, deadline - time.monotonic()))):
                if self.process.poll() is not None:
                    raise self.death()
                if time.monotonic() >= deadline:
                    self.kill()
                    raise WorkerDied(f"no sign of life for {patience:,.0f} s")
        except (EOFError, OSError):
            raise self.death() from None

    def end(self) -> None:
        """Let the process end; kill it if it does not within 5 seconds."""
        self.connection.close()  # it reads this as the end of its work
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def kill(self) -> None:
        """End the process at once, with all that it has started."""
        kill_group(self.process)

    def death(self) -> WorkerDied:
        """The reason why the process ended, once its connection is closed."""
        try:
            code = self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()
            return WorkerDied("its worker closed the connection")
        if code >= 0:
            return WorkerDied(f"its worker ended with code {code}")
        name = signal_name(-code)
        if name == "SIGKILL" and _kills_for_memory() > self._kills:
            return WorkerDied("the system ended its worker for memory", out_of_memory=True)
        return WorkerDied(f"its worker was killed by {name}", crashed=name in CRASHES)

    def _receive(self, patience: float) -> tuple[str, Any]:
        self.wait(patience)
        try:
            message = self.connection.recv_bytes()
        except (EOFError, OSError):  # the latter within a message
            raise self.death() from None
        kind, value = pickle.loads(message)
        return kind, value


def safe_python_path() -> dict[str, str]:
    """Settings with which a child finds the modules that we find, but none in the working folder.

    That may be a stranger's. It counts only where it is named in `PYTHONPATH`, or holds the
    program that runs, or this package.
    """
    try:
        here = os.path.realpath(os.getcwd())
    except OSError:  # it is gone
        here = ""
    ours = str(Path(__file__).parents[2])
    program = getattr(sys.modules["__main__"], "__file__", None) or ours
    named = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    trusted = {os.path.realpath(path) for path in (ours, os.path.dirname(program), *named)}
    found = [path for path in sys.path if path and path != os.curdir]
    path = [path for path in found if os.path.realpath(path) != here or here in trusted]
    return {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys([*path, ours])),
        "PYTHONSAFEPATH": "1",
    }


def _kills_for_memory() -> int:
    """How many processes the system has killed for want of memory since it started."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
