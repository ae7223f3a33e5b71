"""How the layers are set: kernels, filters, activations, normalisation, dropout, the head."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2, log10, prod

from cnngen.network import Network
from cnngen.operations import Activate, BatchNorm, Conv2d, Dense, Dropout, Flatten, GlobalPool, Pool

ACTIVATIONS = ("relu", "selu", "tanh", "gelu", "sigmoid", "linear")


def layers(network: Network) -> dict[str, float]:
    """Statistics of hyper-parameters; shares are of the operations of that kind.

    `wide_kernels` is the share of kernels larger than the map they slide over. `keep` is the
    log2 of the share of values that all dropouts of the main column together keep, `head_keep`
    that of the head alone.
    """
    nodes = network.nodes
    convolutions = [
        (node.operation, network.input_shapes(node)[0])
        for node in nodes
        if isinstance(node.operation, Conv2d)
    ]
    kernels = [prod(operation.kernel) for operation, _ in convolutions]
    filters = [operation.filters for operation, _ in convolutions]
    kinds = (Conv2d, Dense, Activate)
    acting = [one.operation for one in nodes if isinstance(one.operation, kinds)]
    hidden = acting[:-1] if network.classes else acting
    before, after = _norms(network)
    norms = [node.operation.epsilon for node in nodes if isinstance(node.operation, BatchNorm)]
    epsilons = [log10(max(1e-12, epsilon)) for epsilon in norms]
    head = next(
        (at for at, n in enumerate(nodes) if isinstance(n.operation, (Flatten, GlobalPool))),
        len(nodes),
    )
    dropouts = [(at, n) for at, n in enumerate(nodes) if isinstance(n.operation, Dropout)]
    rates = [(at, n.branch, _rate(n.operation)) for at, n in dropouts]
    units = [n.operation.units for n in nodes[head:] if isinstance(n.operation, Dense)]
    pools = [n.operation for n in nodes if isinstance(n.operation, Pool)]
    interstice = nodes[head].operation if head < len(nodes) else None
    return {
        "mean_kernel": _mean(kernels),
        "largest_kernel": float(max(kernels, default=0)),
        "point_kernels": _mean([kernel == 1 for kernel in kernels]),
        "wide_kernels": _mean([prod(o.kernel) > prod(s[:2]) for o, s in convolutions]),
        "valid_kernels": _mean([o.padding == "valid" for o, _ in convolutions]),
        "first_kernel": float(kernels[0]) if kernels else 0.0,
        "first_stride": float(prod(convolutions[0][0].stride)) if convolutions else 0.0,
        "first_filters": float(filters[0]) if filters else 0.0,
        "mean_filters": _mean(filters),
        "most_filters": float(max(filters, default=0)),
        "biases": _mean([operation.bias for operation, _ in convolutions]),
        **{a: _mean([one.activation == a for one in hidden]) for a in ACTIVATIONS},
        "norm_share": len(norms) / max(1, len(convolutions)),
        "norms_before": _mean(before),
        "norms_after": _mean(after),
        "smallest_epsilon": min(epsilons, default=-12.0),
        "mean_epsilon": _mean(epsilons) if epsilons else -12.0,
        "keep": sum(log2(1 - rate) for _, branch, rate in rates if branch == 0),
        "head_keep": sum(log2(1 - rate) for at, _, rate in rates if at > head),
        "highest_rate": max((rate for *_, rate in rates), default=0.0),
        "all_keep": sum(log2(1 - rate) for *_, rate in rates),
        "max_poolings": _mean([pool.pooling == "max" for pool in pools]),
        "mean_pool": _mean([prod(pool.size) for pool in pools]),
        "idle_pools": _mean([pool.size == pool.stride == (1, 1) for pool in pools]),
        "flattens": float(isinstance(interstice, Flatten)),
        "averages": float(isinstance(interstice, GlobalPool) and interstice.pooling == "avg"),
        "first_units": log2(1 + units[0]) if units else 0.0,
        "fewest_units": log2(1 + min(units)) if units else 0.0,
    }


def _rate(operation: object) -> float:
    assert isinstance(operation, Dropout)
    return min(operation.rate, 0.999)


def _norms(network: Network) -> tuple[list[bool], list[bool]]:
    """For each convolution, whether a batch norm stands right before it, and right after."""
    normal = [isinstance(node.operation, BatchNorm) for node in network.nodes]
    followed = {
        i
        for node, is_norm in zip(network.nodes, normal, strict=True)
        if is_norm
        for i in node.inputs
    }
    at = [at for at, node in enumerate(network.nodes) if isinstance(node.operation, Conv2d)]
    return [normal[network.nodes[i].inputs[0]] for i in at], [i in followed for i in at]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
