"""Training many networks, whoever does the work, so that none is lost and none done twice."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path

from cnngen.errors import CnnGenError, StoreError
from cnngen.network import Network
from cnngen.runs.campaign.executors import ExecutorFactory, ExecutorSetup
from cnngen.runs.campaign.jobs import Job, Metering, Placed, Told, failed, keep, train_job
from cnngen.runs.campaign.plan import Plan, as_begun, claim
from cnngen.runs.campaign.worker_pool import Report
from cnngen.runs.parquet_index import update_index
from cnngen.runs.record import Record
from cnngen.runs.run_folder import load_run
from cnngen.runs.store import set_aside
from cnngen.runs.train import Trained, run_key, trainer
from cnngen.space.sampling import ExhaustedError
from cnngen.system.folder_lock import hold
from cnngen.system.process import WorkerDied
from cnngen.training.data import Dataset, splits
from cnngen.training.progress import BatchDone
from cnngen.training.protocol import Epoch, Protocol, Status, repeated

INDEX_EVERY = 300.0
"""Seconds between writings of the index while a campaign runs."""

POLL = 0.5
"""Seconds after which a request to stop is seen."""


class Watch:
    """Observes a campaign; by default it does nothing. Epochs and cards come from other threads."""

    def began(self, job: Job) -> None: ...

    def placed(self, key: str, device: str) -> None:
        """A worker that was given a card has begun the model with this key on it."""

    def batch(self, key: str, batch: BatchDone) -> None:
        """A model in training is so far within an epoch; told now and then."""

    def epoch(self, key: str, epoch: Epoch) -> None: ...

    def lost(self, job: Job, cause: str) -> None:
        """The worker of a model died; the model begins anew."""

    def given_up(self, job: Job, cause: str) -> None:
        """The worker of a model died; the model does not begin anew, and its record says why."""

    def ended(self, record: Record, *, new: bool) -> None:
        """A run is in the store, trained just now or found there."""

    def broken(self, run: Path, reason: str, moved: Path | None) -> None:
        """A run cannot be read. It was moved and is trained anew, or left, and is not."""


@dataclass
class Tally(Watch):
    """Totals of a campaign: runs by status, energy in kWh, runs that cannot be read, and how
    often a model began anew."""

    total: int
    exhausted: bool = False
    """The space contains only `total` networks."""
    statuses: Counter[str] = field(default_factory=Counter)
    new: int = 0
    energy: float = 0.0
    unreadable: int = 0
    anew: int = 0
    began_at: float | None = None

    def began(self, job: Job) -> None:
        if self.began_at is None:
            self.began_at = time.monotonic()

    def lost(self, job: Job, cause: str) -> None:
        self.anew += 1

    def ended(self, record: Record, *, new: bool) -> None:
        self.statuses[record.status] += 1
        self.new += new
        self.energy += record.energy.total_energy if record.energy else 0.0

    def broken(self, run: Path, reason: str, moved: Path | None) -> None:
        self.unreadable += moved is None

    @property
    def done(self) -> int:
        return self.statuses.total()

    @property
    def failures(self) -> dict[str, int]:
        """How many runs have each status that is not `ok`."""
        return {status: n for status, n in sorted(self.statuses.items()) if status != "ok"}

    @property
    def an_hour(self) -> float | None:
        """Models an hour since the first one began; None before one ended."""
        if self.began_at is None or not self.new:
            return None
        return self.new * 3600 / max(1e-6, time.monotonic() - self.began_at)

    @property
    def seconds_left(self) -> float | None:
        """How long it goes on at this pace; None if the total is unknown, as 0."""
        left = self.total - self.done - self.unreadable
        return left * 3600 / self.an_hour if self.an_hour and self.total else None


def run_campaign(
    plan: Plan,
    data: Dataset,
    folder: str | Path,
    *,
    executor: ExecutorFactory,
    idle_seconds: float = 0.0,
    repair: bool = False,
    keep_weights: bool = False,
    watches: Sequence[Watch] = (),
    stop: threading.Event | None = None,
) -> Tally:
    """Train the networks of a plan, and keep each in a folder.

    `executor` says who works: `local(workers)`, or `on_ray(address)` of `cnngen.runs.campaign.ray`.
    What is there already is not trained again. Once `stop` is set, nothing new begins, and
    what has begun is waited for. `repair` moves runs that cannot be read to the sub-folder
    `.broken` and trains them anew. `keep_weights` keeps the trained weights in the runs' folders.
    `idle_seconds` of an idle machine are measured before the
    models where they have it for themselves. The folder's index is written now and then and
    at the end, its card at the end.

    Raises `StoreError` where another campaign is or was in the folder, or where it cannot be
    written, and `BackendError` or `DataError` where the backend
    cannot train, or not on such data.
    """
    from cnngen.runs.dataset_card import write_card

    folder = Path(folder)
    trainer(plan.backend)
    splits(data, plan.protocol)
    Metering(plan.country, plan.tdp).meter()  # better refused now than by every worker
    tally = Tally(plan.trainings)
    watches = (tally, *watches)
    with hold(folder):
        plan = as_begun(plan, folder)
        claim(folder, plan.settings(data))
        with executor(data, tell_epochs(watches)) as setup:
            metering = Metering(plan.country, plan.tdp, setup.alone, idle_seconds)
            jobs = (
                make_job(
                    draw.network,
                    data,
                    protocol,
                    plan.backend,
                    metering,
                    draw.seed,
                    plan.space_name,
                    keep_weights=keep_weights,
                )
                for draw in plan.draws(data)
                for protocol in repeated(plan.protocol, plan.repeats)
            )
            written = time.monotonic()
            try:
                for _ in train_jobs(
                    jobs, data, folder, setup, repair=repair, watches=watches, stop=stop
                ):
                    if time.monotonic() - written > INDEX_EVERY:
                        update_index(folder)
                        written = time.monotonic()
            except ExhaustedError as error:
                tally.exhausted = True
                tally.total = plan.shard_of(error.found) * plan.repeats
                # So that a command for as many as there are goes on here, too.
                claim(folder, {**plan.settings(data), "count": error.found}, shrink=True)
        update_index(folder)
        if not (stop and stop.is_set()):
            write_card(folder)
    return tally


def train_jobs(
    jobs: Iterable[Job],
    data: Dataset,
    folder: Path,
    setup: ExecutorSetup,
    *,
    again: bool = False,
    repair: bool = False,
    watches: Sequence[Watch] = (),
    stop: threading.Event | None = None,
) -> Iterator[Record]:
    """Train what is not in the folder yet; yield each record when its run is saved.

    With `again`, runs that are there are replaced. A model whose worker is killed begins anew
    once; when that one dies too, the record says so. One whose framework crashes does not: a
    crash comes back more often than not. Raises `StoreError` where a run cannot be written,
    and what stops every model, such as a framework that cannot be
    imported; what `jobs` raises, once the models in training have ended.
    """
    todo = iter(jobs)
    at_work: dict[Future[Trained], Job] = {}
    deaths: defaultdict[str, list[str]] = defaultdict(list)
    out_of_jobs = False
    no_more: CnnGenError | None = None

    def begin(job: Job) -> None:
        for watch in watches:
            watch.began(job)
        place = None if setup.remote else folder
        at_work[setup.executor.submit(train_job, job, setup.data, place, again)] = job

    while True:
        if stop is not None and stop.is_set():
            out_of_jobs = True
            for future in [future for future in at_work if future.cancel()]:
                del at_work[future]
        while not out_of_jobs and len(at_work) < setup.slots():
            try:
                job = next(todo, None)
            except CnnGenError as error:
                job, no_more = None, error
            if job is None:
                out_of_jobs = True
            elif again or not os.path.lexists(folder / job.key):
                begin(job)
            elif (record := _found(job, folder, repair, watches)) is not None:
                for watch in watches:
                    watch.ended(record, new=False)
                yield record
            elif repair:
                begin(job)
        if not at_work:
            if no_more is not None:
                raise no_more
            return
        ended, _ = wait(at_work, timeout=POLL, return_when=FIRST_COMPLETED)
        for future in ended:
            job = at_work.pop(future)
            try:
                trained = future.result()
            except WorkerDied as death:
                causes = deaths[job.key]
                if not death.crashed and not (death.by_model and causes):
                    causes += [death.training_cause] * death.by_model
                    for watch in watches:
                        watch.lost(job, death.training_cause)
                    if not (stop and stop.is_set()):
                        begin(job)
                    continue
                before = (
                    f"; before that, {causes[0]}"
                    if causes
                    else "; not tried again, for a crash mostly comes back"
                )
                cause = f"{death.training_cause}{before}"
                for watch in watches:
                    watch.given_up(job, cause)
                status: Status = "out_of_memory" if death.out_of_memory else "error"
                trained = failed(job, data, status, f"{job.backend}: {cause}")
                trained = keep(job, trained, folder, again)
            else:
                if setup.remote:
                    trained = keep(job, trained, folder, again)
            for watch in watches:
                watch.ended(trained.record, new=True)
            yield trained.record


def make_job(
    network: Network,
    data: Dataset,
    protocol: Protocol,
    backend: str,
    metering: Metering,
    seed: int | None = None,
    space: str | None = None,
    *,
    keep_weights: bool = False,
) -> Job:
    """A job with the key that its run will have."""
    key = run_key(network, data, protocol, backend)
    return Job(
        key,
        network,
        protocol,
        backend,
        metering,
        seed,
        space,
        keep_weights=keep_weights,
        resumes=True,
    )


def _found(job: Job, folder: Path, repair: bool, watches: Sequence[Watch]) -> Record | None:
    """The record of a run that is there; None where it cannot be read."""
    run = folder / job.key
    try:
        return load_run(run)
    except StoreError as error:
        moved = set_aside(run) if repair else None
        for watch in watches:
            watch.broken(run, error.message, moved)
        return None


def tell_epochs(watches: Sequence[Watch]) -> Report:
    """Return a report of epochs, batches and cards that reaches all watches."""

    def report(key: str, told: Told) -> None:
        for watch in watches:
            match told:
                case Placed(device):
                    watch.placed(key, device)
                case BatchDone():
                    watch.batch(key, told)
                case _:
                    watch.epoch(key, told)

    return report
