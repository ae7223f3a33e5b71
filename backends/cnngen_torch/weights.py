"""The weights of an emitted `Net`, by CNNGen's names and axes (see `cnngen.backend.model_access.Weights`)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from cnngen.backend.model_access import Array, Weights, paired
from cnngen.errors import BackendError

NAMES: dict[type[nn.Module], dict[str, str]] = {
    nn.Conv2d: {"weight": "kernel", "bias": "bias"},
    nn.Linear: {"weight": "kernel", "bias": "bias"},
    nn.BatchNorm2d: {
        "weight": "scale",
        "bias": "shift",
        "running_mean": "mean",
        "running_var": "variance",
    },
}
"""CNNGen's names of the weights that each kind of module has. Of a module of several of them, the
second has names such as `kernel2`."""


def weights(model: nn.Module) -> Weights:
    """Copies of all weights, running statistics too."""
    found: dict[str, dict[str, Array]] = {}
    for operation, name, tensor in _weights(model):
        found.setdefault(operation, {})[name] = _turned(tensor.detach()).cpu().numpy().copy()
    return found


def gradients(model: nn.Module) -> Weights:
    """Copies of the gradients, of the weights that have one."""
    found: dict[str, dict[str, Array]] = {}
    for operation, name, tensor in _weights(model):
        if tensor.grad is not None:
            found.setdefault(operation, {})[name] = _turned(tensor.grad).cpu().numpy().copy()
    return found


def set_weights(model: nn.Module, weights: Weights) -> None:
    """Copy weights into the model, in its own precision.

    Raises `BackendError` for weights that the model lacks, or that are not given.
    """
    with torch.no_grad():
        for array, tensor in paired(weights, _weights(model)):
            tensor.copy_(_turned_back(torch.from_numpy(array)))


def _weights(model: nn.Module) -> Iterator[tuple[str, str, Tensor]]:
    """Each weight with its operation's name and its own.

    Raises `BackendError` for a kind of module whose weights have no names here.
    """
    for operation, module in model.named_children():
        known = [part for part in module.modules() if type(part) in NAMES]
        if {*module.parameters()} - {one for part in known for one in part.parameters()}:
            raise BackendError(
                f"the torch backend has no names for the weights of nn.{type(module).__name__}"
            )
        for number, part in enumerate(known, 1):
            for attribute, name in NAMES[type(part)].items():
                tensor = getattr(part, attribute)
                if tensor is not None:
                    yield operation, name if number == 1 else f"{name}{number}", tensor


def _turned(weight: Tensor) -> Tensor:
    """PyTorch's axes of a weight as CNNGen's: pixels first, inputs before outputs."""
    if weight.dim() == 4:
        return weight.permute(2, 3, 1, 0)
    return weight.T if weight.dim() == 2 else weight


def _turned_back(weight: Tensor) -> Tensor:
    """CNNGen's axes as PyTorch's."""
    if weight.dim() == 4:
        return weight.permute(3, 2, 0, 1)
    return weight.T if weight.dim() == 2 else weight
