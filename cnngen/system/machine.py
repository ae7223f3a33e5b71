"""Services that operating systems offer in different ways, each behind one function.

No other module needs `resource`, process groups, or signals that some systems lack.
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

CRASHES = ("SIGABRT", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP")
"""Signals that a process gets for its own errors, and seldom from anybody else."""


OWN_GROUP: dict[str, Any] = (
    {"start_new_session": True}
    if os.name == "posix"
    else {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
)
"""Arguments of `subprocess.Popen` for a process that `kill_group` can end."""


def usable_cores() -> int:
    """The number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_name() -> str:
    """The name of the processor, as Linux or Python's `platform` tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown"


def inherits_files() -> bool:
    """Whether child processes can be given open files: on POSIX, where they have groups, too."""
    return hasattr(os, "killpg")


def limit_memory(size: int) -> None:
    """Let this process write to at most `size` bytes of memory from now on.

    What asks for more fails with a `MemoryError`. The address space, of which frameworks
    reserve many times what they use, is not limited. Does nothing where the system offers no
    such limit (RLIMIT_DATA); Linux alone enforces it.
    """
    try:
        import resource
    except ImportError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = size if most == resource.RLIM_INFINITY else min(size, most)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """End this process with SIGALRM if the block takes longer; elsewhere there is no limit."""
    if not hasattr(signal, "setitimer"):
        yield
        return
    # Nobody catches the alarm, so it ends whatever runs, Python or not.
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def signal_name(number: int) -> str:
    """A signal's name, such as `SIGKILL`, or its number as text where it has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started with `OWN_GROUP`, with all that it has started."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
