"""Logs for TensorBoard: a folder a run, written as epochs end."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from cnngen.campaign.run import Watch
from cnngen.errors import CnnGenError
from cnngen.protocol import Epoch
from cnngen.record import Record

try:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
except ImportError as error:
    raise CnnGenError(
        f"TensorBoard logs need its package ({error})",
        hint="Install: pip install 'cnngen[tensorboard]'",
    ) from None


class TensorBoard(Watch):
    """Writes each epoch's losses and accuracies, and the test's, under the run's key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[str, EventFileWriter] = {}
        self._written: dict[str, int] = {}
        self._lock = threading.Lock()

    def epoch(self, key: str, epoch: Epoch) -> None:
        with self._lock:
            self._epoch(key, epoch)

    def ended(self, record: Record, *, new: bool) -> None:
        if not new:
            return
        with self._lock:
            # Epochs of workers on other machines are not told as they end.
            for epoch in record.history[self._written.pop(record.key, 0) :]:
                self._epoch(record.key, epoch)
            self._written.pop(record.key, None)
            figures = {"test/accuracy": record.test_accuracy, "test/loss": record.test_loss}
            if record.energy is not None:
                figures["energy/Wh"] = record.energy.total_energy * 1000
            self._add(record.key, record.epochs, figures)
            self._writers.pop(record.key).close()

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
        if key not in self._writers:
            self._writers[key] = EventFileWriter(str(self._folder / key))
        values = [
            Summary.Value(tag=tag, simple_value=figure)
            for tag, figure in figures.items()
            if figure is not None
        ]
        self._writers[key].add_event(Event(step=step, summary=Summary(value=values)))
