"""Executors that train on this machine: worker processes, or this process itself.

They have the shape of `concurrent.futures.Executor`. The standard library's own pool breaks
as a whole when a process of it dies; here that is the end of one future, and another process
takes the place.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

from cnngen.errors import CnnGenError, DeviceLostError
from cnngen.system.gpus import CardSlot, spare
from cnngen.system.machine import usable_cores
from cnngen.system.process import Worker, WorkerDied
from cnngen.system.worker import WorkerOptions, report

P = ParamSpec("P")
T = TypeVar("T")

Report = Callable[[str, Any], None]
"""Gets a run's key and what its worker told: an epoch that has ended, say."""

PATIENCE = 6 * 3600.0
"""Seconds without a sign of life after which a worker counts as hung."""

THREAD_VARIABLES = (
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
)
"""Numbers of threads that frameworks read when they are imported."""

NO_CARD = "no GPU is left that works"
NO_CARD_HINT = "`nvidia-smi` and `cnngen doctor` say more; --gpus none trains on the CPU."

STARTS = 10
"""Processes in a row that end before they are ready, after which a call fails."""


class InProcess(Executor):
    """Runs each call at once, here."""

    def __init__(self, on_epoch: Report | None = None) -> None:
        self._on_epoch = on_epoch

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        token = report.set(self._on_epoch) if self._on_epoch else None
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        finally:
            if token is not None:
                report.reset(token)
        return future


class Workers(Executor):
    """Worker processes on this machine, each with its part of the cores.

    A call whose process dies, or gives no sign of life for `patience` seconds once it is ready,
    ends with `WorkerDied`. Leaving the context by an exception drops the calls that are running.
    `OMP_NUM_THREADS` and its like are set to cores / `count` where they are not set already,
    or to `OMP_NUM_THREADS` where that is. `environment` is set on top of ours, and the open
    `files` are open there, too.

    `places` say on which card each worker computes. When a worker dies whose card `still_there`
    does not give any more, the next one goes to a card that has no worker; if there is none,
    there is a worker less, and without any left, calls fail with `CnnGenError`.
    """

    def __init__(
        self,
        count: int = 1,
        on_epoch: Report | None = None,
        *,
        patience: float = PATIENCE,
        environment: Mapping[str, str] | None = None,
        files: Sequence[int] = (),
        places: Sequence[CardSlot] = (),
        still_there: Callable[[], Sequence[CardSlot]] = tuple,
    ) -> None:
        self.threads = _threads(count)
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._cards = _Cards(list(places) or [CardSlot()] * count, still_there)
        self._seats = [
            _Seat(
                self._tasks,
                self.threads,
                on_epoch,
                patience,
                environment or {},
                files,
                self._cards,
                number,
            )
            for number in range(count)
        ]
        self._closed = False
        for seat in self._seats:
            seat.start()

    @property
    def seats(self) -> int:
        """How many workers there are, without those that lost their cards."""
        return len(self._cards.working)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if self._closed:
            raise RuntimeError("these workers take no more work")
        future: Future[T] = Future()
        self._tasks.put(_Task(future, fn, args, kwargs))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if not self._closed:
            self._closed = True
            if cancel_futures:
                self._cancel_waiting()
            for _ in self._seats:
                self._tasks.put(None)
        if wait:
            for seat in self._seats:
                seat.join()

    def drop(self) -> None:
        """End the workers at once, and with them what they do."""
        self.shutdown(wait=False, cancel_futures=True)
        for seat in self._seats:
            seat.drop()
        self.shutdown()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.shutdown()
        else:
            self.drop()

    def _cancel_waiting(self) -> None:
        while True:
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                return
            if task is not None:
                task.future.cancel()


@dataclass(frozen=True, slots=True)
class _Task:
    future: Future[Any]
    fn: Callable[..., object]
    args: tuple[object, ...]
    kwargs: dict[str, object]


class _Cards:
    """The cards of the workers, by number, of which some may be lost."""

    def __init__(
        self, places: Sequence[CardSlot], still_there: Callable[[], Sequence[CardSlot]]
    ) -> None:
        self.working = dict(enumerate(places))
        self._still_there = still_there
        self._instead: dict[str, CardSlot | None] = {}
        """What each lost card was replaced by."""
        self._lock = threading.Lock()

    def look_after(self, number: int, place: CardSlot, *, absent: bool) -> CardSlot | None:
        """Where a worker goes on that has ended: its own place, another, or None.

        `absent`: the card was not there for it, even if the driver still lists it.
        """
        if place.card is None:
            return place
        with self._lock:
            lost = place.card
            if lost.id not in self._instead:
                there = self._still_there()
                if not absent and any(one.card and one.card.id == lost.id for one in there):
                    return place
                there = [one for one in there if one.card and one.card.id not in self._instead]
                self._instead[lost.id] = spare(lost, list(self.working.values()), there)
            instead = self._instead[lost.id]
            if instead is None:
                if len(self.working) > 1:
                    del self.working[number]
                return None
            # Those that shared the lost card share the new one.
            self.working[number] = replace(instead, memory=place.memory)
            return self.working[number]


class _Seat(threading.Thread):
    """A place for a worker: hands it one task after the other, and replaces it."""

    def __init__(
        self,
        tasks: queue.SimpleQueue[_Task | None],
        threads: int,
        on_epoch: Report | None,
        patience: float,
        environment: Mapping[str, str],
        files: Sequence[int],
        cards: _Cards,
        number: int,
    ) -> None:
        super().__init__(name="cnngen worker", daemon=True)
        self.tasks = tasks
        self.threads = threads
        self.on_epoch = on_epoch
        self.patience = patience
        self.environment = environment
        self.files = files
        self.cards = cards
        self.number = number
        self.place: CardSlot | None = cards.working[number]
        self.worker: Worker | None = None
        self.dropped = False

    def run(self) -> None:
        while (task := self.tasks.get()) is not None:
            if not task.future.set_running_or_notify_cancel():
                continue
            try:
                task.future.set_result(self._do(task))
            except Exception as error:
                task.future.set_exception(error)
            if self.number not in self.cards.working:
                break
        self._end()

    def drop(self) -> None:
        self.dropped = True
        if (worker := self.worker) is not None:
            worker.kill()

    def _do(self, task: _Task) -> object:
        for _ in range(STARTS):
            if self.place is None:
                raise CnnGenError(NO_CARD, hint=NO_CARD_HINT)
            if self.worker is None:
                self.worker = self._start(self.place)
            worker = self.worker
            if self.dropped:
                worker.kill()
            try:
                return worker.call(
                    task.fn,
                    task.args,
                    task.kwargs,
                    patience=self.patience,
                    on_progress=self.on_epoch,
                )
            except WorkerDied as death:
                self._end()
                if self.dropped:
                    raise
                if worker.ready:
                    raise self._without(self.place, death) from None
            except DeviceLostError as error:
                # All later calls would fail there, too.
                self._end()
                lost = WorkerDied(error.message)
                raise self._without(self.place, lost, error.absent) from None
        raise CnnGenError(
            "worker processes end before they begin",
            hint="What they print tells why; is there memory left, and may processes start?",
        )

    def _without(self, place: CardSlot, death: WorkerDied, absent: bool = False) -> Exception:
        """What a call ends with whose worker died, once it is clear where the next one works."""
        self.place = self.cards.look_after(self.number, place, absent=absent)
        if self.place is place:
            return death
        card = place.card.label if place.card else "its device"
        if self.place is None and self.number in self.cards.working:
            return CnnGenError(f"{NO_CARD}: {death.cause}", hint=NO_CARD_HINT)
        # That is not the model's fault, so it begins anew as often as cards are lost.
        return WorkerDied(f"{card} was lost: {death.cause}", by_model=False)

    def _start(self, place: CardSlot) -> Worker:
        unset = [name for name in THREAD_VARIABLES if name not in os.environ]
        environment = {**dict.fromkeys(unset, str(self.threads)), **place.environment()}
        environment |= self.environment
        return Worker(WorkerOptions(), environment, files=self.files)

    def _end(self) -> None:
        if self.worker is not None:
            self.worker.end()
            self.worker = None


def _threads(count: int) -> int:
    """Threads for each of so many workers."""
    # PyTorch takes MKL's number over OpenMP's, so one that is stated must be both.
    stated = os.environ.get("OMP_NUM_THREADS", "")
    return int(stated) if stated.isdecimal() and int(stated) else max(1, usable_cores() // count)
