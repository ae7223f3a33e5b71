"""Processes of our own, and the line to each: how work is done apart from this process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

START = "from cnngen.system.process import begin; begin({!r}, {})"

STDERR = 2

CRASHES = frozenset(
    {signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP}
)
"""What a process gets for its own errors, and seldom from anybody else."""


class WorkerDied(Exception):
    """A worker ended before its work did.

    `out_of_memory`: the system ended it for memory. `by_model`: the model may be to blame.
    `crashed`: native code that it ran went wrong.
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


class Child:
    """A process that runs `main(line)` of a module, and the other end of that line.

    It is no process of `multiprocessing`, which would import the main module again and with
    it run whatever stands there unguarded. `environment` is set on top of ours. With `caught`,
    what the process prints comes out of `process.stdout`, where somebody must read it. The
    open `files` are open there, too, by the same numbers.
    """

    def __init__(
        self,
        module: str,
        environment: Mapping[str, str],
        *,
        caught: bool = False,
        files: Sequence[int] = (),
    ) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            self.process = subprocess.Popen(
                [sys.executable, "-c", START.format(module, number)],
                env=os.environ | environment | _python_path(),
                pass_fds=[number, *files],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if caught else STDERR,  # stdout is for our own answers
                stderr=subprocess.STDOUT if caught else None,
                start_new_session=True,  # Ctrl-C is for the parent to act on
            )
        self.line = Connection(ours.detach())
        self._kills = _kills_for_memory()

    def tell(self, message: object) -> None:
        """Send a message. Raises `WorkerDied` where nobody takes it."""
        try:
            self.line.send(message)
        except OSError:
            raise self.death() from None

    def wait(self, patience: float) -> None:
        """Wait for a message. Raises `WorkerDied` where none comes in so many seconds, or ever."""
        deadline = time.monotonic() + patience
        try:
            # A child of the worker may hold the line open when the worker itself is gone.
            while not self.line.poll(min(1.0, max(0.0, deadline - time.monotonic()))):
                if self.process.poll() is not None:
                    raise self.death()
                if time.monotonic() >= deadline:
                    self.kill()
                    raise WorkerDied(f"no sign of life for {patience:,.0f} s")
        except (EOFError, OSError):
            raise self.death() from None

    def end(self) -> None:
        """Let it end, or end it."""
        self.line.close()  # it reads this as the end of its work
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def kill(self) -> None:
        """End it at once, with all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def death(self) -> WorkerDied:
        """What it died of, once its line is dead."""
        try:
            code = self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()
            return WorkerDied("its worker closed the line")
        if code >= 0:
            return WorkerDied(f"its worker ended with code {code}")
        name = signal.Signals(-code).name if -code in list(signal.Signals) else str(-code)
        if -code == signal.SIGKILL and _kills_for_memory() > self._kills:
            return WorkerDied("the system ended its worker for memory", out_of_memory=True)
        return WorkerDied(f"its worker was killed by {name}", crashed=-code in CRASHES)


def _python_path() -> dict[str, str]:
    """What makes a child find the modules that we find, but none in the working folder.

    That may be a stranger's. It counts only where it is named in `PYTHONPATH`, or holds the
    program that runs, or this package.
    """
    try:
        here = os.path.realpath(os.getcwd())
    except OSError:  # it is gone
        here = ""
    ours = str(Path(__file__).parents[1])
    program = getattr(sys.modules["__main__"], "__file__", None) or ours
    named = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    trusted = {os.path.realpath(path) for path in (ours, os.path.dirname(program), *named)}
    found = [path for path in sys.path if path and path != os.curdir]
    path = [path for path in found if os.path.realpath(path) != here or here in trusted]
    return {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys([*path, ours])),
        "PYTHONSAFEPATH": "1",
    }


def begin(module: str, number: int) -> None:
    """The whole of a child's program."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if sys.platform == "linux":
        # Where memory runs out, this process goes and not its parent, if that may be said.
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500")
    import_module(module).main(Connection(number))


def _end_with_parent() -> None:
    # The parent holds the other end of stdin, and the system closes it, however it dies.
    while os.read(0, 1):
        pass
    os._exit(1)


def _kills_for_memory() -> int:
    """How many processes the system has ended for want of memory since it started."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
