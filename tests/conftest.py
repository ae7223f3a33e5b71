"""Settings of all tests: threads of their processes, and a notice if no browser is installed."""

from __future__ import annotations

import os
import signal

import pytest
from browser import HINT, LACKING, executable
from hypothesis import HealthCheck, settings

# A machine that is busy with other things is slow, and no test says how slow it may be.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# Test processes share the cores: more threads in each would wait for one another.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# A run in the background begins with Ctrl-C ignored, and what it starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if executable() is None:
        terminalreporter.write_sep("!", LACKING, red=True, bold=True)
        terminalreporter.write_line(f"To have it tested: {HINT}.")
