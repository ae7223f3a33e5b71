"""Campaigns on a Ray cluster: a task for each model, on any node with enough cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

from cnngen.errors import CnnGenError
from cnngen.runs.campaign.executors import ExecutorFactory, ExecutorSetup
from cnngen.runs.campaign.worker_pool import Report
from cnngen.system.gpus import SHARE
from cnngen.system.process import WorkerDied
from cnngen.training.data import Dataset

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers

try:
    import ray
    from ray import exceptions
except ImportError as error:
    raise CnnGenError(
        f"a Ray cluster needs the package of Ray ({error})",
        hint="Install: pip install 'cnngen[ray]'",
    ) from None

P = ParamSpec("P")
T = TypeVar("T")

OWN_MEMORY = 0.9
"""Of a model's share of a card's memory, what it may fill; the rest is its CUDA context's."""

OURS = Path(__file__).parents[3]
"""The folder that this package is in."""


def on_ray(
    address: str = "auto", *, cores: float = 1, gpus: float | None = None
) -> ExecutorFactory:
    """An executor of a cluster's nodes, each model with some cores, and a GPU where there are any.

    `gpus` is how many a model gets: 0.25 packs four on one card, each bounded to its share of the
    memory; None is one where the cluster has any. `address` is what `ray.init` takes. CNNGen and the framework must be installed on every
    node; the data set is sent to each once, and runs are sent back, so no folder is shared.
    Raises `CnnGenError` where no cluster answers, or has no GPU to share, and for shares that no
    card can be divided into.
    """
    if gpus is not None and not (0 < gpus < 1 or (gpus >= 0 and gpus == int(gpus))):
        raise CnnGenError(
            f"a model cannot have {gpus:g} GPUs", hint="Give a share up to 1, or a whole number."
        )

    @contextmanager
    def start(data: Dataset, report: Report) -> Iterator[ExecutorSetup]:
        try:
            # Ray puts the working folder first on its workers' paths; ours is on them anyway.
            with chdir(OURS):
                ray.init(address, log_to_driver=False, configure_logging=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise CnnGenError(
                f"no Ray cluster answers at '{address}': {error}",
                hint="Start one with `ray start --head`, or name its address.",
            ) from None
        try:
            there = _resource("GPU")
            if gpus and gpus > there:
                raise CnnGenError(
                    f"the Ray cluster has {there:g} GPUs, a model is to have {gpus:g}"
                )
            share = gpus if gpus is not None else float(there > 0)
            executor = RayExecutor(cores, share)
            _ = data.digest  # computed here, and sent with the rest
            # Ray gives a task the object that a reference stands for.
            sent = cast(Dataset, ray.put(data))
            yield ExecutorSetup(executor, sent, executor.slots, alone=False, remote=True)
        finally:
            ray.shutdown()

    return start


class RayExecutor(Executor):
    """Calls as Ray tasks, in the shape of `concurrent.futures`.

    A call whose worker dies ends with `WorkerDied`; Ray itself repeats none, for the campaign
    knows better whether to.
    """

    def __init__(self, cores: float, gpus: float) -> None:
        self._cores = cores
        self._gpus = gpus

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        environment = {SHARE: str(self._gpus * OWN_MEMORY)} if 0 < self._gpus < 1 else {}
        task = ray.remote(
            num_cpus=self._cores,
            num_gpus=self._gpus,
            max_retries=0,
            runtime_env={"env_vars": environment},
        )(fn)
        told: Future[T] = Future()
        told.set_running_or_notify_cancel()
        task.remote(*args, **kwargs).future().add_done_callback(lambda ended: _pass_on(ended, told))
        return told

    def slots(self) -> int:
        """How many calls the cluster as it is now can run, and one to wait."""
        fit = _resource("CPU") / self._cores
        if self._gpus:
            fit = min(fit, _resource("GPU") / self._gpus)
        return int(fit) + 1


def _pass_on(ended: Future[T], told: Future[T]) -> None:
    error = ended.exception()
    match error:
        case None:
            told.set_result(ended.result())
        case exceptions.OutOfMemoryError():
            told.set_exception(WorkerDied(_line(error), out_of_memory=True))
        case exceptions.NodeDiedError():
            # Nodes come and go; that is not the model's fault.
            told.set_exception(WorkerDied(_line(error), by_model=False))
        case exceptions.WorkerCrashedError() | exceptions.ObjectLostError():
            told.set_exception(WorkerDied(_line(error)))
        case exceptions.RayTaskError(cause=cause) if isinstance(cause, Exception):
            told.set_exception(cause)
        case _:
            told.set_exception(error)


def _resource(name: str) -> float:
    """How much of a resource the cluster's nodes have together."""
    return float(ray.cluster_resources().get(name, 0))  # type: ignore[no-untyped-call]


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
