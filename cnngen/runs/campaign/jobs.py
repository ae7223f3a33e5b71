"""The job of one worker for one network: train it, and save the run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from cnngen.backend import get_backend
from cnngen.errors import BackendError, BackendFault, CnnGenError, DataError, StoreError
from cnngen.network import Network
from cnngen.runs.record import make_record
from cnngen.runs.run_folder import load_run
from cnngen.runs.store import save
from cnngen.runs.train import Trained, emitted, train
from cnngen.system import worker
from cnngen.system.gpus import LABEL
from cnngen.training.checkpoint import Checkpoint
from cnngen.training.data import Dataset
from cnngen.training.data.shared import SharedData
from cnngen.training.energy import Energy, Meter, Mode
from cnngen.training.progress import BatchDone, on_batch
from cnngen.training.protocol import Epoch, Protocol, Status, TrainingResult

if TYPE_CHECKING:
    from cnngen.backend.model_access import Weights


CHECKPOINTS = ".checkpoints"
"""The sub-folder of the states of trainings that have not ended, or that longer ones go on from."""


@dataclass(frozen=True, slots=True)
class Metering:
    """Settings of the energy meter; see `Meter`. `alone`: one model at a time on the machine.

    Without a `mode` it is the machine's where a model is alone, else that of the process.
    """

    country: str | None = None
    tdp: float | None = None
    alone: bool = True
    idle_seconds: float = 0.0
    mode: Mode | None = None

    def meter(self) -> Meter:
        """The meter of this process. Raises `CnnGenError` as `Meter` does."""
        return _meter(self)


@cache
def _meter(how: Metering) -> Meter:
    return Meter(
        country=how.country,
        tdp=how.tdp,
        mode=how.mode or ("machine" if how.alone else "process"),
        idle_seconds=how.idle_seconds if how.alone else 0.0,
        shared=not how.alone,
    )


@dataclass(frozen=True, slots=True)
class Placed:
    """What a worker reports first of a model, where it was given a card: the card's name."""

    device: str


Told = Epoch | BatchDone | Placed
"""What a worker reports of a model in training."""


@dataclass(frozen=True, slots=True)
class Job:
    """One network to train. `key` is that of its run; `seed` and `space` are recorded.

    `weights` are those to start from, else the protocol's seed decides them. `framework` is
    what the worker says it is, where this process cannot tell. `keep_weights` keeps the trained ones in
    the run's folder. A job that `resumes` writes a checkpoint each minute, and goes on from it if its
    process is killed; `keep_state` keeps that of the last epoch, from which a longer training that
    `continues` the run with this key goes on. `keep_weights` keeps the trained
    ones in the run's folder.
    """

    key: str
    network: Network
    protocol: Protocol
    backend: str
    metering: Metering
    seed: int | None = None
    space: str | None = None
    weights: Weights | None = field(default=None, compare=False, repr=False)
    framework: str | None = None
    keep_weights: bool = False
    resumes: bool = False
    keep_state: bool = False
    continues: str | None = None


def train_job(
    job: Job, data: Dataset | SharedData, folder: Path | None, again: bool = False
) -> Trained:
    """Train a network, and save its run where there is a folder.

    Whatever goes wrong with the network becomes the status of its record. Raises
    `StoreError` where the run cannot be written, and ImportError for a broken framework.
    """
    report = worker.report.get()
    if card := os.environ.get(LABEL):
        report(job.key, Placed(card))
    images = data.open() if isinstance(data, SharedData) else data
    checkpoint, before = None, None
    if folder is not None and (job.resumes or job.keep_state or job.continues):
        checkpoint = checkpoint_of(folder, job.key, at_end=job.keep_state)
        if job.continues is not None and checkpoint.read() is None:
            before = _take_over(checkpoint, folder, job.continues)
    batches = on_batch.set(lambda batch: report(job.key, batch))
    try:
        trained = train(
            job.network,
            images,
            job.protocol,
            backend=job.backend,
            meter=job.metering.meter(),
            space=job.space,
            on_epoch=lambda epoch: report(job.key, epoch),
            weights=job.weights,
            keep_weights=job.keep_weights,
            checkpoint=checkpoint,
            energy_before=before,
        )
        # `train` would refuse the seeds of campaigns that older versions began.
        trained = replace(trained, record=replace(trained.record, seed=job.seed))
    except (ImportError, BackendError, DataError):
        raise
    except BackendFault as error:
        trained = failed(job, images, "error", error.message)
    except MemoryError as error:
        cause = str(error) or "no memory was left"
        trained = failed(job, images, "out_of_memory", f"{job.backend}: {cause}")
    except (Exception, SystemExit) as error:
        cause = f"{job.backend}: {type(error).__name__}: {error}"
        trained = failed(job, images, "error", cause)
    finally:
        on_batch.reset(batches)
    if folder is None:
        return trained
    trained = keep(job, trained, folder, again)
    if checkpoint is not None and not job.keep_state:
        checkpoint.remove()
    return trained


def checkpoint_of(folder: Path, key: str, *, at_end: bool = False) -> Checkpoint:
    """The checkpoint of a training in a folder of runs."""
    return Checkpoint(folder, f"{CHECKPOINTS}/{key}", at_end=at_end)


def _take_over(checkpoint: Checkpoint, folder: Path, key: str) -> Energy | None:
    """Take the state of a shorter training, which then has none; return the energy that it used."""
    shorter = checkpoint_of(folder, key)
    state = shorter.read()
    if state is None:
        return None
    checkpoint.write(state)
    shorter.remove()
    try:
        return load_run(folder / key).energy
    except StoreError:
        return None


def failed(job: Job, data: Dataset, status: Status, cause: str) -> Trained:
    """The record of a training that did not come to an end."""
    backend = get_backend(job.backend)
    try:
        source = emitted(backend, job.network)
    except (Exception, SystemExit):
        source = ""  # which is then the cause, or one more of them
    record = make_record(
        job.network,
        data,
        job.protocol,
        TrainingResult(status, cause[:1000], (), 0.0, None, None, "unknown"),
        backend=job.backend,
        framework=job.framework or backend.version() or "unknown",
        energy=None,
        energy_cause="the training did not come to an end",
        seed=job.seed,
        space=job.space,
    )
    return Trained(record, source)


def keep(job: Job, trained: Trained, folder: Path, again: bool) -> Trained:
    """Save a run; where another process was faster, its run counts."""
    try:
        save(
            folder,
            trained.record,
            job.network,
            trained.source,
            weights=trained.weights,
            best_weights=trained.best_weights,
            overwrite=again,
        )
    except StoreError:
        if again or not (folder / job.key).is_dir():
            raise
        try:
            return Trained(load_run(folder / job.key), trained.source)
        except CnnGenError:
            raise StoreError(f"{folder / job.key} is there already and cannot be read") from None
    return replace(
        trained, weights=None, best_weights=None
    )  # they need not go from a worker to its campaign
