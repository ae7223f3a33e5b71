"""What a network costs, counted from its graph and not measured."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnngen.network.network import Network


@dataclass(frozen=True, slots=True)
class Cost:
    """Counts for one network; per example where they depend on the data.

    `parameters` are trained, `buffers` stored with them (running statistics).
    `multiply_adds` are those of convolutions and dense layers; `flops` counts two
    operations for each, as PyTorch's `FlopCounterMode` does. `activations` are the
    numbers all operations put out.
    """

    layers: int
    parameters: int
    buffers: int
    multiply_adds: int
    activations: int

    @property
    def flops(self) -> int:
        return 2 * self.multiply_adds


def cost(network: Network) -> Cost:
    """Count weights, multiply-adds and activations of a network."""
    parameters = buffers = multiply_adds = activations = 0
    for node in network.nodes:
        inputs = network.input_shapes(node)
        for weight in node.operation.weights(*inputs):
            if weight.trained:
                parameters += prod(weight.shape)
            else:
                buffers += prod(weight.shape)
        multiply_adds += node.operation.multiply_adds(*inputs)
        activations += prod(node.shape)
    return Cost(len(network.nodes), parameters, buffers, multiply_adds, activations)


def short(count: int) -> str:
    """A count to three digits: 950, 12.3 k, 4.56 M."""
    if count < 1000:
        return str(count)
    for power, unit in enumerate("kMGTPE", 1):
        value = count / 1000**power
        if value < 999.5:
            return f"{value:.3g} {unit}"
    return f"{count:.2e}"
