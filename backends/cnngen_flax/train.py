"""Training of an emitted file: one compiled step, on bytes that stay on the device.

`docs/frameworks.md` tells what each choice gains.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from math import isfinite, nan
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from cnngen.data import Dataset, Splits, splits
from cnngen.data.dataset import Labels
from cnngen.errors import CnnGenError
from cnngen.network import Network
from cnngen.protocol import Epoch, Protocol, Status, TrainingResult, batch_sizes, chance
from cnngen.runner import Weights
from cnngen_flax.batches import flip_crop, pixels
from cnngen_flax.learner import ONCE, Learner, State, cross_entropy
from cnngen_flax.weights import set_weights

EVALUATION_NUMBERS = {"cpu": 2**23, "cuda": 2**28}
"""Numbers that all operations together put out for one batch of evaluation."""

NO_MEMORY = ("RESOURCE_EXHAUSTED", "Out of memory", "out of memory", "bad_alloc")
"""How XLA says it."""


def train(
    source: str,
    network: Network,
    data: Dataset,
    protocol: Protocol,
    on_epoch: Callable[[Epoch], None] | None = None,
    weights: Weights | None = None,
) -> TrainingResult:
    """Train the `Net` of an emitted file and evaluate it once on the test images.

    It starts from `weights`, or from the protocol's seed. Whatever stops the training becomes
    the status of the result. Raises `DataError` where the protocol does not fit the data.
    """
    device, gpu = machine()
    parts = splits(data, protocol)
    reached = _Reached()
    epochs = _train(source, network, data, parts, protocol, weights, reached)
    for epoch in _caught(epochs, reached):
        reached.epochs.append(epoch)
        if on_epoch is not None:
            on_epoch(epoch)
    return TrainingResult(
        status=reached.status,
        cause=reached.cause,
        epochs=tuple(reached.epochs),
        train_seconds=reached.seconds,
        test_loss=reached.test_loss,
        test_accuracy=reached.test_accuracy,
        device=device,
        threads=threads(),
        gpu=gpu,
        cause_epoch=reached.cause_epoch,
    )


def load(source: str, seed: int = 0, name: str = "emitted") -> nnx.Module:
    """The untrained `Net` of an emitted file, with the first weights of a seed."""
    module = ModuleType(name)
    exec(compile(source, f"<{name}>", "exec"), module.__dict__)

    def drawn(key: jax.Array) -> nnx.State[Hashable, object]:
        return nnx.state(module.Net(nnx.Rngs(key)))

    # All weights by one program: JAX would compile one for every shape, in five times as long.
    model = nnx.eval_shape(lambda: module.Net(nnx.Rngs(0)))
    assert isinstance(model, nnx.Module)
    nnx.update(model, jax.jit(drawn, compiler_options=ONCE)(key_of(seed)))
    return model


def key_of(seed: int) -> jax.Array:
    """A key for a seed of up to 64 bits, of which JAX by itself takes 32."""
    return jax.random.fold_in(jax.random.key(seed % 2**32), seed // 2**32)


def machine() -> tuple[str, str | None]:
    """Where JAX computes: `cpu` or `cuda`, and the GPU's name."""
    device = jax.devices()[0]
    on_cpu = device.platform == "cpu"
    return ("cpu", None) if on_cpu else ("cuda", str(device.device_kind))


def threads() -> int:
    """How many threads XLA has on a CPU."""
    limit = os.environ.get("NPROC", "")
    if limit.isdecimal():
        return int(limit)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(slots=True)
class _Reached:
    """What a training has reached, whatever stops it. `number` is that of the epoch under way."""

    status: Status = "ok"
    cause: str | None = None
    cause_epoch: int | None = None
    number: int = 0
    epochs: list[Epoch] = field(default_factory=list)
    seconds: float = 0.0
    test_loss: float | None = None
    test_accuracy: float | None = None

    def stop(self, status: Status, cause: str) -> None:
        """Keep why the training stops, and in which epoch."""
        self.status, self.cause, self.cause_epoch = status, cause, self.number or None


def _train(
    source: str,
    network: Network,
    data: Dataset,
    parts: Splits,
    protocol: Protocol,
    start: Weights | None,
    reached: _Reached,
) -> Iterator[Epoch]:
    """The training from the first weights to the test, an epoch at a time."""
    began = time.perf_counter()
    model = load(source, protocol.seed, network.id)
    if start is not None:
        set_weights(model, start)
    if protocol.precision == "bfloat16":
        _halve(model)
    learner = Learner(model, protocol.optimizer)
    state = learner.start
    images, labels = on_device(data)
    sizes = batch_sizes(len(parts.train), protocol.batch)
    key = jax.random.fold_in(key_of(protocol.seed), 1)
    augmented = protocol.augmentation == "flip_crop"

    def step(
        state: State,
        images: jax.Array,
        labels: jax.Array,
        rows: jax.Array,
        number: int,
        rate: float,
    ) -> tuple[State, jax.Array, jax.Array]:
        if augmented:
            chosen = flip_crop(images, rows, jax.random.fold_in(key, number))
        else:
            chosen = images[rows]
        state, learnt = learner.step(state, pixels(chosen), labels[rows], rate)
        return state, learnt.loss, learnt.guesses

    def judge(
        state: State, images: jax.Array, labels: jax.Array, rows: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        logits = learner.logits(state, pixels(images[rows]))
        return cross_entropy(logits, labels[rows]), logits.argmax(axis=1)

    whole_step = jax.jit(step, donate_argnums=0)
    # The last batch of an epoch, if it is of another size, is a program of its own.
    last_step = jax.jit(step, donate_argnums=0, compiler_options=ONCE)
    judged_by = jax.jit(judge)
    room = _room(network, len(parts.validation) or len(parts.test))

    def evaluate(rows: Labels) -> _Score:
        # All batches are of one size, for which the first rows come again: one thing to compile.
        filled = np.resize(rows, -(-len(rows) // room) * room)
        judged = [judged_by(state, images, labels, some) for some in filled.reshape(-1, room)]
        losses, guesses = (
            np.concatenate(parts) for parts in zip(*jax.device_get(judged), strict=True)
        )
        return _score(losses[: len(rows)], guesses[: len(rows)], data.labels[rows])

    def is_late() -> bool:
        budget = protocol.time_budget
        return budget is not None and time.perf_counter() - began > budget

    def stop_late() -> None:
        reached.seconds = time.perf_counter() - began
        budget = protocol.time_budget
        reached.stop("time_budget", f"{budget:g} s were over in epoch {reached.number}")

    by_chance = chance(np.bincount(data.labels[parts.train]).tolist())
    done = dead = 0
    for number in range(1, protocol.epochs + 1):
        reached.number = number
        epoch_began = time.perf_counter()
        order = np.random.default_rng((protocol.seed, number)).permutation(parts.train)
        ran = []
        for rows in np.split(order, np.cumsum(sizes)[:-1]):
            rate = protocol.learning_rate_at(done, len(sizes))
            run = whole_step if len(rows) == sizes[0] else last_step
            state, *told = run(state, images, labels, rows, done, rate)
            ran.append(told)
            done += 1
            # JAX computes while Python goes on: to look at the clock is to wait for the step.
            if protocol.time_budget is not None:
                told[0].block_until_ready()
                if is_late():
                    break
        if len(ran) < len(sizes):
            stop_late()
            break
        losses, guesses = zip(*jax.device_get(ran), strict=True)
        trained = _score(
            np.repeat(np.array(losses), sizes), np.concatenate(guesses), data.labels[order]
        )
        validated = evaluate(parts.validation) if len(parts.validation) else NO_SCORE
        ended = time.perf_counter()
        reached.seconds = ended - began
        yield Epoch(
            number,
            ended - epoch_began,
            trained.loss,
            trained.accuracy,
            validated.loss,
            validated.accuracy,
        )
        if not isfinite(trained.loss):
            # Weights that are no numbers stay so.
            reached.stop("nan", f"the training loss became {trained.loss} in epoch {number}")
            return
        constant = validated.constant if len(parts.validation) else trained.constant
        dead = dead + 1 if constant and trained.accuracy <= by_chance else 0
        if dead == protocol.abort_dead:
            break
        if number < protocol.epochs and is_late():
            stop_late()
            break
    if dead and reached.status == "ok":
        reached.stop("dead", f"it gives one class for all images since epoch {number - dead + 1}")
    tested = evaluate(parts.test)
    reached.test_loss, reached.test_accuracy = tested.loss, tested.accuracy
    if not isfinite(tested.loss):
        reached.stop("nan", f"the test loss after epoch {number} is {tested.loss}")


@lru_cache(maxsize=1)
def on_device(data: Dataset) -> tuple[jax.Array, jax.Array]:
    """Images (N, H, W, C) uint8 and labels (N,) int32, which the next trainings find there."""
    return jnp.asarray(data.images), jnp.asarray(data.labels, jnp.int32)


def _halve(model: nnx.Module) -> None:
    """Layers compute in bfloat16 from now on; their weights stay float32."""
    for _, module in nnx.iter_children(model):
        if isinstance(module, nnx.Conv | nnx.Linear | nnx.BatchNorm):
            module.dtype = jnp.bfloat16


def _room(network: Network, images: int) -> int:
    """Images in a batch of evaluation: so many that batches of one size hold them all."""
    most = EVALUATION_NUMBERS[machine()[0]] // network.cost.activations
    most = max(64, min(4096, most))
    return -(-images // -(-images // most))


@dataclass(frozen=True, slots=True)
class _Score:
    """Mean loss, share of right guesses, and whether all guesses are one class."""

    loss: float
    accuracy: float
    constant: bool


NO_SCORE = _Score(nan, nan, False)


def _score(losses: np.ndarray, guesses: np.ndarray, right: Labels) -> _Score:
    """The score of images with these losses and guesses."""
    hits = (guesses == right).mean()
    constant = (guesses == guesses[0]).all()
    return _Score(float(losses.mean(dtype=np.float64)), float(hits), bool(constant))


def _caught(epochs: Iterator[Epoch], reached: _Reached) -> Iterator[Epoch]:
    """The epochs, until they end or what stops them has become the status."""
    try:
        yield from epochs
    except CnnGenError:
        raise
    except MemoryError as error:
        reached.stop("out_of_memory", _first_line(error))
    except Exception as error:
        # Whatever it is that a network cannot be trained for, is a result to keep.
        no_memory = any(text in str(error) for text in NO_MEMORY)
        reached.stop("out_of_memory" if no_memory else "error", _first_line(error))


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
