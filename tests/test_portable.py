"""Systems that lack `fcntl`, `resource` and POSIX signals can load CNNGen."""

from __future__ import annotations

import subprocess
import sys

LACKING = """
import os, signal, sys
from importlib import import_module
sys.modules |= {"fcntl": None, "resource": None}
del os.sched_getaffinity, os.killpg, signal.setitimer, signal.SIGBUS, signal.SIGALRM
for name in sys.argv[1:]:
    import_module(name)
from cnngen.system import machine
assert machine.usable_cores() == os.cpu_count()
machine.limit_memory(1)
with machine.time_limit(1e-9):
    bytearray(2)
"""


def test_no_module_needs_what_some_systems_lack() -> None:
    modules = [
        *("cnngen.__main__", "cnngen.cli.measure", "cnngen.cli.campaign", "cnngen.cli.compare"),
        *("cnngen.cli.studio", "cnngen.cli.lsp", "cnngen.cli.verify", "cnngen.runs.campaign"),
        *("cnngen.runs.train", "cnngen.runs.merge", "cnngen.comparison.experiment"),
        *("cnngen.editor.studio.app", "cnngen.editor.lsp.server", "cnngen.backend.mode_process"),
    ]
    done = subprocess.run(
        [sys.executable, "-W", "ignore:only soft", "-c", LACKING, *modules],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
