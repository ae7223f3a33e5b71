"""`run_search`: trains what a search method asks for, such that no decision is lost or repeated."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cnngen.runs.campaign import (
    ExecutorFactory,
    Job,
    Metering,
    Watch,
    make_job,
    tell_epochs,
    train_jobs,
)
from cnngen.runs.campaign.campaign import INDEX_EVERY
from cnngen.runs.parquet_index import update_index
from cnngen.runs.record import Record
from cnngen.runs.train import trainer
from cnngen.search.guarded import PATIENCE, GuardedSearcher, SearchError
from cnngen.search.journal import Asked, Journal, Told
from cnngen.search.plan import Budget, SearchPlan, claim_search
from cnngen.search.problem import Candidate, Evaluation
from cnngen.search.state import SearchState
from cnngen.space.sampling import ExhaustedError
from cnngen.system.files import write_file
from cnngen.system.folder_lock import hold
from cnngen.training.data import Dataset, splits

FRONT_FILE = "front.json"


def run_search(
    plan: SearchPlan,
    data: Dataset,
    folder: str | Path,
    *,
    budget: Budget,
    executor: ExecutorFactory,
    idle_seconds: float = 0.0,
    patience: float = PATIENCE,
    keep_weights: bool = False,
    watches: Sequence[Watch] = (),
    on_change: Callable[[SearchState], None] | None = None,
    stop: threading.Event | None = None,
) -> SearchState:
    """Train the networks that a method asks for until the budget is spent; return what was reached.

    `executor` says who works, as for `run_campaign`. A folder that holds the same search goes on:
    decisions are read from its journal, what was in training when it ended begins anew, and what
    was told is told again in the same order. With one worker, equal plans so make equal decisions,
    however often they are interrupted. Once `stop` is set, nothing new begins, and what has begun
    is waited for. `keep_weights` keeps the trained weights in the runs' folders. `on_change` is called after each training. `patience` is the number of seconds
    after which a method that does not answer counts as hung.

    Raises `StoreError` where another search or a campaign is in the folder, or where it cannot be
    read or written; `SearchError` where the method fails; `SpaceError` where nothing in the space
    meets the bounds; and `BackendError` or `DataError` where the backend cannot train, or not on
    such data. What was decided and trained is kept.
    """
    from cnngen.runs.dataset_card import write_card

    folder = Path(folder)
    trainer(plan.backend)
    splits(data, plan.protocol)
    Metering(plan.country, plan.tdp).meter()
    searcher = GuardedSearcher(plan.searcher(data), patience=patience)
    with hold(folder):
        claim_search(folder, plan.settings(data))
        search = _Search(plan, data, folder, budget, searcher, keep_weights)
        with executor(data, tell_epochs(watches)) as setup:
            if not setup.remote:
                # No model waits behind the workers: it would be decided on without knowing what
                # comes of those in training. Asking takes milliseconds.
                slots = setup.slots
                setup = replace(setup, slots=lambda: max(1, slots() - 1))
            metering = Metering(plan.country, plan.tdp, setup.alone, idle_seconds)
            written = time.monotonic()
            try:
                for record in train_jobs(
                    search.jobs(metering),
                    data,
                    folder,
                    setup,
                    repair=True,
                    watches=watches,
                    stop=stop,
                ):
                    search.tell(record)
                    if on_change is not None:
                        on_change(search.state)
                    if time.monotonic() - written > INDEX_EVERY:
                        update_index(folder)
                        written = time.monotonic()
            except ExhaustedError:
                search.state.is_exhausted = True
        update_index(folder)
        if not (stop and stop.is_set()):
            write_card(folder)
    return search.state


class _Search:
    """A search at work: its method, journal and state kept in step."""

    def __init__(
        self,
        plan: SearchPlan,
        data: Dataset,
        folder: Path,
        budget: Budget,
        searcher: GuardedSearcher,
        keep_weights: bool,
    ) -> None:
        self.plan = plan
        self.keep_weights = keep_weights
        self.data = data
        self.folder = folder
        self.budget = budget
        self.searcher = searcher
        self.journal = Journal(folder)
        self.state = SearchState(searcher.searcher.problem)
        self.by_key: dict[str, Asked] = {}
        self.by_network: dict[str, list[Asked]] = {}
        self.front: list[str] = []
        for event in self.journal.read():
            if isinstance(event, Asked):
                searcher.resume(event.candidate)
                self._note(event)
            else:
                searcher.tell(self.state.asked[event.number].candidate, event.evaluation)
            self.state.add(event)
        self._before = self.state.elapsed
        self._began = time.monotonic()

    def jobs(self, metering: Metering) -> Iterator[Job]:
        """The jobs of decisions without an outcome, then of new ones until the budget is spent."""
        for asked in self.state.pending:
            yield self._job(asked.candidate, metering)
        while not self._is_over():
            candidate = self.searcher.ask()
            job = self._job(candidate, metering)
            if job.key in self.by_key:
                raise SearchError(
                    f"the search method '{self.searcher.name}' asks for {job.key} a second time",
                    hint="That is a mistake of the method. What it decided before is kept.",
                )
            asked = Asked(len(self.state.asked), job.key, candidate)
            self.journal.append(asked)
            self.state.add(asked)
            self._note(asked)
            yield job

    def _note(self, asked: Asked) -> None:
        self.by_key[asked.key] = asked
        self.by_network.setdefault(asked.candidate.network.id, []).append(asked)

    def tell(self, record: Record) -> None:
        """Take note of a training that has ended."""
        asked = self.by_key[record.key]
        evaluation = Evaluation.of_record(record, self.state.problem.objectives)
        energy = record.energy.total_energy if record.energy else None
        elapsed = self._before + time.monotonic() - self._began
        told = Told(asked.number, evaluation, energy, record.train_seconds, elapsed)
        self.journal.append(told)
        self.searcher.tell(asked.candidate, evaluation)
        self.state.add(told)
        self._write_front()

    def _job(self, candidate: Candidate, metering: Metering) -> Job:
        protocol = self.plan.protocol
        if candidate.epochs not in (None, protocol.epochs):
            assert candidate.epochs is not None
            name = f"{protocol.name}-{candidate.epochs}-epochs"
            warmup = min(protocol.warmup, candidate.epochs / 2)
            protocol = replace(protocol, name=name, epochs=candidate.epochs, warmup=warmup)
        drawn = candidate.operator == "sample"
        job = make_job(
            candidate.network,
            self.data,
            protocol,
            self.plan.backend,
            metering,
            candidate.seed if drawn else None,
            self.plan.space_name if drawn else None,
            keep_weights=self.keep_weights,
        )
        # What was trained for fewer epochs goes on from where it was.
        shorter = [
            (asked.candidate.epochs, asked.key)
            for asked in self.by_network.get(candidate.network.id, [])
            if asked.candidate.epochs is not None and asked.candidate.epochs < protocol.epochs
        ]
        return replace(
            job,
            keep_state=protocol.epochs < self.plan.protocol.epochs,
            continues=max(shorter)[1] if shorter else None,
        )

    def _is_over(self) -> bool:
        budget, state = self.budget, self.state
        elapsed = self._before + time.monotonic() - self._began
        return (
            (budget.count is not None and len(state.asked) >= budget.count)
            or (budget.hours is not None and elapsed >= budget.hours * 3600)
            or (budget.watt_hours is not None and state.energy * 1000 >= budget.watt_hours)
        )

    def _write_front(self) -> None:
        best = self.state.front()
        keys = [asked.key for asked in best]
        if keys == self.front:
            return
        self.front = keys
        rows = [
            {"key": asked.key, **self.state.told[asked.number].evaluation.figures} for asked in best
        ]
        write_file(self.folder, FRONT_FILE, (json.dumps(rows, indent=2) + "\n").encode())
