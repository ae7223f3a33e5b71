"""Locate the first operation at which two frameworks differ."""

from __future__ import annotations

from collections.abc import Callable

from cnngen.backend.model_access import Array
from cnngen.comparison.equality.answers import Figures
from cnngen.comparison.equality.tolerances import TOLERANCES, distance, largest_gradient, relative
from cnngen.network import Network, Node

Value = Callable[[Network], Array]
"""A function that computes the output of a network."""


def cut(network: Network, index: int) -> Network:
    """Return the subnetwork that computes the node at a position, with only what it needs."""
    needed = {index}
    for position in range(index, -1, -1):
        if position in needed:
            needed.update(network.nodes[position].inputs)
    kept = sorted(needed)
    new_position = {position: number for number, position in enumerate(kept)}
    nodes = [network.nodes[position] for position in kept]
    return Network.from_graph(
        (node.name, node.operation, [new_position[i] for i in node.inputs]) for node in nodes
    )


def first_difference(network: Network, one: Value, other: Value, precision: str) -> Node | None:
    """Find an operation whose outputs differ although its inputs agree; None if there is none.

    Bisects the network, comparing subnetworks that end at earlier nodes.
    """
    known: dict[int, bool] = {0: False}

    def differs(index: int) -> bool:
        if index not in known:
            part = cut(network, index)
            off = relative(one(part), other(part))
            known[index] = not off <= TOLERANCES[precision]["outputs"]
        return known[index]

    last = len(network) - 1
    if not differs(last):
        return None
    agrees = 0
    while last - agrees > 1:
        middle = (agrees + last) // 2
        if differs(middle):
            last = middle
        else:
            agrees = middle
    # In a graph with branches, the previous node need not be one of the node's inputs.
    while earlier := [i for i in network.nodes[last].inputs if differs(i)]:
        last = earlier[0]
    return network.nodes[last]


def first_gradient(network: Network, one: Figures, other: Figures, allowed: float) -> str | None:
    """Find the weight nearest to the loss whose gradient differs; errors propagate from there."""
    largest = largest_gradient(one, other)
    for node in reversed(network.nodes):
        for name, gradient in one.gradients.items():
            off = distance(gradient, other.gradients[name])
            if name.split(".")[0] == node.name and off > allowed * largest:
                return name
    return None
