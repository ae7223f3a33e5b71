"""Logs for TensorBoard: a folder a run, written as epochs end."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from cnngen.errors import CnnGenError, StoreError
from cnngen.runs.campaign.campaign import Watch
from cnngen.runs.campaign.jobs import Job
from cnngen.runs.record import Record
from cnngen.system.untrusted import refuse_links
from cnngen.training.protocol import Epoch

try:
    # Its writer of whole files would import TensorFlow, where that is installed.
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter
except ImportError as error:
    raise CnnGenError(
        f"TensorBoard logs need its package ({error})",
        hint="Install: pip install 'cnngen[tensorboard]'",
    ) from None


LOGS = "events.out.tfevents"
"""How the names of logs begin."""


class TensorBoard(Watch):
    """Writes each epoch's losses and accuracies, then the test's, into a run's own folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._logs: dict[str, RecordWriter] = {}
        self._written: dict[str, int] = {}
        self._lock = threading.Lock()

    def epoch(self, key: str, epoch: Epoch) -> None:
        with self._lock:
            self._epoch(key, epoch)

    def lost(self, job: Job, cause: str) -> None:
        with self._lock:
            self._forget(job.key)

    def ended(self, record: Record, *, new: bool) -> None:
        if not new:
            return
        with self._lock:
            if self._written.get(record.key, 0) > len(record.history):
                self._forget(record.key)  # its worker died, and the record has no epochs
            # Workers on other machines do not tell of epochs as they end.
            for epoch in record.history[self._written.pop(record.key, 0) :]:
                self._epoch(record.key, epoch)
            self._written.pop(record.key, None)
            figures = {"test/accuracy": record.test_accuracy, "test/loss": record.test_loss}
            if record.energy is not None:
                figures["energy/Wh"] = record.energy.total_energy * 1000
            self._add(record.key, record.epochs, figures)
            self._logs.pop(record.key).close()

    def _epoch(self, key: str, epoch: Epoch) -> None:
        figures = {
            "loss/train": epoch.train_loss,
            "loss/validation": epoch.validation_loss,
            "accuracy/train": epoch.train_accuracy,
            "accuracy/validation": epoch.validation_accuracy,
        }
        self._add(key, epoch.number, figures)
        self._written[key] = epoch.number

    def _add(self, key: str, step: int, figures: Mapping[str, float | None]) -> None:
        values = [
            Summary.Value(tag=tag, simple_value=figure)
            for tag, figure in figures.items()
            if figure is not None
        ]
        try:
            if key not in self._logs:
                self._logs[key] = self._begin(key)
            event = Event(wall_time=time.time(), step=step, summary=Summary(value=values))
            self._logs[key].write(event.SerializeToString())
            self._logs[key].flush()
        except OSError as error:
            raise StoreError(f"{self._folder} cannot be written: {error.strerror}") from None

    def _forget(self, key: str) -> None:
        """Drop what was written of a training that does not go on."""
        self._written.pop(key, None)
        if (log := self._logs.pop(key, None)) is not None:
            log.close()
        try:
            for path in (self._folder / key).glob(f"{LOGS}.*"):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{self._folder} cannot be written: {error.strerror}") from None

    def _begin(self, key: str) -> RecordWriter:
        self._forget(key)  # the campaign may have been killed amid it
        folder = self._folder / key
        refuse_links(folder, self._folder.parent)
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{LOGS}.{time.time():.6f}.{socket.gethostname()}"
        log = RecordWriter((folder / name).open("xb"))
        first = Event(wall_time=time.time(), file_version="brain.Event:2")
        log.write(first.SerializeToString())
        return log
