"""Executors of a campaign's jobs: processes on this machine, or this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from cnngen.runs.campaign.worker_pool import PATIENCE, InProcess, Report, Workers
from cnngen.system.gpus import VISIBLE, Card, CardSlot, allocate, find_cards, placement_text, usable
from cnngen.training.data import Dataset
from cnngen.training.data.shared import SharedData, shared


@dataclass(frozen=True, slots=True)
class ExecutorSetup:
    """An executor, and the data set in the form in which its jobs get it.

    `slots` says how many jobs it should have at a time; `alone`, whether a model has the
    machine for itself; `remote`, whether runs come back to be kept by the campaign, since
    the workers do not see its folder.
    """

    executor: Executor
    data: Dataset | SharedData
    slots: Callable[[], int]
    alone: bool
    remote: bool = False


ExecutorFactory = Callable[[Dataset, Report], AbstractContextManager[ExecutorSetup]]
"""Starts an executor for a data set; epochs are to be told to the report as they end."""


def local(
    workers: int = 1,
    *,
    patience: float = PATIENCE,
    gpus: Sequence[str] | None = None,
    find: Callable[[], Sequence[Card]] = find_cards,
    say: Callable[[str], None] | None = None,
) -> ExecutorFactory:
    """Worker processes on this machine, the data set in memory that they share.

    A worker that gives no sign of life for `patience` seconds is killed. `gpus` are numbers or
    UUIDs of the cards to use, None for all and empty for none, of those that `find` finds;
    `say` is told in a line who gets which. Raises `CnnGenError` as `allocate` does.
    """

    @contextmanager
    def start(data: Dataset, report: Report) -> Iterator[ExecutorSetup]:
        cards = find()
        visible = os.environ.get(VISIBLE)
        places = allocate(cards, gpus, workers, visible)
        usable_places = usable(cards, gpus, visible)

        def still_there() -> list[CardSlot]:
            answer = {card.id for card in find()}
            return [one for one in usable_places if one.card and one.card.id in answer]

        if say is not None and (text := placement_text(places, usable_places)):
            say(text)
        with (
            shared(data) as handed,
            Workers(
                workers,
                report,
                patience=patience,
                files=handed.files,
                places=places,
                still_there=still_there,
            ) as executor,
        ):
            # One more than there are workers waits, so that none has to.
            yield ExecutorSetup(executor, handed, lambda: executor.seats + 1, alone=workers == 1)

    return start


def in_process() -> ExecutorFactory:
    """This process itself: nothing to start, and nothing to outlive a model that crashes."""

    @contextmanager
    def start(data: Dataset, report: Report) -> Iterator[ExecutorSetup]:
        yield ExecutorSetup(InProcess(report), data, lambda: 1, alone=True)

    return start
