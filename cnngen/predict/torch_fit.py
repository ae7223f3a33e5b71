"""The training loop of all predictors that are PyTorch modules."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from math import cos, pi
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cnngen.predict.predictor import Floats

Encoded = TypeVar("Encoded")
Collate = Callable[[Sequence[Encoded]], tuple[Tensor, ...]]

WARMUP = 0.05
"""Fraction of the steps during which the learning rate rises."""

BATCH = 64
"""Number of networks predicted at a time."""

SORTED_BATCHES = 8
"""Number of random batches whose networks are sorted by size among each other. This reduces
padding and keeps the order random."""

LARGEST_GRADIENT = 1.0


class Regressor(nn.Module):
    """A module whose output, of shape (networks, 2), is a mean and the logarithm of a variance.

    A subclass with another output overrides `loss` and `estimate`.
    """

    def begin(self, wanted: Tensor) -> None:
        """Called once before the first step, with the training targets (networks,)."""

    def loss(self, output: Tensor, wanted: Tensor) -> Tensor:
        """Return the negative log-likelihood of a normal distribution, up to a constant.

        `wanted` are the targets, of shape (networks,).
        """
        mean, log_variance = output[:, 0], output[:, 1].clamp(-8, 8)
        return ((wanted - mean).square() * torch.exp(-log_variance) + log_variance).mean() / 2

    def estimate(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation, each of shape (networks,)."""
        return output[:, 0], torch.exp(output[:, 1].clamp(-8, 8) / 2)


class PointRegressor(Regressor):
    """A module whose output is a mean, of shape (networks, 1), with the same uncertainty for all."""

    def loss(self, output: Tensor, wanted: Tensor) -> Tensor:
        return functional.mse_loss(output[:, 0], wanted)

    def estimate(self, output: Tensor) -> tuple[Tensor, Tensor]:
        return output[:, 0], torch.ones_like(output[:, 0])


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Settings of AdamW with a linear warm-up and cosine decay."""

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    betas: tuple[float, float] = (0.9, 0.999)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Mean and standard deviation on the target's scale, of shape (networks,)."""

    mean: Floats
    std: Floats


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed PyTorch's random numbers within the context, and restore their state afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        yield


def fit_module(
    module: Regressor,
    collate: Collate[Encoded],
    train: Sequence[Encoded],
    train_figures: Floats,
    validation: Sequence[Encoded],
    validation_figures: Floats,
    settings: FitSettings,
    size: Callable[[Encoded], int],
) -> Estimate:
    """Fit a module in place, and return its estimates of the validation examples.

    The weights are those of the epoch with the lowest validation loss. Figures have shape
    (networks,) and are on the target's scale. `size` is a network's share of a batch's time.
    """
    order = random.Random(torch.initial_seed())
    wanted = torch.tensor(train_figures, dtype=torch.float32)
    validation_wanted = torch.tensor(validation_figures, dtype=torch.float32)
    optimizer = torch.optim.AdamW(
        module.parameters(),
        settings.learning_rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    module.begin(wanted)
    steps = settings.epochs * -(-len(train) // settings.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    sizes = [size(one) for one in train]
    best, best_loss = deepcopy(module.state_dict()), float("inf")
    for _ in range(settings.epochs):
        module.train()
        for batch in _batches(sizes, settings.batch, order):
            output = module(*collate([train[at] for at in batch]))
            loss = module.loss(output, wanted[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(module.parameters(), LARGEST_GRADIENT)
            optimizer.step()
            schedule.step()
        outputs = _outputs(module, collate, validation, size)
        validation_loss = float(module.loss(outputs, validation_wanted))
        if validation_loss < best_loss:
            best, best_loss = deepcopy(module.state_dict()), validation_loss
    module.load_state_dict(best)
    return estimates(module, collate, validation, size)


def estimates(
    module: Regressor,
    collate: Collate[Encoded],
    encoded: Sequence[Encoded],
    size: Callable[[Encoded], int],
) -> Estimate:
    """Return a module's estimates of networks, in order."""
    mean, std = module.estimate(_outputs(module, collate, encoded, size))
    return Estimate(mean.double().numpy(), std.double().numpy())


def shapes_of(make: Callable[[], Regressor]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a module, without allocating memory for it."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in make().state_dict().items()}


def restored(make: Callable[[], Regressor], arrays: Mapping[str, NDArray[np.generic]]) -> Regressor:
    """Make a module with weights from a file, whose names and shapes have been checked."""
    with seeded(0):
        module = make()
    state = module.state_dict()
    module.load_state_dict(
        {name: torch.tensor(arrays[name]).to(tensor.dtype) for name, tensor in state.items()}
    )
    return module.eval()


def _outputs(
    module: Regressor,
    collate: Collate[Encoded],
    encoded: Sequence[Encoded],
    size: Callable[[Encoded], int],
) -> Tensor:
    module.eval()
    order = sorted(range(len(encoded)), key=lambda at: size(encoded[at]))
    with torch.no_grad():
        outputs = torch.cat(
            [
                module(*collate([encoded[at] for at in order[start : start + BATCH]]))
                for start in range(0, len(order), BATCH)
            ]
        )
    back = torch.empty(len(order), dtype=torch.long)
    back[order] = torch.arange(len(order))
    return outputs[back]


def _batches(sizes: Sequence[int], batch: int, order: random.Random) -> Iterator[list[int]]:
    """Yield the positions of all examples in random batches of networks of similar size."""
    shuffled = order.sample(range(len(sizes)), len(sizes))
    several = SORTED_BATCHES * batch
    batches = []
    for start in range(0, len(shuffled), several):
        some = sorted(shuffled[start : start + several], key=sizes.__getitem__)
        batches += [some[at : at + batch] for at in range(0, len(some), batch)]
    if len(batches) > 1 and len(batches[-1]) == 1:  # batch normalisation needs two
        batches[-2] += batches.pop()
    order.shuffle(batches)
    yield from batches


def _rate(step: int, steps: int) -> float:
    """Return the fraction of the learning rate at a step, counted from 0."""
    warmup = max(1.0, WARMUP * steps)
    if step < warmup:
        return (step + 1) / warmup
    return (1 + cos(pi * (step - warmup) / max(1.0, steps - warmup))) / 2
