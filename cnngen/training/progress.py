"""Tracks a training and applies the protocol's rules for stopping it.

The training loops of backends differ, but share this, so that statuses mean the same in all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import astuple, dataclass, fields
from math import inf, isfinite
from typing import TYPE_CHECKING

import numpy as np

from cnngen.errors import BackendFault, CnnGenError
from cnngen.network import Network
from cnngen.training.data.dataset import Labels
from cnngen.training.protocol import (
    Epoch,
    Protocol,
    Status,
    TrainingResult,
    batch_sizes,
    chance,
)

if TYPE_CHECKING:
    from cnngen.training.protocol import Weights


@dataclass(frozen=True, slots=True)
class BatchDone:
    """How far a training is within an epoch: `number` of its `of` batches; all from 1."""

    epoch: int
    number: int
    of: int


TELL_EVERY = 10.0
"""Seconds between two reports from within an epoch."""

on_batch: ContextVar[Callable[[BatchDone], None] | None] = ContextVar("on_batch", default=None)
"""Where trainings report now and then how far they are within an epoch, however long that takes."""


class TrainingProgress:
    """The progress of one training, whose clock starts now.

    `labels` are those of the training images. `on_epoch` is called with each `Epoch` as it ends.
    """

    def __init__(
        self, protocol: Protocol, labels: Labels, on_epoch: Callable[[Epoch], None] | None
    ) -> None:
        self.number = 0
        """Number of the current epoch, from 1."""
        self.status: Status = "ok"
        self._protocol = protocol
        self._by_chance = chance(np.bincount(labels).tolist())
        self._on_epoch = on_epoch
        self._cause: str | None = None
        self._cause_epoch: int | None = None
        self._nan_because = ""
        self._resumed = 0
        self.weights: Callable[[], Weights] | None = None
        """Gives copies of the weights, once there is a model."""
        self.best: Weights | None = None
        """The weights of the best epoch by validation, if the protocol keeps them."""
        self._batch = 0
        self._batches = len(batch_sizes(len(labels), protocol.batch))
        self._told = time.perf_counter()
        self._epochs: list[Epoch] = []
        self._dead = 0
        self._test: tuple[float | None, float | None] = None, None
        self._seconds = 0.0
        self._began = self._epoch_began = time.perf_counter()

    def reached(self) -> dict[str, list[float]]:
        """What was reached so far, as numbers, for a checkpoint."""
        own = [float(self._dead), self._seconds]
        return {"own": own, "epochs": [x for one in self._epochs for x in astuple(one)]}

    def go_on(self, reached: Mapping[str, Sequence[float]]) -> None:
        """Go on from what an earlier part of the training had reached, whose time counts.

        Raises `ValueError` for what `reached` did not give.
        """
        dead, seconds = reached["own"]
        figures = list(reached["epochs"])
        width = len(fields(Epoch))
        rows = [figures[at : at + width] for at in range(0, len(figures), width)]
        self._epochs = [Epoch(int(number), *rest) for number, *rest in rows]
        if [one.number for one in self._epochs] != list(range(1, len(rows) + 1)) or seconds < 0:
            raise ValueError("these are not the epochs of a training")
        self.number, self._dead, self._seconds = len(rows), int(dead), float(seconds)
        self._resumed = self.number
        self._began = time.perf_counter() - self._seconds

    def begin(self) -> None:
        """Start the next epoch."""
        self.number += 1
        self._batch = 0
        self._epoch_began = time.perf_counter()

    def end(self, trained: tuple[float, float], validated: tuple[float, float]) -> None:
        """End the current epoch with its losses and accuracies, NaN where there are none."""
        now = time.perf_counter()
        self._seconds = now - self._began
        epoch = Epoch(self.number, now - self._epoch_began, *trained, *validated)
        if self._protocol.keep == "best" and self.weights is not None and self._is_best(epoch):
            self.best = self.weights()
        self._epochs.append(epoch)
        if self._on_epoch is not None:
            try:
                self._on_epoch(epoch)
            except Exception as error:
                raise _CallersOwn(error) from error

    def _is_best(self, epoch: Epoch) -> bool:
        """Whether an epoch is better by validation accuracy than all before; the first of equals is."""
        best = max((one.validation_accuracy for one in self._epochs), default=-1.0)
        return epoch.validation_accuracy > best

    def in_float32(self, loss: float, precision: str) -> None:
        """Note the loss of images, in float32, for which that in a lower precision is not finite."""
        here = "is finite" if isfinite(loss) else f"is {loss}"
        self._nan_because = f", computed in {precision}; in float32 it {here}"

    def goes_on(self, is_constant: Callable[[], bool]) -> bool:
        """Return whether another epoch follows the one that has ended.

        `is_constant` returns whether the model predicts one class for all images. It is called
        only if the training accuracy is no better than chance.
        """
        epoch, protocol = self._epochs[-1], self._protocol
        if not isfinite(epoch.train_loss):
            # Weights that are NaN stay NaN.
            cause = f"the training loss became {epoch.train_loss} in epoch {self.number}"
            self._stop("nan", cause + self._nan_because)
            return False
        dead = epoch.train_accuracy <= self._by_chance and is_constant()
        self._dead = self._dead + 1 if dead else 0
        if self._dead == protocol.abort_dead or self.number == protocol.epochs:
            return False
        if protocol.patience is not None and self._since_lowest() >= protocol.patience:
            return False
        return not self._out_of_time()

    def _since_lowest(self) -> int:
        """How many epochs ended after that with the lowest validation loss; the first of equals is it."""
        losses = [one.validation_loss for one in self._epochs]
        lowest = min((loss for loss in losses if isfinite(loss)), default=inf)
        return len(losses) - 1 - (losses.index(lowest) if isfinite(lowest) else -1)

    def is_over(self) -> bool:
        """Return whether the time budget is spent, and set the status if so.

        Called after each batch of an epoch but the last; it counts them, and reports now and then.
        """
        now = time.perf_counter()
        self._batch += 1
        if now - self._told >= TELL_EVERY and (tell := on_batch.get()) is not None:
            self._told = now
            tell(BatchDone(self.number, self._batch, self._batches))
        return self._out_of_time()

    def _out_of_time(self) -> bool:
        budget = self._protocol.time_budget
        if budget is None or time.perf_counter() - self._began <= budget:
            return False
        self._seconds = time.perf_counter() - self._began
        self._stop("time_budget", f"the budget of {budget:g} s ended in epoch {self.number}")
        return True

    def test(self, evaluate: Callable[[], tuple[float, float]]) -> None:
        """Record loss and accuracy on the test images, unless the weights are not finite."""
        if self.status == "nan":
            return
        if self._dead and self.status == "ok":
            since = self.number - self._dead + 1
            self._stop("dead", f"it gives one class for all images since epoch {since}")
        loss, accuracy = evaluate()
        if isfinite(loss):
            self._test = loss, accuracy
        else:  # the accuracy of NaN outputs is accidental
            self._stop("nan", f"the test loss after epoch {self.number} is {loss}")

    @contextmanager
    def kept(self, no_memory: Sequence[str], *kinds: type[Exception]) -> Iterator[None]:
        """Turn any exception of the training into its status, except those of `on_epoch`.

        Lack of memory is a `MemoryError`, one of `kinds`, or a message with one of the texts.
        """
        try:
            yield
        except CnnGenError:
            raise
        except _CallersOwn as raised:
            raise raised.error from None
        except Exception as error:
            # Whatever the reason why a network cannot be trained, it is a result to keep.
            told = str(error)
            lacks = isinstance(error, (MemoryError, *kinds)) or any(s in told for s in no_memory)
            first = (told.strip().splitlines() or [type(error).__name__])[0]
            self._stop("out_of_memory" if lacks else "error", first[:300])

    def result(
        self,
        device: str,
        threads: int | None,
        gpu: str | None,
        precision: str = "float32",
        skipped_steps: int | None = None,
        *,
        execution: str | None = None,
        execution_cause: str | None = None,
    ) -> TrainingResult:
        """Return the result of the training, with what computed it, and how.

        `weights` is that of this object, where a loop has set it.
        """
        loss, accuracy = self._test
        return TrainingResult(
            status=self.status,
            cause=self._cause,
            epochs=tuple(self._epochs),
            train_seconds=self._seconds,
            test_loss=loss,
            test_accuracy=accuracy,
            device=device,
            threads=threads,
            gpu=gpu,
            cause_epoch=self._cause_epoch,
            precision=precision,
            skipped_steps=skipped_steps,
            execution=execution,
            execution_cause=execution_cause,
            resumed_epochs=self._resumed,
            weights=self.weights,
            best_weights=self.best,
        )

    def _stop(self, status: Status, cause: str) -> None:
        self.status, self._cause, self._cause_epoch = status, cause, self.number or None


def check_parameters(network: Network, count: int) -> None:
    """Check that a loaded model has as many trained weights as its network.

    Raises `BackendFault` if it does not: its results would be recorded for another network.
    """
    if count != network.cost.parameters:
        raise BackendFault(
            f"the model has {count:,} weights, its network {network.cost.parameters:,}",
            hint="A setting of the framework has changed it, or the emitted file is wrong.",
        )


class _CallersOwn(Exception):
    """Wraps an exception of `on_epoch`, which is not a failure of the training."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
