"""Emitted files run for comparison with other backends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnngen.backend.model_access import Array, Batch, Runner, Weights
from cnngen.training.protocol import Protocol
from cnngen_torch.optimizers import OPTIMIZERS
from cnngen_torch.settings import own_settings
from cnngen_torch.train import as_run, load
from cnngen_torch.weights import gradients, set_weights, weights


class TorchRunner(Runner[nn.Module]):
    """The `Net` of an emitted file; on a CPU, where float32 is float32."""

    float64 = True

    @own_settings()
    def build(self, source: str) -> nn.Module:
        return load(source)

    def weights(self, model: nn.Module) -> Weights:
        return weights(model)

    def set_weights(self, model: nn.Module, weights: Weights) -> None:
        given = next((w for own in weights.values() for w in own.values()), None)
        if given is not None:
            model.to(torch.from_numpy(given).dtype)
        set_weights(model, weights)

    def own_model(self, model: nn.Module, *, trained: bool = False) -> nn.Module:
        return model.eval() if trained else model

    def save(self, model: nn.Module, path: Path) -> None:
        torch.save(model.state_dict(), path)

    @own_settings()
    def outputs(self, model: nn.Module, images: Array) -> Array:
        with torch.no_grad():
            y = as_run(model.eval())(_channels_first(images))
        outputs: Array = (y.permute(0, 2, 3, 1) if y.dim() == 4 else y).numpy()
        return outputs

    @own_settings()
    def gradients(self, model: nn.Module, batch: Batch) -> tuple[float, Weights]:
        model.train().zero_grad()
        loss = _loss(as_run(model), batch)
        torch.autograd.backward(loss)
        return loss.item(), gradients(model)

    @own_settings()
    def losses(self, model: nn.Module, batches: Sequence[Batch], protocol: Protocol) -> list[float]:
        model.train().zero_grad()
        run = as_run(model)
        optimizer = OPTIMIZERS[protocol.optimizer](model.parameters())
        losses = []
        for number, batch in enumerate(batches):
            loss = _loss(run, batch)
            torch.autograd.backward(loss)
            optimizer.step(protocol.learning_rate_at(number, len(batches)))
            losses.append(loss.item())
        return losses

    def parameters(self, model: nn.Module) -> int:
        return sum(parameter.numel() for parameter in model.parameters())


def _loss(model: nn.Module, batch: Batch) -> Tensor:
    return F.cross_entropy(model(_channels_first(batch.images)), torch.from_numpy(batch.labels))


def _channels_first(images: Array) -> Tensor:
    """(batch, channels, height, width), channels last in memory as in training."""
    return torch.from_numpy(images).permute(0, 3, 1, 2)
