"""Trains a network for the page, with live progress, in a worker process with limits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from cnngen.editor.studio import requests as queries
from cnngen.editor.studio.answers import TextFault, fault, network_of
from cnngen.editor.studio.limits import Limits, was_late, within
from cnngen.errors import CnnGenError
from cnngen.runs.campaign import Metering, WorkerDied, Workers, make_job
from cnngen.runs.campaign.jobs import Told, train_job
from cnngen.runs.record import Record
from cnngen.runs.train import check_trainable
from cnngen.training.data.shared import SharedData
from cnngen.training.protocol import PROTOCOLS, Epoch

GRACE = 60.0
"""Seconds beyond its time budget that a training may take to start and test.
"""

PATIENCE = 3.0
"""Seconds that a training waits for the previous one to end."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a training: an epoch, or at its end the record or the fault."""

    kind: Literal["epoch", "record", "fault"]
    epoch: Epoch | None = None
    record: Record | None = None
    fault: TextFault | None = None


class Trainer:
    """Trains one network at a time.

    The worker is kept, so that the next training starts at once, but ended with a training that
    is cancelled or takes too long.
    """

    def __init__(self, data: SharedData, limits: Limits) -> None:
        self._data = data
        self._limits = limits
        self._workers: Workers | None = None
        self._turn = asyncio.Lock()
        self._report: Callable[[Event | None], None] = lambda event: None

    async def train(self, query: queries.Train, tell: Callable[[Event], Awaitable[None]]) -> None:
        """Train, and call `tell` with each event. Cancelling the task ends the training."""
        try:
            # A training that was just cancelled may still be ending.
            async with asyncio.timeout(PATIENCE):
                await self._turn.acquire()
        except TimeoutError:
            await tell(
                _failed("a training is running already", "Cancel it, or wait for it to end.")
            )
            return
        ended = False
        try:
            future, events = self._begin(query)
            while (event := await events.get()) is not None:
                await tell(event)
            ended = True
            await tell(_end(future))
        finally:
            if not ended:
                self.close()
            self._turn.release()

    def close(self) -> None:
        """End the worker, and with it the current training."""
        if self._workers is not None:
            self._workers.drop()
            self._workers = None

    def _begin(self, query: queries.Train) -> tuple[Future[Record], asyncio.Queue[Event | None]]:
        """Submit a training to the worker; None follows its last event."""
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Event | None] = asyncio.Queue()

        def report(event: Event | None) -> None:
            loop.call_soon_threadsafe(events.put_nowait, event)

        self._report = report
        if self._workers is None:
            self._workers = Workers(
                1,
                self._tell,
                files=self._data.files,
            )
        limits = self._limits
        seconds = limits.training_seconds + GRACE
        call = partial(train_text, query, self._data, limits)
        future = self._workers.submit(within, seconds, limits.memory, call)
        future.add_done_callback(lambda _: report(None))
        return future, events

    def _tell(self, _: str, told: Told) -> None:
        if isinstance(told, Epoch):
            self._report(Event("epoch", told))


def train_text(query: queries.Train, data: SharedData, limits: Limits) -> Record:
    """Train the network of a text with the quick protocol, in this process, storing nothing.

    Raises `CnnGenError` for an invalid text, a backbone, or images that do not fit.
    """
    network = network_of(query, limits)
    images = data.open()
    check_trainable(network, images)
    protocol = replace(PROTOCOLS["quick"], epochs=query.epochs, time_budget=limits.training_seconds)
    job = make_job(network, images, protocol, query.backend, Metering())
    return train_job(job, images, None).record


def _end(future: Future[Record]) -> Event:
    try:
        return Event("record", record=future.result())
    except CnnGenError as error:
        return Event("fault", fault=fault(error))
    except WorkerDied as death:
        cause = "it took too long and was ended" if was_late(death) else death.training_cause
        return _failed(cause, "The network may be too large for this machine.")
    except Exception as error:
        return _failed(f"{type(error).__name__}: {error}")


def _failed(message: str, hint: str | None = None) -> Event:
    return Event("fault", fault=TextFault(message, hint, None, None))
