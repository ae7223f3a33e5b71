"""Figures of an untrained network, from its emitted source: see `cnngen.backend.untrained`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cnngen.backend.untrained import Signals
from cnngen.network import Network
from cnngen_torch.batches import pixels
from cnngen_torch.settings import own_settings
from cnngen_torch.source import emit
from cnngen_torch.train import load


@own_settings()
def signals(
    network: Network, images: NDArray[np.uint8], labels: NDArray[np.int64], seed: int
) -> Signals:
    """The figures of a network for images (N, H, W, C), with first weights from the seed."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = load(emit(network), network.id)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    shown = pixels(torch.from_numpy(images)).requires_grad_()
    layers = _layers(model, network)
    with _outputs(layers) as (read, put_out):
        logits = model(shown)
    weights = list(layers.values())
    (jacobian,) = torch.autograd.grad(logits.sum(), shown, retain_graph=True)
    loss = F.cross_entropy(logits, torch.from_numpy(labels))
    # In eval mode a silent part of the graph has no gradient.
    grads = torch.autograd.grad(loss, [*put_out, *weights], allow_unused=True)
    by_output = [_or_zero(g, x) for g, x in zip(grads, [*put_out, *weights], strict=True)]
    back, slopes = by_output[: len(put_out)], by_output[len(put_out) :]
    count = len(images)
    agreement = torch.zeros(count, count, dtype=torch.float64)
    for x in put_out[:-1]:
        code = (x.detach().reshape(count, -1) > 0).double()
        agreement += code @ code.T + (1 - code) @ (1 - code).T
    return Signals(
        moments=_each(x.square().mean() for x in put_out),
        # Half the mean squared distance of two images is the variance over images.
        distances=_each(x.var(0).mean() for x in put_out),
        gradients=_each(g.square().mean() * count**2 for g in back),
        silent=_each((x <= 0).all(0).double().mean() for x in put_out),
        slopes=_each(g.norm() for g in slopes),
        agreement=agreement.numpy(),
        jacobian=jacobian.reshape(count, -1).double().numpy(),
        features=read[-1].detach().reshape(count, -1).double().numpy(),
        flows=flows(network, seed),
    )


@own_settings()
def flows(network: Network, seed: int) -> NDArray[np.float64]:
    """Synaptic flow through each layer, as natural logarithms: see `Signals.flows`."""
    linear = {"activation": "linear"}
    nodes = tuple(
        replace(node, operation=replace(node.operation, **linear))
        if node.operation.learns_kernel and node.operation.nonlinearity
        else node
        for node in network.nodes
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        model = load(emit(replace(network, nodes=nodes)), network.id).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0
    weights = list(_layers(model, network).values())
    for weight in weights:
        weight.data.abs_()
    model.eval()
    height, width, channels = network.input_shape
    total = model(torch.ones(1, channels, height, width, dtype=torch.float64)).sum()
    grads = torch.autograd.grad(total, weights)
    flow = _each((w * g).sum() for w, g in zip(weights, grads, strict=True))
    flow = np.clip(np.nan_to_num(flow, nan=1e300), 1e-300, 1e300)
    return np.asarray(np.log(flow), np.float64)


def _layers(model: nn.Module, network: Network) -> dict[nn.Module, Tensor]:
    """The modules with a kernel, and the kernel of each, in the order of the network."""
    kernels: dict[nn.Module, Tensor] = {}
    for node in network.nodes:
        if node.operation.learns_kernel:
            for module in model.get_submodule(node.name).modules():
                if isinstance(module, (nn.Conv2d, nn.Linear)):
                    kernels[module] = module.weight
    return kernels


@contextmanager
def _outputs(layers: Iterable[nn.Module]) -> Iterator[tuple[list[Tensor], list[Tensor]]]:
    """The inputs and outputs of each layer, in the order in which the layers run."""
    read: list[Tensor] = []
    put_out: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        read.append(inputs[0])
        put_out.append(output)

    hooks = [layer.register_forward_hook(keep) for layer in layers]
    try:
        yield read, put_out
    finally:
        for hook in hooks:
            hook.remove()


def _each(figures: Iterator[Tensor]) -> NDArray[np.float64]:
    return np.array([float(figure.detach()) for figure in figures], np.float64)


def _or_zero(gradient: Tensor | None, of: Tensor) -> Tensor:
    return torch.zeros_like(of) if gradient is None else gradient
