"""Counts the weights, operations and activations of a network from its graph."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnngen.network.network import Network


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one network, per example where it depends on the data.

    `parameters` is the number of trained weights, `buffers` that of untrained ones (running
    statistics). `multiply_adds` counts those of convolutions and dense layers; `flops` is twice
    that, as in PyTorch's `FlopCounterMode`. `activations` is the number of values in the
    outputs of all operations.
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
    """Count the weights, multiply-adds and activations of a network."""
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
    """Format a count with three significant digits: 950, 12.3 k, 4.56 M."""
    if count < 1000:
        return str(count)
    for power, unit in enumerate("kMGTPE", 1):
        value = count / 1000**power
        if value < 999.5:
            return f"{value:.3g} {unit}"
    return f"{count:.2e}"
