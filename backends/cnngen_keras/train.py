"""Training of an emitted file by `compile` and `fit`, under any of Keras's engines.

The engine must be settled before this module is imported, since it imports Keras.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import nan
from types import ModuleType
from typing import Any

import keras
import numpy as np

from cnngen.backend.model_access import Weights
from cnngen.network import Network
from cnngen.training.data import Dataset, splits
from cnngen.training.data.dataset import Labels
from cnngen.training.progress import TrainingProgress, check_parameters
from cnngen.training.protocol import (
    WEIGHT_DECAY,
    Epoch,
    Protocol,
    TrainingResult,
    batch_sizes,
    evaluation_batch,
    precision_on,
)
from cnngen_keras.batches import Batches
from cnngen_keras.engine import capability, machine, tf32
from cnngen_keras.settings import own_settings
from cnngen_keras.weights import parameters, set_weights
from cnngen_keras.weights import weights as get_weights

EVALUATION_NUMBERS = 2**23
"""The size of a batch of evaluation, in numbers that all operations together put out."""

POLICIES = {"bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}

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

    It starts from `weights`, or from the protocol's seed. Whatever stops the training becomes
    the status of the result. Python's random numbers and Keras's settings are afterwards as
    they were. Raises `DataError` where the protocol does not fit the data.
    """
    device, threads, gpu = machine(keras.config.backend())
    parts = splits(data, protocol)
    sizes = batch_sizes(len(parts.train), protocol.batch)
    room = evaluation_batch(EVALUATION_NUMBERS, network.cost.activations)

    def unshuffled(rows: Labels) -> Batches:
        return Batches(data, rows, batch_sizes(len(rows), room))

    augmented = protocol.augmentation == "flip_crop"
    training = Batches(data, parts.train, sizes, seed=protocol.seed, augmented=augmented)
    validation = unshuffled(parts.validation) if len(parts.validation) else None
    test = unshuffled(parts.test)
    progress = TrainingProgress(protocol, data.labels[parts.train], on_epoch)
    watch = _Watch(progress, training, validation or unshuffled(parts.train))
    clock = [_Clock(progress, len(sizes))] if protocol.time_budget else []
    engine = keras.config.backend()
    precision = precision_on(protocol.precision, capability(engine))
    policy = POLICIES.get(precision)
    steps = [_Steps()] if precision == "float16" else []
    with (
        own_settings(policy=policy),
        tf32(engine, precision == "tf32"),
        _seed(protocol.seed),
        progress.kept(NO_MEMORY),
    ):
        emitted = load(source, network.id)
        check_parameters(network, parameters(emitted))
        if weights is not None:
            set_weights(emitted, weights)
        progress.weights = lambda: get_weights(emitted)
        model = compiled(on_bytes(emitted), protocol, len(sizes))
        model.fit(
            training,
            epochs=protocol.epochs,
            validation_data=validation,
            callbacks=[watch, *clock, *steps],
            shuffle=False,
            verbose=0,
        )
        progress.test(lambda: _score(model, test))
    skipped = steps[0].skipped if steps else None
    return progress.result(device, threads, gpu, precision, skipped)


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
    """The model, compiled for a protocol with epochs of so many steps."""
    model.compile(
        optimizer=_optimizer(protocol, steps),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
    )
    return model


def _score(model: keras.Model, images: Batches) -> tuple[float, float]:
    """Loss and accuracy."""
    score = model.evaluate(images, verbose=0, return_dict=True)
    return float(score["loss"]), float(score["accuracy"])


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Shuffles the images for each epoch, and reports the progress of the training.

    `judged` are images on which a model that is not better than chance must at least guess
    several classes; otherwise the training is given up.
    """

    def __init__(self, progress: TrainingProgress, training: Batches, judged: Batches) -> None:
        super().__init__()
        self.progress = progress
        self.training = training
        self.judged = judged

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self.progress.begin()
        self.training.shuffle(self.progress.number)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self.progress.status != "ok":
            return
        assert logs is not None
        validated = logs.get("val_loss", nan), logs.get("val_accuracy", nan)
        self.progress.end(
            (float(logs["loss"]), float(logs["accuracy"])),
            (float(validated[0]), float(validated[1])),
        )
        if not self.progress.goes_on(self._is_constant):
            self.model.stop_training = True

    def _is_constant(self) -> bool:
        guesses = self.model.predict(self.judged, verbose=0).argmax(1)
        return bool((guesses == guesses[0]).all())


class _Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends an epoch of `steps` batches early when the time budget is spent.

    It is separate from `_Watch` because a call after each batch costs time.
    """

    def __init__(self, progress: TrainingProgress, steps: int) -> None:
        super().__init__()
        self.progress = progress
        self.steps = steps

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        if batch + 1 < self.steps and self.progress.is_over():
            self.model.stop_training = True


class _Steps(keras.callbacks.Callback):  # type: ignore[misc]
    """Counts the steps that loss scaling leaves out, in which float16 gradients run over."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self.skipped = 0

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self.steps += 1

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        # The wrapped optimizer counts what it has applied.
        self.skipped = self.steps - int(self.model.optimizer.inner_optimizer.iterations)


class _Rates(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The learning rate of a protocol at each step."""

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
    if protocol.optimizer == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY, epsilon=1e-7)
    return keras.optimizers.Adam(rate, epsilon=1e-7)


@contextmanager
def _seed(seed: int) -> Iterator[None]:
    """Make weights and dropout follow from a seed.

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
