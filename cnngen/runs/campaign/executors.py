"""Executors of a campaign's jobs: processes on this machine, or this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from cnngen.runs.campaign.worker_pool import PATIENCE, InProcess, Report, Workers
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


def local(workers: int = 1, *, patience: float = PATIENCE) -> ExecutorFactory:
    """Worker processes on this machine, the data set in memory that they share.

    A worker that gives no sign of life for `patience` seconds is killed.
    """

    @contextmanager
    def start(data: Dataset, report: Report) -> Iterator[ExecutorSetup]:
        with (
            shared(data) as handed,
            Workers(workers, report, patience=patience, files=[handed.file]) as executor,
        ):
            # One more than there are workers waits, so that none has to.
            yield ExecutorSetup(executor, handed, lambda: workers + 1, alone=workers == 1)

    return start


def in_process() -> ExecutorFactory:
    """This process itself: nothing to start, and nothing to outlive a model that crashes."""

    @contextmanager
    def start(data: Dataset, report: Report) -> Iterator[ExecutorSetup]:
        yield ExecutorSetup(InProcess(report), data, lambda: 1, alone=True)

    return start
