"""How the layers are set: kernels, filters, activations, normalisation, dropout, the head."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2, log10, prod

from cnngen.network import Network
from cnngen.network.adjacency import label
from cnngen.predict.features.groups import group, in_group

ACTIVATIONS = ("relu", "selu", "tanh", "gelu", "sigmoid", "linear")


def layers(network: Network) -> dict[str, float]:
    """Statistics of hyper-parameters; shares are of the operations of that kind.

    `wide_kernels` is the share of kernels larger than the map they slide over. `keep` is the
    log2 of the share of values that all dropouts of the main column together keep, `head_keep`
    that of the head alone.
    """
    nodes = network.nodes
    convolutions = in_group(network, "convolution")
    windows = [node.operation.window() for node in convolutions]
    kernels = [height * width for height, width, *_ in windows]
    filters = [node.shape[2] for node in convolutions]
    read = [network.nodes[node.inputs[0]].shape for node in convolutions]
    acting = [a for node in nodes if (a := node.operation.nonlinearity) is not None]
    hidden = acting[:-1] if network.classes else acting
    before, after = _norms(network)
    norms = [node.operation.epsilon for node in in_group(network, "norm")]
    epsilons = [log10(max(1e-12, epsilon)) for epsilon in norms]
    interstice = next(iter(in_group(network, "flatten", "global_pooling")), None)
    head = interstice.at if interstice else len(nodes)
    ending = label(interstice.operation) if interstice else ""
    rates = [
        (node.at, node.branch, min(node.operation.rate, 0.999))
        for node in in_group(network, "dropout")
    ]
    units = [node.shape[0] for node in in_group(network, "dense") if node.at >= head]
    pools = [node.operation for node in in_group(network, "pooling")]
    return {
        "mean_kernel": _mean(kernels),
        "largest_kernel": float(max(kernels, default=0)),
        "point_kernels": _mean([kernel == 1 for kernel in kernels]),
        "wide_kernels": _mean(
            [k > prod(shape[:2]) for k, shape in zip(kernels, read, strict=True)]
        ),
        "valid_kernels": _mean([padding == "valid" for *_, padding in windows]),
        "first_kernel": float(kernels[0]) if kernels else 0.0,
        "first_stride": float(prod(windows[0][2:4])) if windows else 0.0,
        "first_filters": float(filters[0]) if filters else 0.0,
        "mean_filters": _mean(filters),
        "most_filters": float(max(filters, default=0)),
        "biases": _mean([node.operation.bias for node in convolutions]),
        **{a: _mean([one == a for one in hidden]) for a in ACTIVATIONS},
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
        "mean_pool": _mean([prod(pool.window()[:2]) for pool in pools]),
        "idle_pools": _mean([pool.window()[:4] == (1, 1, 1, 1) for pool in pools]),
        "flattens": float(ending == "flatten"),
        "averages": float(ending == "global_avg_pooling"),
        "first_units": log2(1 + units[0]) if units else 0.0,
        "fewest_units": log2(1 + min(units)) if units else 0.0,
    }


def _norms(network: Network) -> tuple[list[bool], list[bool]]:
    """For each convolution, whether a batch norm stands right before it, and right after."""
    normal = [group(node.operation) == "norm" for node in network.nodes]
    followed = {
        i
        for node, is_norm in zip(network.nodes, normal, strict=True)
        if is_norm
        for i in node.inputs
    }
    convolutions = in_group(network, "convolution")
    before = [normal[node.inputs[0]] for node in convolutions]
    return before, [node.at in followed for node in convolutions]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
