"""Settings of all tests: threads of their processes, their order, and a notice if no browser is
installed."""

from __future__ import annotations

import os
import signal
import sys
import tempfile

import pytest
from browser import HINT, LACKING, executable
from hypothesis import HealthCheck, settings

# A machine that is busy with other things is slow, and no test says how slow it may be.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# Test processes share the cores: more threads in each would wait for one another.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# Hundreds of processes load a framework; compiling PyTorch's modules takes longer than running them.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A run in the background begins with Ctrl-C ignored, and what it starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A calibration of the developer's machine is none of the tests' business, nor theirs of it.
os.environ["CNNGEN_CONFIG"] = tempfile.mkdtemp(prefix="cnngen-config-")

LONGEST = ("test_campaign_kills", "test_campaign_ray", "test_keras_source", "test_keras_training")
"""Modules of few tests that take long. If they came last, one core would wait for another."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in LONGEST)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if executable() is None:
        terminalreporter.write_sep("!", LACKING, red=True, bold=True)
        terminalreporter.write_line(f"To have it tested: {HINT}.")
