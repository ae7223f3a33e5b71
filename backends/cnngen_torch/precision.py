"""The precision that convolutions and products compute in, and the scaling of float16's loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import cast

import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler

from cnngen_torch.optimizers import Optimizer

HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def capability(device: torch.device) -> tuple[int, int] | None:
    """The compute capability of a GPU; None for a CPU."""
    return torch.cuda.get_device_capability(device) if device.type == "cuda" else None


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context in which a model computes in a precision; it can be entered again."""
    half = HALVES.get(precision)
    # The cache of cast weights saves nothing: each is cast once in a step.
    return torch.autocast(device.type, half, cache_enabled=False) if half else nullcontext()


@contextmanager
def tf32(on: bool) -> Iterator[None]:
    """Whether GPUs multiply float32 in TF32, whatever the process has set: cuDNN does by default."""
    matmul, cudnn = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if on else "highest")
    torch.backends.cudnn.allow_tf32 = on
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = cudnn


class Descent:
    """From a loss to new weights, with the loss scaled where gradients are float16.

    Small gradients would be 0 in float16. So the loss is multiplied by a factor that grows until
    gradients run over; steps in which they do are left out and counted.
    """

    def __init__(self, optimizer: Optimizer, precision: str, device: torch.device) -> None:
        self.optimizer = optimizer
        self.scaler = GradScaler(device.type) if precision == "float16" else None

    def step(self, loss: Tensor, rate: float | Tensor) -> None:
        """Differentiate the loss and change the weights; may be captured in a CUDA graph."""
        if self.scaler is None:
            torch.autograd.backward(loss)
            self.optimizer.step(rate)
            return
        torch.autograd.backward(self.scaler.scale(loss))
        self.scaler.step(cast(torch.optim.Optimizer, self.optimizer), rate)
        self.scaler.update()

    @property
    def scaling(self) -> dict[str, float | int]:
        """The state of the scaler; empty without scaling."""
        return self.scaler.state_dict() if self.scaler is not None else {}

    def reset(self, scaling: dict[str, float | int]) -> None:
        """Drop the gradients of a step that was broken off, and go back to a state of the scaler."""
        for weight in self.optimizer.weights:
            weight.grad = None
        if self.scaler is not None:
            self.scaler._per_optimizer_states.clear()
            self.scaler.load_state_dict(scaling)

    @property
    def skipped_steps(self) -> int | None:
        """How many steps were left out; None without scaling. Waits for the device."""
        return None if self.scaler is None else int(self.optimizer.skipped.item())
