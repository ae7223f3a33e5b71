"""Emitted files run for comparison with other backends."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from cnngen.backend.model_access import Array, Batch, Runner, Weights
from cnngen.training.protocol import Protocol
from cnngen_flax.learner import ONCE, Learner
from cnngen_flax.settings import own_settings
from cnngen_flax.train import load
from cnngen_flax.weights import parameters, set_weights, weights

OPTIMIZER = "sgd"
"""The optimizer of a `Learner` whose functions do not use it."""


class FlaxRunner(Runner[nnx.Module]):
    """The `Net` of an emitted file."""

    float64 = True

    @own_settings()
    def build(self, source: str) -> nnx.Module:
        return load(source)

    def weights(self, model: nnx.Module) -> Weights:
        return weights(model)

    def set_weights(self, model: nnx.Module, weights: Weights) -> None:
        with own_settings(float64=True):
            set_weights(model, weights)

    def own_model(self, model: nnx.Module, *, trained: bool = False) -> nnx.Module:
        if trained:
            model.eval()  # type: ignore[no-untyped-call]
        return model

    def save(self, model: nnx.Module, path: Path) -> None:
        state = nnx.to_flat_state(nnx.state(model, (nnx.Param, nnx.BatchStat)))
        arrays = {".".join(map(str, place)): np.asarray(leaf[...]) for place, leaf in state}
        np.savez(path, allow_pickle=False, **arrays)

    def outputs(self, model: nnx.Module, images: Array) -> Array:
        with _precision(images):
            learner = Learner(model, OPTIMIZER)
            outputs = jax.jit(learner.logits, compiler_options=ONCE)(
                learner.start, jnp.asarray(images)
            )
            return np.array(outputs)

    def gradients(self, model: nnx.Module, batch: Batch) -> tuple[float, Weights]:
        with _precision(batch.images):
            learner = Learner(model, OPTIMIZER)
            gradients, learnt = jax.jit(learner.gradients, compiler_options=ONCE)(
                learner.start, jnp.asarray(batch.images), jnp.asarray(batch.labels)
            )
            # As weights of the model, gradients find their names.
            named = weights(learner.model(gradients, learnt.others), trained=True)
            return float(learnt.loss), named

    def losses(
        self, model: nnx.Module, batches: Sequence[Batch], protocol: Protocol
    ) -> list[float]:
        losses = []
        with _precision(batches[0].images):
            learner = Learner(model, protocol.optimizer)
            state, step = learner.start, jax.jit(learner.step)
            for number, (images, labels) in enumerate(batches):
                rate = protocol.learning_rate_at(number, len(batches))
                state, learnt = step(state, jnp.asarray(images), jnp.asarray(labels), rate)
                losses.append(float(learnt.loss))
        return losses

    def parameters(self, model: nnx.Module) -> int:
        return parameters(model)


def _precision(images: Array) -> AbstractContextManager[object]:
    """Allow 64 bits, which JAX has only on demand."""
    return own_settings(float64=images.dtype == np.float64)
