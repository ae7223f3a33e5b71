"""One network trained, measured and recorded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnngen.backend import Backend, get_backend
from cnngen.errors import BackendError, BackendFault, CnnGenError
from cnngen.network import Network
from cnngen.operations import shapes
from cnngen.runs.epoch_bar import followed
from cnngen.runs.record import Record, make_record, record_id
from cnngen.system.ranges import refuse_seeds
from cnngen.training.data import Dataset, load_data
from cnngen.training.energy import Energy, Meter
from cnngen.training.protocol import Epoch, Protocol, TrainingResult, named_protocol

if TYPE_CHECKING:
    from cnngen.backend.model_access import Weights
    from cnngen.training.checkpoint import Checkpoint


@dataclass(frozen=True, slots=True)
class Trained:
    """The record of a training, the source that was trained, and its weights by operation.

    `weights` are None where the training did not come to an end, or they were not asked for.
    `best_weights` are those of the best epoch by validation, where the protocol keeps them.
    """

    record: Record
    source: str = field(repr=False)
    weights: Weights | None = field(default=None, repr=False, compare=False)
    best_weights: Weights | None = field(default=None, repr=False, compare=False)


def run_key(network: Network, data: Dataset, protocol: Protocol, backend: str) -> str:
    """The key that the record of this training will have."""
    return record_id(network.id, backend, protocol, data.summary)


def train(
    network: Network,
    data: Dataset | str | Path,
    protocol: Protocol | str = "quick",
    *,
    backend: str = "torch",
    meter: Meter | None = None,
    seed: int | None = None,
    space: str | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    weights: Weights | None = None,
    keep_weights: bool = True,
    checkpoint: Checkpoint | None = None,
    energy_before: Energy | None = None,
    progress: bool = False,
) -> Trained:
    """Train the source that a backend emits for a network, and measure its energy.

    `data` may be the name or path of a data set, `protocol` the name of one. `progress` shows a bar on
    stderr; the logger "cnngen" is told of each epoch at level INFO. `seed` and `space` are
    those the network was sampled with, by default as `sample` noted them; they are recorded. `weights`
    are those to start from, else the protocol's seed decides them. The trained ones come back,
    unless `keep_weights` is False. With a `checkpoint`, a backend that can goes on from the state that it
    finds there, to the same bits, and keeps its own; `energy_before` is what the training that wrote it
    had used. A training that fails is
    a record with a status and a cause. Raises `CnnGenError` for a backbone, or where the
    images do not fit the network, `BackendError` for a backend that is not installed or
    cannot train, and `BackendFault` for one that fails to emit source or to give a valid result.
    """
    if not isinstance(data, Dataset):
        data = load_data(data)
    if isinstance(protocol, str):
        protocol = named_protocol(protocol)
    if network.drawn is not None and seed is None and space is None:
        space, seed = network.drawn
    check_trainable(network, data)
    refuse_seeds(seed, protocol.seed)
    chosen, framework = trainer(backend)
    source = emitted(chosen, network)
    chosen.prepare()
    # Only where they are given: a backend may be older than they are.
    start: dict[str, Any] = {} if weights is None else {"weights": weights}
    if checkpoint is not None and "resume" in chosen.capabilities:
        start["checkpoint"] = checkpoint
    with (
        followed(network, protocol, on_epoch, bar=progress) as told,
        (meter or Meter()).window(network.id) as window,
    ):
        result = chosen.train(source, network, data, protocol, _checking(told, chosen), **start)
    if not isinstance(result, TrainingResult):
        raise BackendFault(f"the {backend} backend gives a {type(result).__name__} for a training")
    energy, cause = window.energy, window.cause
    if result.resumed_epochs and energy is not None:
        if energy_before is None:
            energy, cause = None, f"that of the first {result.resumed_epochs} epochs is not known"
        else:
            energy = energy.after(energy_before)
    try:
        record = make_record(
            network,
            data,
            protocol,
            result,
            backend=backend,
            framework=framework,
            energy=energy,
            energy_cause=cause,
            seed=seed,
            space=space,
        )
        # Written and read, since what cannot be read again would be lost.
        record = Record.from_json(record.to_json())
    except Exception as error:
        raise BackendFault(f"the {backend} backend gives no valid result: {error}") from error
    if record.status == "ok" and record.test_accuracy is None:
        raise BackendFault(f"the {backend} backend says 'ok' and gives no test accuracy")
    if not keep_weights:
        return Trained(record, source)
    return Trained(record, source, _final(result), result.best_weights)


def _final(result: TrainingResult) -> Weights | None:
    """The weights of a training that came to its end."""
    ended = result.status in ("ok", "dead", "time_budget") and result.test_accuracy is not None
    return result.weights() if ended and result.weights is not None else None


def emitted(backend: Backend, network: Network) -> str:
    """The source of a network, which can be written. Raises `BackendFault` where there is none."""
    try:
        source = backend.emit(network)
        source.encode()
    except ImportError:
        raise
    except Exception as error:
        said = error.message if isinstance(error, CnnGenError) else str(error)
        message = f"{type(error).__name__}: {said}"
        raise BackendFault(f"the {backend.name} backend emits no source: {message}") from error
    return source


def _checking(on_epoch: Callable[[Epoch], None], backend: Backend) -> Callable[[Epoch], None]:
    """`on_epoch`, which is told of nothing but epochs: it may stand in another process."""

    def told(epoch: Epoch) -> None:
        try:
            figures = map(float, (getattr(epoch, field.name) for field in fields(Epoch)))
            number, *rest = figures
            plain = Epoch(int(number), *rest)
        except (AttributeError, TypeError, ValueError) as error:
            raise BackendFault(f"the {backend.name} backend tells of no epoch: {error}") from error
        on_epoch(plain)

    return told


def trainer(backend: str) -> tuple[Backend, str]:
    """The backend of that name, and its framework's version.

    Raises `BackendError` for a backend that is not there or cannot train.
    """
    chosen = get_backend(backend)
    framework = chosen.version()
    if framework is None or "train" not in chosen.capabilities:
        lacks = "needs its framework" if framework is None else "cannot train"
        raise BackendError(f"the {backend} backend {lacks}", hint=f"Install: {chosen.install}")
    return chosen, framework


def check_trainable(network: Network, data: Dataset) -> None:
    """Raise `CnnGenError` where a network cannot be trained on a data set."""
    if network.is_backbone:
        raise CnnGenError(
            "a description without classification is a backbone and cannot be trained",
            hint="End it with flatten or a global pooling and dense layers, then output.",
            source=network.description.source,
            span=network.description.output_span if network.description.source else None,
        )
    if network.input_shape != data.input_shape or network.classes != data.classes:
        raise CnnGenError(
            f"the network takes {shapes.text(network.input_shape)} images of {network.classes} "
            f"classes, {data.name} has {shapes.text(data.input_shape)} of {data.classes}",
            hint="Leave the ends of the description open: `input … output`.",
        )
