"""Run the trainings of a comparison: one mode at a time, each in a process of its own."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from cnngen.backend import get_backend
from cnngen.backend.definitions import first_weights
from cnngen.backend.mode_process import Mode, ModeProcess, installed, parse_mode
from cnngen.comparison.comparison import Comparison, read_comparison
from cnngen.comparison.design import Compared, Design, TrainingBlock, claim, mode_folder
from cnngen.errors import BackendError, CnnGenError, DataError, StoreError
from cnngen.language import parse
from cnngen.network import Network
from cnngen.runs.campaign import (
    ExecutorSetup,
    Job,
    Metering,
    Watch,
    Workers,
    make_job,
    tell_epochs,
    train_jobs,
)
from cnngen.runs.parquet_index import update_index
from cnngen.runs.train import check_trainable, train
from cnngen.space.resolution import resolve
from cnngen.system.folder_lock import hold
from cnngen.training.data import Dataset, load_data, splits
from cnngen.training.data.digits import load_digits
from cnngen.training.data.shared import SharedData, shared
from cnngen.training.energy import Meter
from cnngen.training.energy import Mode as EnergyMode
from cnngen.training.protocol import PROTOCOLS, Protocol

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE = 3600.0
"""Seconds without progress after which a training counts as hung."""

GIVE_UP = 3
"""Number of consecutive failed trainings after which a mode is given up."""

WARM_UP_PROTOCOL: dict[str, Any] = {
    "epochs": 2,
    "split": "pooled",
    "warmup": 0.0,
    "time_budget": None,
    "abort_dead": None,
    "patience": None,
}
WARM_UP = (
    "input(8x8x1) convbn(filters=8, kernel=3, stride=1, padding=same, activation=relu) "
    "max_pooling(size=2, stride=2, padding=valid) flatten dense output(10)"
)


class CompareWatch(Watch):
    """A `Watch` that is also notified when a mode starts and when a mode fails."""

    def modes_found(self, modes: int, trainings: int) -> None:
        """So many modes can run, with so many trainings in all. Called before the first."""

    def mode_began(self, mode: str, repeat: int) -> None: ...

    def mode_failed(self, mode: str, fault: str) -> None: ...


def compare(
    networks: Sequence[Network],
    data: Dataset | str = "digits",
    protocol: Protocol | str = "quick",
    modes: Sequence[str] = ("torch", "keras"),
    *,
    repeats: int = 5,
    folder: str | Path | None = None,
    space: str | None = None,
    idle_seconds: float = 5.0,
    energy_mode: EnergyMode = "machine",
    country: str | None = None,
    tdp: float | None = None,
    patience: float = PATIENCE,
    watches: Sequence[CompareWatch] = (),
    stop: threading.Event | None = None,
) -> Comparison:
    """Train the same networks in several modes, such as `torch` and `keras:jax`, and compare them.

    Each network is trained `repeats` times in each mode, with seeds and initial weights that
    all modes share. `folder` keeps the runs, and runs found there are not trained again;
    without a folder they are discarded. `space` names the space that the networks were drawn
    from. Before each mode's trainings, the power of the idle machine is measured for
    `idle_seconds` seconds. A training without progress for `patience` seconds counts as failed.
    A mode that fails is listed in the comparison's `faults`; the others are still compared.
    Setting `stop` ends the comparison after the training in progress.

    Raises `CnnGenError` for fewer than two modes or no networks, `BackendError` for an unknown
    mode, and where fewer than two of the modes can run, `DataError` if the protocol does not fit the data, and `StoreError` if the folder
    cannot be used.
    """
    images = load_data(data) if isinstance(data, str) else data
    followed = PROTOCOLS[protocol] if isinstance(protocol, str) else protocol
    design = Design(
        modes=tuple(str(parse_mode(mode)) for mode in modes),
        networks=tuple(Compared(network.id, network.name) for network in networks),
        repeats=repeats,
        protocol=followed,
        data=images.summary,
        test_images=len(splits(images, followed).test),
        space=space,
        idle_seconds=idle_seconds,
        energy_mode=energy_mode,
        country=country,
        tdp=tdp,
    )
    for network in networks:
        check_trainable(network, images)
    Meter(country=country, tdp=tdp, mode=energy_mode, idle_seconds=idle_seconds)
    with tempfile.TemporaryDirectory() if folder is None else nullcontext(folder) as given:
        runs = Path(given)
        with hold(runs):
            claim(runs, design)
            faults = _train(design, networks, images, runs, patience, watches, stop)
            return read_comparison(runs, faults=faults)


def _train(
    design: Design,
    networks: Sequence[Network],
    data: Dataset,
    folder: Path,
    patience: float,
    watches: Sequence[CompareWatch],
    stop: threading.Event | None,
) -> dict[str, str]:
    """Run the missing trainings; return the modes that failed, each with the reason."""
    by_id = {network.id: network for network in networks}
    frameworks: dict[str, str] = {}
    faults: dict[str, str] = {}
    errors = dict.fromkeys(design.modes, 0)

    def train_block(block: TrainingBlock, handed: SharedData) -> None:
        """Train a block. Raises `BackendError` when its mode must be given up."""
        jobs = _jobs(design, block, by_id, data, frameworks.get(block.mode))
        runs = mode_folder(folder, block.mode)
        with _worker(block.mode, design, handed, patience, watches) as setup:
            for record in train_jobs(jobs, data, runs, setup, watches=watches, stop=stop):
                errors[block.mode] = errors[block.mode] + 1 if record.status == "error" else 0
                if errors[block.mode] == GIVE_UP:
                    raise BackendError(f"{GIVE_UP} trainings in a row failed: {record.cause}")

    @contextmanager
    def recording_faults(mode: str) -> Iterator[None]:
        """Record errors raised within as a fault of the mode, except those of data and store."""
        try:
            yield
        except (StoreError, DataError):
            raise
        except (CnnGenError, ImportError) as error:
            faults[mode] = _reason(error).removeprefix(f"{mode}: ")
            for watch in watches:
                watch.mode_failed(mode, faults[mode])

    for mode in dict.fromkeys(b.mode for b in design.blocks() if _missing(design, b, folder)):
        with recording_faults(mode):
            frameworks[mode] = _framework(mode)
    left = [mode for mode in design.modes if mode not in faults]
    if len(left) < 2:
        reasons = "; ".join(f"{mode}: {fault}" for mode, fault in faults.items())
        raise BackendError(
            f"only {left[0]} can run, with nothing to compare it to" if left else "no mode can run",
            hint=f"{reasons}.".replace("..", "."),
        )
    for watch in watches:
        watch.modes_found(len(left), len(left) * len(design.networks) * design.repeats)
    with shared(data) as handed:
        for block in design.blocks():
            if stop is not None and stop.is_set():
                break
            if block.mode not in faults:
                for watch in watches:
                    watch.mode_began(block.mode, block.repeat)
                with recording_faults(block.mode):
                    train_block(block, handed)
    for mode in design.modes:
        if mode_folder(folder, mode).is_dir():
            update_index(mode_folder(folder, mode))
    return faults


def _reason(error: Exception) -> str:
    if isinstance(error, CnnGenError):
        return f"{error.message}. {error.hint}" if error.hint else error.message
    return f"{type(error).__name__}: {error}"


def _framework(mode: str) -> str:
    """Return the names and versions of a mode's framework, found in a process of the mode.

    Raises `BackendError` if the framework is not installed or its backend cannot train.
    """
    parsed = parse_mode(mode)
    if "train" not in get_backend(parsed.backend).capabilities:
        raise BackendError(f"the {parsed.backend} backend cannot train")
    with ModeProcess(parsed) as process:
        return process.call(installed).decode()


def _missing(design: Design, block: TrainingBlock, folder: Path) -> bool:
    """Whether any run of a block is missing from the store."""
    runs = mode_folder(folder, block.mode)
    keys = (design.key(network.id, block.mode, block.repeat) for network in block.networks)
    return not all((runs / key).exists() for key in keys)


def _jobs(
    design: Design,
    block: TrainingBlock,
    networks: Mapping[str, Network],
    data: Dataset,
    framework: str | None,
) -> Iterator[Job]:
    protocol = design.protocol_of(block.mode, block.repeat)
    metering = Metering(
        design.country, design.tdp, idle_seconds=design.idle_seconds, mode=design.energy_mode
    )
    for compared in block.networks:
        network = networks[compared.id]
        job = make_job(
            network, data, protocol, parse_mode(block.mode).backend, metering, space=design.space
        )
        yield replace(job, weights=first_weights(network, protocol.seed), framework=framework)


@contextmanager
def _worker(
    mode: str,
    design: Design,
    data: SharedData,
    patience: float,
    watches: Sequence[Watch],
) -> Iterator[ExecutorSetup]:
    """Start one worker process for a mode; it warms up before its first training."""
    parsed = parse_mode(mode)
    # Frameworks cache compiled code among temporary files; a shared cache would favour later runs.
    with tempfile.TemporaryDirectory(prefix="cnngen-", ignore_cleanup_errors=True) as temporary:
        environment = {"TMPDIR": temporary, **parsed.environment}
        with Workers(
            1,
            tell_epochs(watches),
            patience=patience,
            environment=environment,
            files=data.files,
        ) as workers:
            warm = _Warm(workers, parsed, design)
            yield ExecutorSetup(warm, data, lambda: 1, alone=True)


class _Warm(Executor):
    """Passes calls to worker processes, each of which warms up before its first call."""

    def __init__(self, workers: Workers, mode: Mode, design: Design) -> None:
        self.workers = workers
        self.mode = mode
        self.design = design

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        protocol = replace(self.design.protocol_of(str(self.mode), 0), **WARM_UP_PROTOCOL)
        metering = Metering(self.design.country, self.design.tdp, mode=self.design.energy_mode)
        return self.workers.submit(
            _warmed_up, self.mode.backend, protocol, metering, fn, *args, **kwargs
        )


def _warmed_up(
    backend: str,
    protocol: Protocol,
    metering: Metering,
    fn: Callable[P, T],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    warm_up(backend, protocol, metering)
    return fn(*args, **kwargs)


@cache
def warm_up(backend: str, protocol: Protocol, metering: Metering) -> None:
    """Train a small network once in this process.

    Afterwards, no training is charged for the one-time start-up of its framework and of
    CodeCarbon. Raises `BackendError` if the training fails.
    """
    network = resolve(parse(WARM_UP), space="compact")
    trained = train(
        network,
        load_digits(),
        protocol,
        backend=backend,
        meter=metering.meter(),
        weights=first_weights(network, 0),
    )
    if trained.record.status == "error":
        raise BackendError(f"its warm-up failed: {trained.record.cause}")
