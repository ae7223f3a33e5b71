"""Training of an emitted file: one compiled step, on bytes that stay on the device.

`docs/frameworks.md` tells what each choice gains.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
from math import nan
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from cnngen.backend.model_access import Weights
from cnngen.network import Network
from cnngen.system.machine import usable_cores
from cnngen.training.data import Dataset, Splits, splits
from cnngen.training.data.dataset import Labels
from cnngen.training.progress import TrainingProgress, check_parameters
from cnngen.training.protocol import (
    Epoch,
    Precision,
    Protocol,
    TrainingResult,
    batch_sizes,
    evaluation_batch,
    precision_on,
)
from cnngen_flax.batches import flip_crop, pixels
from cnngen_flax.learner import ONCE, Learner, State, cross_entropy
from cnngen_flax.settings import own_settings
from cnngen_flax.weights import parameters, set_weights
from cnngen_flax.weights import weights as get_weights

HALVES = {"bfloat16": jnp.dtype(jnp.bfloat16), "float16": jnp.dtype(jnp.float16)}

EVALUATION_NUMBERS = {"cpu": 2**23, "cuda": 2**28}
"""The size of a batch of evaluation, in numbers that all operations together put out."""

NO_MEMORY = ("RESOURCE_EXHAUSTED", "Out of memory", "out of memory", "bad_alloc")
"""How XLA says it."""


@own_settings()
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
    the status of the result. JAX's settings are afterwards as they were. Raises `DataError` where
    the protocol does not fit the data.
    """
    device, gpu = machine()
    parts = splits(data, protocol)
    progress = TrainingProgress(protocol, data.labels[parts.train], on_epoch)
    precision = precision_on(protocol.precision, capability())
    skipped: int | None = None
    # By default XLA multiplies float32 in TF32 where a GPU has it.
    products = "tensorfloat32" if precision == "tf32" else "float32"
    with progress.kept(NO_MEMORY), jax.default_matmul_precision(products):
        skipped = _train(source, network, data, parts, protocol, precision, weights, progress)
    return progress.result(device, threads(), gpu, precision, skipped)


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
    """The device of JAX: `cpu` or `cuda`, and the GPU's name."""
    device = jax.devices()[0]
    on_cpu = device.platform == "cpu"
    return ("cpu", None) if on_cpu else ("cuda", str(device.device_kind))


def capability() -> tuple[int, int] | None:
    """The compute capability of the GPU; None on a CPU."""
    known = getattr(jax.devices()[0], "compute_capability", None)
    if known is None:
        return None
    major, _, minor = str(known).partition(".")
    return int(major), int(minor or 0)


def threads() -> int:
    """The number of XLA's threads on a CPU."""
    limit = os.environ.get("NPROC", "")
    if limit.isdecimal():
        return int(limit)
    return usable_cores()


def _train(
    source: str,
    network: Network,
    data: Dataset,
    parts: Splits,
    protocol: Protocol,
    precision: Precision,
    start: Weights | None,
    progress: TrainingProgress,
) -> int | None:
    """The training from the first weights to the test. Returns the steps left out by loss scaling."""
    model = load(source, protocol.seed, network.id)
    check_parameters(network, parameters(model))
    if start is not None:
        set_weights(model, start)
    if (half := HALVES.get(precision)) is not None:
        _halve(model, half)
    learner = Learner(model, protocol.optimizer, scaled=precision == "float16")
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

    progress.weights = lambda: get_weights(learner.model(state.weights, state.others))
    done = 0
    for _ in range(protocol.epochs):
        progress.begin()
        order = np.random.default_rng((protocol.seed, progress.number)).permutation(parts.train)
        ran = []
        for rows in np.split(order, np.cumsum(sizes)[:-1]):
            rate = protocol.learning_rate_at(done, len(sizes))
            run = whole_step if len(rows) == sizes[0] else last_step
            state, *told = run(state, images, labels, rows, done, rate)
            ran.append(told)
            done += 1
            # JAX computes while Python goes on: the clock tells something only behind the step.
            if protocol.time_budget is not None and len(ran) < len(sizes):
                told[0].block_until_ready()
                if progress.is_over():
                    break
        if len(ran) < len(sizes):
            break
        losses, guesses = zip(*jax.device_get(ran), strict=True)
        trained = _score(
            np.repeat(np.array(losses), sizes), np.concatenate(guesses), data.labels[order]
        )
        validated = evaluate(parts.validation) if len(parts.validation) else NO_SCORE
        progress.end(trained.figures, validated.figures)
        judged = validated if len(parts.validation) else trained
        if not progress.goes_on(judged.is_constant):
            break
    progress.test(lambda: evaluate(parts.test).figures)
    return None if state.scaling is None else int(state.scaling.skipped)


@lru_cache(maxsize=1)
def on_device(data: Dataset) -> tuple[jax.Array, jax.Array]:
    """Images (N, H, W, C) uint8 and labels (N,) int32, kept there for the next trainings."""
    return jnp.asarray(data.images), jnp.asarray(data.labels, jnp.int32)


def _halve(model: nnx.Module, dtype: jnp.dtype) -> None:
    """Let layers compute in a precision from now on; their weights stay float32."""
    for _, module in nnx.iter_modules(model):
        if isinstance(module, nnx.Conv | nnx.Linear | nnx.BatchNorm):
            module.dtype = dtype


def _room(network: Network, images: int) -> int:
    """The size of a batch of evaluation: batches of one size hold all images."""
    most = evaluation_batch(EVALUATION_NUMBERS[machine()[0]], network.cost.activations)
    return -(-images // -(-images // most))


@dataclass(frozen=True, slots=True)
class _Score:
    """Mean loss, share of right guesses, and whether all guesses are one class."""

    loss: float
    accuracy: float
    constant: bool

    @property
    def figures(self) -> tuple[float, float]:
        return self.loss, self.accuracy

    def is_constant(self) -> bool:
        return self.constant


NO_SCORE = _Score(nan, nan, False)


def _score(losses: np.ndarray, guesses: np.ndarray, right: Labels) -> _Score:
    """The score of images with these losses and guesses."""
    hits = (guesses == right).mean()
    constant = (guesses == guesses[0]).all()
    return _Score(float(losses.mean(dtype=np.float64)), float(hits), bool(constant))
