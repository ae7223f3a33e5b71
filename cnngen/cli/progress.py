"""Shows the progress of trainings."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.progress import MofNCompleteColumn, TaskID, TextColumn

from cnngen.cli.output import progress_bars, progress_console
from cnngen.errors import printable
from cnngen.runs.campaign import Job, Tally, Watch
from cnngen.runs.record import Record
from cnngen.training.progress import BatchDone
from cnngen.training.protocol import Epoch

LINE_EVERY = 60.0
"""Seconds between lines if there is no terminal."""

MOST_NAMED = 3
"""Most models in training that a line names."""


@dataclass
class _AtWork:
    """A model in training: its bar, how many of its epochs have ended, and the card it is on."""

    bar: TaskID
    name: str
    epochs: int
    ended: int = 0
    batch: BatchDone | None = None
    device: str | None = None

    def __str__(self) -> str:
        on = f" on {self.device}" if self.device else ""
        batch = f", batch {self.batch.number:,} of {self.batch.of:,}" if self.batch else ""
        return f"in epoch {min(self.ended + 1, self.epochs)} of {self.epochs}{batch}{on}"


class Display(Watch):
    """Shows progress bars on a terminal, one for all networks and one for each in training.
    Elsewhere, such as in the log of a batch job, prints a line now and then.
    """

    def __init__(self, total: int, what: str = "networks") -> None:
        self.what = what
        """The noun for what is counted."""
        self.tally = Tally(total)
        self._progress = progress_bars(
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            disable=not progress_console.is_terminal,
        )
        self._all = self._progress.add_task(self.what, total=total or None, note="")
        self._at_work: dict[str, _AtWork] = {}
        """The models in training, by key."""
        self._began = time.monotonic()
        self._over = threading.Event()
        self._lines = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> Self:
        self._progress.start()
        if not progress_console.is_terminal:
            self._lines.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._lines.is_alive():
            self._lines.join()
        self._progress.stop()

    def say(self, text: str, style: str | None = None) -> None:
        """Print a line above the bars."""
        self._progress.console.print(printable(text), style=style, soft_wrap=True)

    def expect(self, total: int) -> None:
        """Count up to another total than at first."""
        self.tally.total = total
        self._progress.update(self._all, total=total or None)

    def began(self, job: Job) -> None:
        self.tally.began(job)
        name, epochs = f"{job.network.id[:8]}, {len(job.network)} layers", job.protocol.epochs
        bar = self._progress.add_task(name, total=epochs, note="")
        self._at_work[job.key] = _AtWork(bar, name, epochs)

    def placed(self, key: str, device: str) -> None:
        if (model := self._at_work.get(key)) is not None:
            model.device = device
            self._progress.update(model.bar, description=f"{model.name}, {device}")

    def batch(self, key: str, batch: BatchDone) -> None:
        if (model := self._at_work.get(key)) is not None:
            model.batch = batch
            part = (batch.epoch - 1) + batch.number / batch.of
            self._progress.update(model.bar, completed=part)

    def epoch(self, key: str, epoch: Epoch) -> None:
        if (model := self._at_work.get(key)) is not None:
            model.ended, model.batch = epoch.number, None
            note = f"validation accuracy {epoch.validation_accuracy:.3f}"
            self._progress.update(model.bar, completed=epoch.number, note=note)

    def lost(self, job: Job, cause: str) -> None:
        self.tally.lost(job, cause)
        self._remove(job.key)
        self.say(f"{job.network.id[:8]} starts again: {cause}", style="bold red")

    def given_up(self, job: Job, cause: str) -> None:
        self.say(f"{job.network.id[:8]} was given up: {cause}", style="bold red")

    def ended(self, record: Record, *, new: bool) -> None:
        self.tally.ended(record, new=new)
        self._remove(record.key)
        self._count()

    def broken(self, run: Path, reason: str, moved: Path | None) -> None:
        self.tally.broken(run, reason, moved)
        self._count()
        then = "left as it is, and not trained" if moved is None else f"moved to {moved}"
        self.say(f"{run}: {reason}; {then}")

    def _remove(self, key: str) -> None:
        if (model := self._at_work.pop(key, None)) is not None:
            self._progress.remove_task(model.bar)

    def pace(self) -> str:
        """The note beside the bar of all."""
        return pace(self.tally)

    def _count(self) -> None:
        done = self.tally.done + self.tally.unreadable
        self._progress.update(self._all, completed=done, note=self.pace())

    def _tell(self) -> None:
        """Print a line now and then, however long an epoch takes."""
        while not self._over.wait(LINE_EVERY):
            self.say(self.line())

    def line(self) -> str:
        """What is done, what is in training, and for how long."""
        done = self.tally.done + self.tally.unreadable
        of = f" of {self.tally.total:,}" if self.tally.total else ""
        at_work = [f"{key[:8]} {model}" for key, model in list(self._at_work.items())]
        more = f" and {len(at_work) - MOST_NAMED} more" if len(at_work) > MOST_NAMED else ""
        parts = [f"{done:,}{of} {self.what}", *at_work[:MOST_NAMED]]
        elapsed = duration(time.monotonic() - self._began)
        return f"{', '.join(parts)}{more}, after {elapsed}; {self.pace()}"


def pace(tally: Tally) -> str:
    """Format the rate, the remaining time, the energy used and the failures."""
    parts = []
    if tally.an_hour is not None:
        rate = tally.an_hour
        parts.append(f"{rate:,.0f} an hour" if rate >= 100 else f"{rate:.3g} an hour")
    if tally.seconds_left:
        parts.append(f"{duration(tally.seconds_left)} left")
    parts.append(f"{tally.energy * 1000:,.3g} Wh")
    parts += [f"{status} {count:,}" for status, count in tally.failures.items()]
    if tally.anew:
        parts.append(f"restarted {tally.anew:,}")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """Format a duration in the two largest of days, hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((i for i, (count, _) in enumerate(units) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2])
