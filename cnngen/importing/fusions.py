"""Operations of CNNGen that other programs write as several: each rule finds one of them.

A rule gets a node and the nodes that made its inputs, and returns the one node that stands for
them all, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isclose, sqrt

from cnngen.importing import foreign
from cnngen.importing.foreign import ENDLESS, ForeignGraph, ForeignNode

Makers = Mapping[str, ForeignNode]
"""The node that made each value."""


def fused(graph: ForeignGraph) -> ForeignGraph:
    """The graph with every rule applied where it fits, and without what is then unused."""
    graph = graph.pruned()
    makers: dict[str, ForeignNode] = {}
    for node in graph.nodes:
        for rule in FUSIONS:
            node = rule(node, makers) or node
        makers[node.output] = node
    return ForeignGraph(
        graph.input, graph.input_shape, graph.output, [*makers.values()], graph.channels_last
    ).pruned()


def _as(node: ForeignNode, does: foreign.Primitive, *inputs: str) -> ForeignNode:
    return ForeignNode(does, inputs, node.output, node.name, node.operator)


def _function_of(value: str, makers: Makers) -> tuple[str, str] | None:
    """The activation that gave a value, and of what."""
    maker = makers.get(value)
    if maker is None or not isinstance(maker.does, foreign.Activated):
        return None
    return maker.does.function, maker.inputs[0]


GATES = {"sigmoid": "silu", "hardsigmoid": "hardswish"}


def _gated(node: ForeignNode, makers: Makers) -> ForeignNode | None:
    """`x * sigmoid(x)`, `x * hardsigmoid(x)`, `x * tanh(softplus(x))`."""
    if not isinstance(node.does, foreign.Product) or len(node.inputs) != 2:
        return None
    for x, gate in (node.inputs, node.inputs[::-1]):
        match _function_of(gate, makers):
            case (("sigmoid" | "hardsigmoid") as function, of) if of == x:
                return _as(node, foreign.Activated(GATES[function]), x)
            case ("tanh", of) if _function_of(of, makers) == ("softplus", x):
                return _as(node, foreign.Activated("mish"), x)
    return None


def _scaled(value: str, makers: Makers) -> tuple[float, str] | None:
    """A value as a number times another value."""
    maker = makers.get(value)
    if maker is None or not isinstance(maker.does, foreign.Scaled) or maker.does.by.size != 1:
        return None
    return float(maker.does.by.ravel()[0]), maker.inputs[0]


def _gelu(node: ForeignNode, makers: Makers) -> ForeignNode | None:
    """`x * (1 + erf(x / √2)) / 2`, whichever factor has the half."""
    number, factors = _factors(node, makers)
    if len(factors) != 2 or not isclose(number, 0.5, rel_tol=1e-6):
        return None
    for x, gate in (factors, factors[::-1]):
        raised = makers.get(gate)
        if raised is None or not isinstance(raised.does, foreign.Shifted):
            continue
        if raised.does.by.size != 1 or raised.does.by.ravel()[0] != 1:
            continue
        match _function_of(raised.inputs[0], makers):
            case ("erf", of) if (narrowed := _scaled(of, makers)) is not None:
                if narrowed[1] == x and isclose(narrowed[0], 1 / sqrt(2), rel_tol=1e-6):
                    return _as(node, foreign.Activated("gelu"), x)
    return None


def _factors(node: ForeignNode, makers: Makers) -> tuple[float, list[str]]:
    """A product as a number times values, three at most."""
    number, factors, pending = 1.0, list[str](), [node.output]
    while pending and len(factors) < 3:
        value = pending.pop()
        maker = node if value == node.output else makers.get(value)
        if maker is not None and isinstance(maker.does, foreign.Product):
            pending += maker.inputs
        elif maker is not None and isinstance(maker.does, foreign.Scaled):
            if maker.does.by.size != 1:
                return number, []
            number *= float(maker.does.by.ravel()[0])
            pending.append(maker.inputs[0])
        else:
            factors.append(value)
    return number, factors


def _biased(node: ForeignNode, makers: Makers) -> ForeignNode | None:
    """A matrix product or a convolution, then the sum with a constant of its outputs."""
    if not isinstance(node.does, foreign.Shifted):
        return None
    maker = makers.get(node.inputs[0])
    by = node.does.by
    if maker is None or not isinstance(maker.does, foreign.Multiplied | foreign.Convolved):
        return None
    outputs = maker.does.kernel.shape[-1]
    if maker.does.bias is not None or by.size != outputs:
        return None
    match maker.does:
        case foreign.Multiplied(kernel) if by.shape[-1:] == (outputs,):
            return _as(node, foreign.Multiplied(kernel, by.ravel()), *maker.inputs)
        case foreign.Convolved() as conv if by.shape[-3:] == (outputs, 1, 1):
            return _as(node, replace(conv, bias=by.ravel()), *maker.inputs)
    return None


def _trimmed(node: ForeignNode, makers: Makers) -> ForeignNode | None:
    """A pooling with stride 1 whose first row or column is left out: one that pads less before.

    PyTorch, which pads both sides alike, so pads an even window as `same`.
    """
    if not isinstance(node.does, foreign.Sliced) or node.does.axis % 4 not in (2, 3):
        return None
    cut, maker = node.does, makers.get(node.inputs[0])
    if maker is None or not isinstance(maker.does, foreign.Pooled) or cut.stop < ENDLESS:
        return None
    pool, across = maker.does, cut.axis % 4 - 2
    if isinstance(pool.pads, str) or cut.step != 1 or pool.stride[across] != 1:
        return None
    pads = list(pool.pads)
    pads[across] -= cut.start
    if cut.start < 1 or pads[across] < 0:
        return None
    above, left, below, right = pads
    return _as(node, replace(pool, pads=(above, left, below, right)), *maker.inputs)


FUSIONS: tuple[Callable[[ForeignNode, Makers], ForeignNode | None], ...] = (
    _gated,
    _gelu,
    _biased,
    _trimmed,
)
