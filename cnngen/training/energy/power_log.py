"""What a power meter wrote: a CSV file of watts over time, or lines of a program that runs."""

from __future__ import annotations

import csv
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from math import isfinite
from pathlib import Path
from statistics import fmean

from cnngen.errors import CnnGenError, counted, shorten
from cnngen.system import machine
from cnngen.system.untrusted import read_text
from cnngen.training.energy.load_steps import LoadStep
from cnngen.training.energy.power_fit import PowerPoint

MOST_BYTES = 64 * 2**20
MOST_WATTS = 1e6
LATEST = 1e11
"""UNIX seconds of the year 5138: larger numbers are milliseconds."""
PATIENCE = 15.0
"""Seconds within which a program has to print its first line."""


@dataclass(frozen=True, slots=True)
class PowerSample:
    """Watts that a meter read, at a time in UNIX seconds."""

    time: float
    watts: float


def read_power_log(path: Path, *, begun: bool = False) -> list[PowerSample]:
    """Read a CSV file with the columns `time` (ISO 8601 or UNIX seconds) and `watts`.

    A time without an offset is this machine's local time. Other columns are passed over, and
    so is a last line without its end, which may still be written. Raises `CnnGenError` with the
    line of a mistake, and for a file without readings, unless it has just `begun`.
    """
    samples = [
        PowerSample(_time(row["time"], place), _watts(row["watts"], place))
        for place, row in _rows(path, ("time", "watts"), whole_lines=True)
    ]
    if not samples and not begun:
        raise CnnGenError(
            f"{path} has no readings", hint="Its first line is time,watts, and each other has two."
        )
    return samples


def read_load_steps(path: Path) -> list[LoadStep]:
    """Read the steps of a load that `write_load_steps` wrote. Raises `CnnGenError`."""
    steps = []
    for place, row in _rows(path, LoadStep.__slots__):
        start, end = _time(row["start"], place), _time(row["end"], place)
        load = _number(row["load"], place, "load", 1.0)
        gpu = _watts(row["gpu"], place) if row["gpu"] else None
        if end <= start:
            raise CnnGenError(f"{place}: the step ends before it starts")
        steps.append(LoadStep(start, end, load, gpu))
    if not steps:
        raise CnnGenError(f"{path} has no steps")
    return steps


def write_load_steps(path: Path, steps: Sequence[LoadStep]) -> None:
    """Write steps as a CSV file. Raises `CnnGenError` if that fails."""
    lines = [",".join(LoadStep.__slots__)]
    for step in steps:
        gpu = "" if step.gpu is None else f"{step.gpu:.3f}"
        lines.append(f"{step.start:.3f},{step.end:.3f},{step.load:.5f},{gpu}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise CnnGenError(f"{path} cannot be written: {error.strerror}") from None


def points_of(samples: Sequence[PowerSample], steps: Sequence[LoadStep]) -> list[PowerPoint]:
    """The mean power within each step; steps without a sample are left out.

    One point a step, as a meter's seconds within a step are not independent of each other.
    Raises `CnnGenError` if the meter read in fewer than three steps.
    """
    points = []
    for step in steps:
        within = [one.watts for one in samples if step.start <= one.time < step.end]
        if within:
            points.append(PowerPoint(fmean(within), step.load, step.gpu))
    if len(points) < 3:
        logged = _span(min(s.time for s in samples), max(s.time for s in samples))
        loaded = _span(steps[0].start, steps[-1].end) if steps else "never"
        raise CnnGenError(
            f"the meter read in only {len(points)} of {counted(len(steps), 'step')} of load",
            hint=f"It read {logged}; the load ran {loaded}. Give times with an offset (+00:00).",
        )
    return points


class LiveSource:
    """A program that prints a line of watts each second, while the `with` block runs.

    `command` is split as a shell does, and run without one. Raises `CnnGenError` if it does not
    start or its first line does not come.
    """

    def __init__(self, command: str) -> None:
        self._name = shorten(command)
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise CnnGenError(f"'{self._name}' is not a command: {error}") from None
        if not self._words:
            raise CnnGenError("the command of the source is empty")
        self._samples: list[PowerSample] = []
        self._fault: CnnGenError | None = None
        self._heard = threading.Event()

    def __enter__(self) -> LiveSource:
        try:
            self._process = subprocess.Popen(
                self._words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                **machine.OWN_GROUP,
            )
        except (OSError, ValueError) as error:
            raise CnnGenError(f"'{self._name}' does not start: {error}") from None
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            if not self._heard.wait(PATIENCE):
                raise CnnGenError(f"'{self._name}' printed nothing in {PATIENCE:.0f} s")
            self.samples()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *cause: object) -> None:
        machine.kill_group(self._process)
        self._process.wait()

    def samples(self) -> list[PowerSample]:
        """Return what was read so far. Raises `CnnGenError` for a line that is no number, and if
        the program has ended."""
        if self._fault is not None:
            raise self._fault
        return list(self._samples)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        number = 0
        try:
            while line := self._process.stdout.readline(1000):
                number += 1
                text = line.decode(errors="replace").strip()
                if text:
                    watts = _watts(text, f"'{self._name}', line {number}")
                    self._samples.append(PowerSample(time.time(), watts))
                    self._heard.set()
            self._fault = CnnGenError(f"'{self._name}' ended after {counted(number, 'line')}")
        except CnnGenError as error:
            self._fault = error
        except (OSError, ValueError):
            self._fault = CnnGenError(f"'{self._name}' cannot be read")
        self._heard.set()


def _rows(
    path: Path, needed: Sequence[str], *, whole_lines: bool = False
) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a CSV file with a head, each with its place for messages.

    With `whole_lines`, what comes after the last line end is passed over.
    """
    try:
        text = read_text(path, MOST_BYTES)
    except FileNotFoundError:
        raise CnnGenError(f"there is no {path}") from None
    except OSError as error:
        raise CnnGenError(f"{path} {error.strerror}") from None
    if whole_lines:
        text = text[: max(text.rfind("\n"), text.rfind("\r")) + 1]
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    head: list[str] = []
    try:
        for cells in reader:
            place = f"{path}:{reader.line_num}"
            if not cells or not any(cell.strip() for cell in cells):
                continue
            if not head:
                head = [cell.strip().lower() for cell in cells]
                if lacking := [name for name in needed if name not in head]:
                    raise CnnGenError(
                        f"{place}: no column {' and no '.join(lacking)}",
                        hint=f"The first line names the columns: {','.join(needed)}",
                    )
                continue
            if len(cells) != len(head):
                raise CnnGenError(f"{place}: {counted(len(cells), 'cell')}, not {len(head)}")
            yield place, dict(zip(head, map(str.strip, cells), strict=True))
    except csv.Error as error:
        raise CnnGenError(f"{path}:{reader.line_num}: {error}") from None


def _time(text: str, place: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError, OSError):
            raise CnnGenError(
                f"{place}: '{shorten(text)}' is not a time",
                hint="Write ISO 8601 (2026-11-27T13:10:00+00:00) or UNIX seconds.",
            ) from None
    if not 0 <= seconds <= LATEST:
        hint = "Are these milliseconds? UNIX seconds are meant."
        raise CnnGenError(f"{place}: the time {shorten(text)} is impossible", hint=hint)
    return seconds


def _watts(text: str, place: str) -> float:
    return _number(text, place, "watts", MOST_WATTS)


def _number(text: str, place: str, what: str, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        raise CnnGenError(f"{place}: {what}: '{shorten(text)}' is not a number") from None
    if not isfinite(value) or not 0 <= value <= most:
        raise CnnGenError(f"{place}: {what}: {shorten(text)} is not from 0 to {most:,.0f}")
    return value


def _span(start: float, end: float) -> str:
    return " to ".join(
        datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds") for moment in (start, end)
    )
