"""Training of an emitted file by `compile` and `fit`, under any of Keras's engines.

The engine must be settled before this module is imported, since it imports Keras.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isfinite, nan
from types import ModuleType
from typing import Any

import keras
import numpy as np

from cnngen.data import Dataset, splits
from cnngen.data.dataset import Labels
from cnngen.errors import CnnGenError
from cnngen.network import Network
from cnngen.protocol import Epoch, Protocol, Status, TrainingResult, batch_sizes, chance
from cnngen.runner import Weights
from cnngen_keras.batches import Batches
from cnngen_keras.engine import machine
from cnngen_keras.weights import set_weights

EVALUATION_NUMBERS = 2**23
"""Numbers that all operations together put out for one batch of evaluation."""

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}

NO_MEMORY = ("allocate memory", "out of memory", "OOM when", "RESOURCE_EXHAUSTED", "bad_alloc")
"""How the engines say it."""


def train(
    source: str,
    network: Network,
    data: Dataset,
    protocol: Protocol,
    on_epoch: Callable[[Epoch], None] | None = None,
    weights: Weights | None = None,
) -> TrainingResult:
    """Train the model that an emitted file builds and evaluate it once on the test images.

    It starts from `weights`, or from the protocol's seed. Whatever stops the training becomes the status of the result. Python's random numbers and
    Keras's precision are afterwards as they were. Raises `DataError` where the protocol does
    not fit the data.
    """
    device, threads, gpu = machine(keras.config.backend())
    parts = splits(data, protocol)
    sizes = batch_sizes(len(parts.train), protocol.batch)
    room = max(64, min(4096, EVALUATION_NUMBERS // network.cost.activations))

    def unshuffled(rows: Labels) -> Batches:
        return Batches(data, rows, batch_sizes(len(rows), room))

    augmented = protocol.augmentation == "flip_crop"
    training = Batches(data, parts.train, sizes, seed=protocol.seed, augmented=augmented)
    validation = unshuffled(parts.validation) if len(parts.validation) else None
    test = unshuffled(parts.test)
    by_chance = chance(np.bincount(data.labels[parts.train]).tolist())
    watch = _Watch(protocol, training, validation or unshuffled(parts.train), by_chance, on_epoch)
    clock = [_Clock(watch, len(sizes))] if protocol.time_budget else []
    with _seed(protocol.seed), _precision(POLICIES[protocol.precision]), _kept(watch):
        emitted = load(source, network.id)
        if weights is not None:
            set_weights(emitted, weights)
        model = compiled(on_bytes(emitted), protocol, len(sizes))
        model.fit(
            training,
            epochs=protocol.epochs,
            validation_data=validation,
            callbacks=[watch, *clock],
            shuffle=False,
            verbose=0,
        )
        watch.test(test)
    return TrainingResult(
        status=watch.status,
        cause=watch.cause,
        epochs=tuple(watch.epochs),
        train_seconds=watch.seconds,
        test_loss=watch.test_loss,
        test_accuracy=watch.test_accuracy,
        device=device,
        threads=threads,
        gpu=gpu,
        cause_epoch=watch.cause_epoch,
    )


def load(source: str, name: str = "emitted") -> keras.Model:
    """The untrained model of an emitted file."""
    module = ModuleType(name)
    exec(compile(source, f"<{name}>", "exec"), module.__dict__)
    return module.build()


def on_bytes(model: keras.Model) -> keras.Model:
    """A model that takes uint8 images, and gives them to `model` as floats from 0 to 1."""
    images = keras.Input(model.input_shape[1:], dtype="uint8")
    return keras.Model(images, model(keras.layers.Rescaling(1 / 255, dtype="float32")(images)))


def compiled(model: keras.Model, protocol: Protocol, steps: int) -> keras.Model:
    """The model, made ready to be trained as a protocol says, in epochs of so many steps."""
    model.compile(
        optimizer=_optimizer(protocol, steps),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
    )
    return model


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Shuffles the images for each epoch, and keeps what is reached, whatever stops it.

    `by_chance` is an accuracy that needs no images; `judged` are those on which a model that is
    no better must give several classes, or it is dead.
    """

    def __init__(
        self,
        protocol: Protocol,
        training: Batches,
        judged: Batches,
        by_chance: float,
        on_epoch: Callable[[Epoch], None] | None,
    ) -> None:
        super().__init__()
        self.protocol = protocol
        self.training = training
        self.judged = judged
        self.by_chance = by_chance
        self.on_epoch = on_epoch
        self.status: Status = "ok"
        self.cause: str | None = None
        self.cause_epoch: int | None = None
        self.epochs: list[Epoch] = []
        self.number = 0
        self.dead = 0
        self.test_loss: float | None = None
        self.test_accuracy: float | None = None
        self.seconds = 0.0
        self.began = self.epoch_began = time.perf_counter()

    def stop(self, status: Status, cause: str) -> None:
        """Keep why the training stops, and in which epoch."""
        self.status, self.cause, self.cause_epoch = status, cause, self.number or None
        if self.model is not None:
            self.model.stop_training = True

    def is_late(self) -> bool:
        """Whether the time budget is spent."""
        budget = self.protocol.time_budget
        return budget is not None and time.perf_counter() - self.began > budget

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.number = epoch + 1
        self.epoch_began = time.perf_counter()
        self.training.shuffle(self.number)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self.status != "ok":
            return
        assert logs is not None
        now = time.perf_counter()
        self.seconds = now - self.began
        ended = Epoch(
            self.number,
            now - self.epoch_began,
            float(logs["loss"]),
            float(logs["accuracy"]),
            float(logs.get("val_loss", nan)),
            float(logs.get("val_accuracy", nan)),
        )
        self.epochs.append(ended)
        if self.on_epoch is not None:
            try:
                self.on_epoch(ended)
            except Exception as error:
                raise _CallersOwn(error) from error
        if not isfinite(ended.train_loss):
            self.stop("nan", f"the training loss became {ended.train_loss} in epoch {self.number}")
            return
        # Guessing on purpose, only to see whether all guesses are one, is seldom called for.
        dead = ended.train_accuracy <= self.by_chance and self._is_constant()
        self.dead = self.dead + 1 if dead else 0
        if self.dead == self.protocol.abort_dead:
            self.model.stop_training = True
        elif self.number < self.protocol.epochs and self.is_late():
            self.stop_late()

    def stop_late(self) -> None:
        self.seconds = time.perf_counter() - self.began
        budget = self.protocol.time_budget
        self.stop("time_budget", f"{budget:g} s were over in epoch {self.number}")

    def test(self, images: Batches) -> None:
        """Evaluate once, if the weights are numbers."""
        if self.status == "nan":
            return
        if self.dead and self.status == "ok":
            since = self.number - self.dead + 1
            self.stop("dead", f"it gives one class for all images since epoch {since}")
        score = self.model.evaluate(images, verbose=0, return_dict=True)
        self.test_loss, self.test_accuracy = float(score["loss"]), float(score["accuracy"])
        if not isfinite(self.test_loss):
            self.stop("nan", f"the test loss after epoch {self.number} is {self.test_loss}")

    def _is_constant(self) -> bool:
        guesses = self.model.predict(self.judged, verbose=0).argmax(1)
        return bool((guesses == guesses[0]).all())


class _Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends an epoch of `steps` batches early when the time budget is spent.

    It stands apart from `_Watch`, since to be called after each batch costs time.
    """

    def __init__(self, watch: _Watch, steps: int) -> None:
        super().__init__()
        self.watch = watch
        self.steps = steps

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        if batch + 1 < self.steps and self.watch.is_late():
            self.watch.stop_late()


class _Rates(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A protocol's learning rates, a step each."""

    def __init__(self, protocol: Protocol, steps: int) -> None:
        super().__init__()
        total = protocol.epochs * steps
        rates = [protocol.learning_rate_at(step, steps) for step in range(total)]
        self.rates = np.array(rates, np.float32)

    def __call__(self, step: Any) -> Any:
        last = len(self.rates) - 1
        return keras.ops.take(self.rates, keras.ops.minimum(keras.ops.cast(step, "int32"), last))


def _optimizer(protocol: Protocol, steps: int) -> keras.optimizers.Optimizer:
    """The protocol's optimizer, for epochs of so many steps."""
    changing = protocol.schedule != "constant" or protocol.warmup
    rate = _Rates(protocol, steps) if changing else protocol.learning_rate
    if protocol.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=0.9)
    return keras.optimizers.Adam(rate, epsilon=1e-7)


class _CallersOwn(Exception):
    """What `on_epoch` raised, which is no failure of the training."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


@contextmanager
def _seed(seed: int) -> Iterator[None]:
    """Weights and dropout that follow from a seed.

    Keras draws the seed of each layer from Python's generator, but on PyTorch leaves dropout to
    PyTorch's. Its own `set_random_seed` takes none of 2^32 or more, and loads TensorFlow
    whatever the engine.
    """
    before = random.getstate()
    random.seed(seed)
    try:
        if keras.config.backend() == "torch":
            import torch

            with torch.random.fork_rng():
                torch.manual_seed(seed)
                yield
        else:
            yield
    finally:
        random.setstate(before)


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextmanager
def _kept(watch: _Watch) -> Iterator[None]:
    """Whatever stops the training becomes a status."""
    try:
        yield
    except CnnGenError:
        raise
    except _CallersOwn as raised:
        raise raised.error from None
    except MemoryError as error:
        watch.stop("out_of_memory", _first_line(error))
    except Exception as error:
        # Whatever it is that a network cannot be trained for, is a result to keep.
        no_memory = any(text in str(error) for text in NO_MEMORY)
        watch.stop("out_of_memory" if no_memory else "error", _first_line(error))


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
