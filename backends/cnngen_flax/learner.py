"""A Flax model as functions on flat lists of arrays, ready to be compiled.

`nnx.jit` walks the model at every call, and `jax.jit` flattens an `nnx.State` in Python;
lists of arrays go through in C++. `docs/frameworks.md` tells what that gains.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from cnngen.training.protocol import WEIGHT_DECAY

RULES: dict[str, Callable[[], optax.GradientTransformation]] = {
    "adam": lambda: optax.scale_by_adam(eps=1e-7),
    "adamw": lambda: optax.chain(
        optax.scale_by_adam(eps=1e-7), optax.add_decayed_weights(WEIGHT_DECAY)
    ),
    "sgd": lambda: optax.trace(decay=0.9),
}
"""The optimizers of a protocol; the learning rate scales their updates."""

ONCE: dict[str, bool | str] = {"xla_backend_optimization_level": "0"}
"""The compiler's options for rarely run code: compiled in half the time, half as fast."""

Arrays = list[jax.Array]


FIRST_FACTOR = 2.0**16
GROWTH_STEPS = 2000
"""The first factor of a float16 loss, and after how many steps without an overflow it doubles, as
in `torch.amp.GradScaler`."""


class Scaling(NamedTuple):
    """The factor of a float16 loss, without which small gradients would be 0: it doubles after
    `GROWTH_STEPS` finite steps in a row (`finite`), and halves when gradients run over. Such a
    step changes nothing else, and is counted in `skipped`."""

    factor: jax.Array
    finite: jax.Array
    skipped: jax.Array

    def after(self, is_finite: jax.Array) -> Scaling:
        """The scaling of the next step."""
        grows = self.finite + 1 == GROWTH_STEPS
        factor = jnp.where(is_finite, jnp.where(grows, 2.0, 1.0), 0.5) * self.factor
        finite = jnp.where(is_finite & ~grows, self.finite + 1, 0)
        return Scaling(factor, finite, self.skipped + ~is_finite)


class State(NamedTuple):
    """All that a step changes: trained weights, the layers' running statistics and random
    numbers, the optimizer's moments, and the scaling of the loss if there is one."""

    weights: Arrays
    others: Arrays
    moments: optax.OptState
    scaling: Scaling | None = None


class Learnt(NamedTuple):
    """The outcome of a batch: its mean loss, the class guessed for each image, and the running
    statistics and random numbers after it."""

    loss: jax.Array
    guesses: jax.Array
    others: Arrays


class Learner:
    """One model in training mode with its optimizer. Its methods are pure."""

    def __init__(self, model: nnx.Module, optimizer: str, *, scaled: bool = False) -> None:
        self.rule = RULES[optimizer]()
        self.graph, weights, *others = nnx.split(model, nnx.Param, ...)
        leaves, self.weights = jax.tree.flatten(weights)
        rest, self.others = jax.tree.flatten(others)
        # Each array is a buffer of its own, since a step may take them over.
        counts = (jnp.zeros((), jnp.int32) for _ in range(2))
        scaling = Scaling(jnp.asarray(FIRST_FACTOR), *counts) if scaled else None
        self.start = State(leaves, rest, self.rule.init(leaves), scaling)

    def model(self, weights: Arrays, others: Arrays) -> nnx.Module:
        """The model with these arrays in it."""
        states = jax.tree.unflatten(self.weights, weights), *jax.tree.unflatten(self.others, others)
        model = nnx.merge(self.graph, *states, copy=True)
        assert isinstance(model, nnx.Module)
        return model

    def gradients(
        self, state: State, images: jax.Array, labels: jax.Array
    ) -> tuple[Arrays, Learnt]:
        """The gradient of the mean loss for each weight, multiplied by the scaling's factor."""

        def loss_of(weights: Arrays) -> tuple[jax.Array, Learnt]:
            model = self.model(weights, state.others)
            logits = apply(model, images)
            loss = cross_entropy(logits, labels).mean()
            others = jax.tree.leaves(nnx.state(model, nnx.Not(nnx.Param)))
            factor = 1.0 if state.scaling is None else state.scaling.factor
            return loss * factor, Learnt(loss, logits.argmax(axis=1), others)

        gradients, learnt = jax.grad(loss_of, has_aux=True)(state.weights)
        return gradients, learnt

    def step(
        self, state: State, images: jax.Array, labels: jax.Array, rate: float
    ) -> tuple[State, Learnt]:
        """Learn from a batch."""
        gradients, learnt = self.gradients(state, images, labels)
        scaling = state.scaling
        if scaling is not None:
            gradients = [gradient / scaling.factor for gradient in gradients]
        updates, moments = self.rule.update(gradients, state.moments, state.weights)
        weights = [
            weight - rate * update for weight, update in zip(state.weights, updates, strict=True)
        ]
        if scaling is None:
            return State(weights, learnt.others, moments), learnt
        is_finite = jnp.array([jnp.isfinite(gradient).all() for gradient in gradients]).all()

        def kept(new: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(is_finite, new, old)

        weights, moments = jax.tree.map(kept, (weights, moments), (state.weights, state.moments))
        return State(weights, learnt.others, moments, scaling.after(is_finite)), learnt

    def logits(self, state: State, images: jax.Array) -> jax.Array:
        """The logits in evaluation mode."""
        model = self.model(state.weights, state.others)
        model.eval()  # type: ignore[no-untyped-call]
        return apply(model, images)


def apply(model: nnx.Module, images: jax.Array) -> jax.Array:
    """The output of an emitted `Net`."""
    assert callable(model)
    outputs: jax.Array = model(images)
    return outputs


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """The loss of each image, in float32 at least."""
    wide = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    losses: jax.Array = optax.softmax_cross_entropy_with_integer_labels(wide, labels)
    return losses
