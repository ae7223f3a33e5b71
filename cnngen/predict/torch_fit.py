"""How a module is fitted to figures: one loop for all predictors that are PyTorch modules."""

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
"""Share of the steps in which the learning rate rises."""

BATCH = 64
"""Networks that are predicted at a time."""

SORTED_BATCHES = 8
"""So many batches of random networks are sorted by size among themselves: little of a batch
is padding then, and the order stays random."""

LARGEST_GRADIENT = 1.0


class Regressor(nn.Module):
    """A module whose output, of shape (networks, 2), is a mean and the logarithm of a variance.

    One of another form replaces `loss` and `estimate`.
    """

    def begin(self, wanted: Tensor) -> None:
        """Told once, before the first step, all figures that will be learnt from."""

    def loss(self, output: Tensor, wanted: Tensor) -> Tensor:
        """What is minimised: the negative log-likelihood of a normal distribution, up to a
        constant. `wanted` has shape (networks,)."""
        mean, log_variance = output[:, 0], output[:, 1].clamp(-8, 8)
        return ((wanted - mean).square() * torch.exp(-log_variance) + log_variance).mean() / 2

    def estimate(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation for each network."""
        return output[:, 0], torch.exp(output[:, 1].clamp(-8, 8) / 2)


class PointRegressor(Regressor):
    """A module that gives a mean alone, of shape (networks, 1); all are as uncertain."""

    def loss(self, output: Tensor, wanted: Tensor) -> Tensor:
        return functional.mse_loss(output[:, 0], wanted)

    def estimate(self, output: Tensor) -> tuple[Tensor, Tensor]:
        return output[:, 0], torch.ones_like(output[:, 0])


@dataclass(frozen=True, slots=True)
class Descent:
    """AdamW with a warm-up and half a cosine."""

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    betas: tuple[float, float] = (0.9, 0.999)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Mean and standard deviation without a unit, of shape (networks,)."""

    mean: Floats
    std: Floats


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """PyTorch's random numbers begin anew, and go on as before at the end."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        yield


def fit_module(
    module: Regressor,
    collate: Collate[Encoded],
    learnt: Sequence[Encoded],
    learnt_figures: Floats,
    watched: Sequence[Encoded],
    watched_figures: Floats,
    descent: Descent,
    size: Callable[[Encoded], int],
) -> Estimate:
    """Fit a module in place; gives its estimates of the examples that were watched.

    The module ends as it was after the epoch whose loss of those was lowest.
    """
    order = random.Random(torch.initial_seed())
    wanted = torch.tensor(learnt_figures, dtype=torch.float32)
    watched_wanted = torch.tensor(watched_figures, dtype=torch.float32)
    optimizer = torch.optim.AdamW(
        module.parameters(),
        descent.learning_rate,
        betas=descent.betas,
        weight_decay=descent.weight_decay,
        fused=True,
    )
    module.begin(wanted)
    steps = descent.epochs * -(-len(learnt) // descent.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    sizes = [size(one) for one in learnt]
    best, best_loss = deepcopy(module.state_dict()), float("inf")
    for _ in range(descent.epochs):
        module.train()
        for batch in _batches(sizes, descent.batch, order):
            output = module(*collate([learnt[at] for at in batch]))
            loss = module.loss(output, wanted[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(module.parameters(), LARGEST_GRADIENT)
            optimizer.step()
            schedule.step()
        watched_loss = float(module.loss(_outputs(module, collate, watched, size), watched_wanted))
        if watched_loss < best_loss:
            best, best_loss = deepcopy(module.state_dict()), watched_loss
    module.load_state_dict(best)
    return estimates(module, collate, watched, size)


def estimates(
    module: Regressor,
    collate: Collate[Encoded],
    encoded: Sequence[Encoded],
    size: Callable[[Encoded], int],
) -> Estimate:
    """What a module says of networks, in their order."""
    mean, std = module.estimate(_outputs(module, collate, encoded, size))
    return Estimate(mean.double().numpy(), std.double().numpy())


def shapes_of(make: Callable[[], Regressor]) -> dict[str, tuple[int, ...]]:
    """Shape of each tensor of a module that is never made, so that it takes no memory."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in make().state_dict().items()}


def restored(make: Callable[[], Regressor], arrays: Mapping[str, NDArray[np.generic]]) -> Regressor:
    """A module with the weights of a file, whose names and shapes have been checked."""
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
    """Positions of all examples in random batches of networks of like size."""
    shuffled = order.sample(range(len(sizes)), len(sizes))
    several = SORTED_BATCHES * batch
    batches = []
    for start in range(0, len(shuffled), several):
        some = sorted(shuffled[start : start + several], key=sizes.__getitem__)
        batches += [some[at : at + batch] for at in range(0, len(some), batch)]
    if len(batches) > 1 and len(batches[-1]) == 1:  # batch normalisation cannot learn from one
        batches[-2] += batches.pop()
    order.shuffle(batches)
    yield from batches


def _rate(step: int, steps: int) -> float:
    """Share of the learning rate at a step, counted from 0."""
    warmup = max(1.0, WARMUP * steps)
    if step < warmup:
        return (step + 1) / warmup
    return (1 + cos(pi * (step - warmup) / max(1.0, steps - warmup))) / 2
