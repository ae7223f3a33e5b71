"""Adam and SGD in one call for all weights, without the bookkeeping of `torch.optim`.

That bookkeeping is a seventh of a step of a LeNet on 8x8 images. The kernels are those of
`torch.optim.Adam(fused=True)` and `torch.optim.SGD(fused=True)`, so the results are theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from cnngen.training.protocol import WEIGHT_DECAY


class Optimizer:
    """Changes weights by their gradients, which it then drops.

    Where gradients are scaled, `torch.amp.GradScaler` sets `grad_scale`, by which the kernels
    divide them, and `found_inf`, which is 1 where they ran over: then nothing changes. Both are
    gone after the step.
    """

    _step_supports_amp_scaling = True

    def __init__(self, weights: Iterable[nn.Parameter]) -> None:
        self.weights: list[Tensor] = list(weights)
        self.param_groups = [{"params": self.weights}]
        self.skipped = torch.zeros((), device=self.weights[0].device)
        """How many steps changed nothing because scaled gradients ran over."""

    def step(self, rate: float | Tensor) -> None:
        """One update. A rate in a CUDA graph must be a tensor: numbers stay as captured."""
        raise NotImplementedError

    def moments(self) -> list[Tensor]:
        """All that steps change beside the weights, to be kept and filled in again."""
        raise NotImplementedError

    def _scaling(self) -> dict[str, Tensor | None]:
        """The arguments of kernels for scaled gradients; counts a step that will be left out."""
        found_inf: Tensor | None = getattr(self, "found_inf", None)
        if found_inf is not None:
            self.skipped += found_inf
        return {"grad_scale": getattr(self, "grad_scale", None), "found_inf": found_inf}


class Adam(Optimizer):
    """Adam with Keras's epsilon, so that both backends follow one protocol."""

    def __init__(self, weights: Iterable[nn.Parameter]) -> None:
        super().__init__(weights)
        self.means = [torch.zeros_like(weight) for weight in self.weights]
        self.squares = [torch.zeros_like(weight) for weight in self.weights]
        # One count for all: torch.optim adds 1 to a tensor of each weight.
        self.steps = torch.zeros((), device=self.weights[0].device)
        self.counts = [self.steps] * len(self.weights)

    def moments(self) -> list[Tensor]:
        return [*self.means, *self.squares, self.steps, self.skipped]

    @torch.no_grad()
    def step(self, rate: float | Tensor) -> None:
        """One update; the gradients are None afterwards."""
        scaling = self._scaling()
        self.steps += 1
        if (found_inf := scaling["found_inf"]) is not None:
            self.steps -= found_inf
        torch._fused_adam_(
            self.weights,
            _taken(self.weights),
            self.means,
            self.squares,
            [],
            self.counts,
            lr=rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=0.0,
            eps=1e-7,
            amsgrad=False,
            maximize=False,
            **scaling,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay, of all weights."""

    @torch.no_grad()
    def step(self, rate: float | Tensor) -> None:
        found_inf: Tensor | None = getattr(self, "found_inf", None)
        share = 1 - WEIGHT_DECAY * rate
        if found_inf is not None:  # a step that is left out changes nothing
            share = torch.where(found_inf > 0, 1.0, share)
        torch._foreach_mul_(self.weights, share)
        super().step(rate)


class SGD(Optimizer):
    """Stochastic gradient descent with a momentum of 0.9."""

    def __init__(self, weights: Iterable[nn.Parameter]) -> None:
        super().__init__(weights)
        self.momenta = [torch.zeros_like(weight) for weight in self.weights]

    def moments(self) -> list[Tensor]:
        return [*self.momenta, self.skipped]

    @torch.no_grad()
    def step(self, rate: float | Tensor) -> None:
        """One update; the gradients are None afterwards."""
        torch._fused_sgd_(
            self.weights,
            _taken(self.weights),
            self.momenta,
            weight_decay=0.0,
            momentum=0.9,
            lr=rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
            **self._scaling(),
        )


OPTIMIZERS: dict[str, Callable[[Iterable[nn.Parameter]], Optimizer]] = {
    "adam": Adam,
    "adamw": AdamW,
    "sgd": SGD,
}


def _taken(weights: Sequence[Tensor]) -> list[Tensor]:
    """The gradients, taken from their weights, so that the next ones need not be copied."""
    gradients = []
    for weight in weights:
        assert weight.grad is not None
        gradients.append(weight.grad)
        weight.grad = None
    return gradients
