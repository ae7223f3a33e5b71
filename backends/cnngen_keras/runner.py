"""Emitted files run for comparison with other backends, under any of Keras's engines.

The engine must be settled before this module is imported, since it imports Keras.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from math import sqrt
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import dtypes

from cnngen.backend.model_access import Array, Batch, Runner, Weights
from cnngen.operations.shapes import Shape
from cnngen.training.protocol import Protocol
from cnngen_keras.settings import own_settings
from cnngen_keras.train import compiled, load
from cnngen_keras.weights import by_name, parameters, set_weights, weights


class Emitted:
    """An emitted file and its model, which is built anew to compute in another precision."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.dtype = "float32"
        with _precision(self.dtype):
            self.model = load(source)

    def turn(self, dtype: str) -> None:
        """Compute in a precision from now on; a change of precision loses the weights."""
        if dtype != self.dtype:
            self.dtype = dtype
            with _precision(dtype):
                self.model = load(self.source)


class KerasRunner(Runner[Emitted]):
    """`build()` of an emitted file."""

    float64 = True

    def build(self, source: str) -> Emitted:
        return Emitted(source)

    def weights(self, model: Emitted) -> Weights:
        return weights(model.model)

    def set_weights(self, model: Emitted, weights: Weights) -> None:
        model.turn(
            next((w.dtype.name for own in weights.values() for w in own.values()), model.dtype)
        )
        with _precision(model.dtype):
            set_weights(model.model, weights)

    def own_model(self, model: Emitted, *, trained: bool = False) -> keras.Model:
        return model.model

    def save(self, model: Emitted, path: Path) -> None:
        model.model.save_weights(path)

    def outputs(self, model: Emitted, images: Array) -> Array:
        with _precision(images.dtype.name):
            model.turn(images.dtype.name)
            return np.array(keras.ops.convert_to_numpy(model.model(images, training=False)))

    def gradients(self, model: Emitted, batch: Batch) -> tuple[float, Weights]:
        with _precision(model.dtype):
            loss, gradients = GRADIENTS[keras.config.backend()](model.model, batch)
            return loss, by_name(model.model, gradients)

    def losses(self, model: Emitted, batches: Sequence[Batch], protocol: Protocol) -> list[float]:
        losses = []
        with _precision(model.dtype):
            ready = compiled(model.model, protocol, len(batches))
            for images, labels in batches:
                # Keras would give the mean over all batches so far.
                ready.reset_metrics()
                losses.append(float(ready.train_on_batch(images, labels, return_dict=True)["loss"]))
        return losses

    def parameters(self, model: Emitted) -> int:
        return parameters(model.model)

    def shapes(self, model: Emitted) -> dict[str, Shape]:
        return {layer.name: layer.output.shape[1:] for layer in model.model.layers}


def _loss(logits: Any, labels: Any) -> Any:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits)


def _with_tensorflow(model: keras.Model, batch: Batch) -> tuple[float, list[object]]:
    import tensorflow as tf  # type: ignore[import-untyped]

    with tf.GradientTape() as tape:
        loss = _loss(model(batch.images, training=True), batch.labels)
    return float(loss), tape.gradient(loss, [weight.value for weight in model.trainable_weights])


def _with_torch(model: keras.Model, batch: Batch) -> tuple[float, list[object]]:
    import torch

    loss = _loss(model(batch.images, training=True), batch.labels)
    values = [weight.value for weight in model.trainable_weights]
    return loss.item(), list(torch.autograd.grad(loss, values))


def _with_jax(model: keras.Model, batch: Batch) -> tuple[float, list[object]]:
    import jax

    def loss(trained: list[object]) -> object:
        others = [weight.value for weight in model.non_trainable_variables]
        logits, _ = model.stateless_call(trained, others, batch.images, training=True)
        return _loss(logits, batch.labels)

    trained = [weight.value for weight in model.trainable_variables]
    value, gradients = jax.value_and_grad(loss)(trained)
    return float(value), gradients


GRADIENTS = {"tensorflow": _with_tensorflow, "torch": _with_torch, "jax": _with_jax}


@contextmanager
def _precision(dtype: str) -> Iterator[None]:
    """A context in which Keras computes in a precision."""
    with own_settings(dtype), _all_of_float64() if dtype == "float64" else nullcontext():
        yield


@contextmanager
def _all_of_float64() -> Iterator[None]:
    """But on TensorFlow, Keras computes means, batch norms and products of float64 in float32,
    "to be aligned with JAX's default behavior"; and TensorFlow's gelu has a square root of 2 in
    float32."""
    narrowed = dtypes.BIT64_TO_BIT32_DTYPE
    before = narrowed["float64"]
    narrowed["float64"] = "float64"
    try:
        with _in_tensorflow() if keras.config.backend() == "tensorflow" else nullcontext():
            yield
    finally:
        narrowed["float64"] = before


@contextmanager
def _in_tensorflow() -> Iterator[None]:
    import tensorflow as tf

    def gelu(x: Any, approximate: bool = False) -> Any:
        assert not approximate
        return x * (1 + tf.math.erf(x / tf.constant(sqrt(2), x.dtype))) / 2

    before = tf.nn.gelu
    tf.nn.gelu = gelu
    try:
        yield
    finally:
        tf.nn.gelu = before
