"""Loads a machine in steps, for a meter to read: so many of its cores busy, and its GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from cnngen.errors import CnnGenError
from cnngen.system.machine import usable_cores
from cnngen.system.process import safe_python_path
from cnngen.training.energy.figures import JOULES_PER_KWH
from cnngen.training.energy.gpu import Gpus
from cnngen.training.energy.load import LoadClock

LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0)
"""Shares of the usable cores: up and down, so that a machine that warms up bends no slope."""
SETTLING = 5.0
"""Most seconds at the begin of a step that are left out: meters and fans are slow."""

_PARENT = """
import os, sys, threading, time
def end():
    sys.stdin.read()  # the parent's end closes, however it dies
    os._exit(0)
threading.Thread(target=end, daemon=True).start()
"""

SPIN = (
    _PARENT
    + """
import numpy
share, matrix = float(sys.argv[1]), numpy.ones((128, 128), numpy.float32)
while True:
    end_of_work = time.perf_counter() + 0.1 * share
    while time.perf_counter() < end_of_work:
        matrix @ matrix
    time.sleep(0.1 * (1 - share))
"""
)
"""The program that keeps one core busy for a share of the time, with products of matrices."""

SPIN_GPUS = (
    _PARENT
    + """
import torch
cards = [torch.ones(4096, 4096, device=f"cuda:{n}") for n in range(torch.cuda.device_count())]
if not cards:
    sys.exit(1)
print("ready", flush=True)
while True:
    for card in cards:
        card @ card
    for number in range(len(cards)):
        torch.cuda.synchronize(number)
"""
)

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class LoadStep:
    """One step: `start` and `end` in UNIX seconds, the mean `load` of all cores that was measured,
    0 to 1, and the mean power of the GPUs by NVML in W, None without GPUs."""

    start: float
    end: float
    load: float
    gpu: float | None


@dataclass(frozen=True, slots=True)
class LoadLevel:
    """What is to be busy in a step: a share of the usable cores, and perhaps all GPUs."""

    cores: float
    gpus: bool = False


def plan_of(*, with_gpus: bool) -> list[LoadLevel]:
    """The steps of a calibration, in their order."""
    steps = [LoadLevel(level) for level in LEVELS]
    return steps + [LoadLevel(0, busy) for busy in (True, False, True)] if with_gpus else steps


def run_load_steps(
    plan: Sequence[LoadLevel],
    seconds: float,
    gpus: Gpus | None = None,
    on_step: Callable[[LoadLevel], None] = lambda level: None,
) -> list[LoadStep]:
    """Run each step for `seconds`, and measure its load after it has settled.

    `on_step` is told what begins. Raises `CnnGenError` if GPUs are to be busy and cannot be.
    """
    steps = []
    for level in plan:
        on_step(level)
        with _busy_gpus(level.gpus), busy_cores(level.cores):
            settling = min(SETTLING, seconds / 4)
            time.sleep(settling)
            steps.append(measure_step(gpus, seconds - settling))
    return steps


def measure_step(gpus: Gpus | None, seconds: float) -> LoadStep:
    """Measure the load of the machine for some seconds, whatever causes it."""
    clock, start, energy = LoadClock(), time.time(), gpus.energy() if gpus else None
    time.sleep(seconds)
    load, after = clock.lap(), gpus.energy() if gpus else None
    share = load.machine_share
    if share is None:
        raise CnnGenError("the step is too short to tell its load", hint="Take 5 s or more.")
    gpu = None
    if energy is not None and after is not None and after >= energy:
        gpu = (after - energy) * JOULES_PER_KWH / load.seconds
    return LoadStep(start, start + load.seconds, share, gpu)


@contextmanager
def busy_cores(share: float) -> Iterator[None]:
    """Keep a share of the usable cores busy, 0 to 1, with child processes of one core each."""
    whole, part = divmod(share * usable_cores(), 1)
    shares = [1.0] * int(whole) + ([part] if part > 1e-9 else [])
    spinners = []
    try:
        for each in shares:
            spinners.append(_spinner(SPIN, str(each)))
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.communicate()


@contextmanager
def _busy_gpus(wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    spinner = _spinner(SPIN_GPUS)
    try:
        assert spinner.stdout is not None
        if spinner.stdout.readline() != b"ready\n":
            raise CnnGenError("PyTorch finds no GPU to keep busy", hint="Leave out --gpu.")
        yield
    finally:
        spinner.kill()
        spinner.communicate()


def _spinner(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | safe_python_path() | dict.fromkeys(ONE_THREAD, "1"),
    )
