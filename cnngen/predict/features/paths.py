"""How the graph branches: merges, and the paths through them."""

from __future__ import annotations

from math import log2

from cnngen.network import Network
from cnngen.predict.features.groups import group, in_group


def paths(network: Network) -> dict[str, float]:
    """Merges and paths from the image to the end.

    `longest` and `shortest` count the convolutions and dense layers of a path, `routes` is
    log2 of how many paths there are (Veit, Wilber and Belongie, "Residual Networks Behave Like
    Ensembles of Relatively Shallow Networks", NeurIPS 2016). `unnormed` is the longest run of
    them with no batch norm between. `least_dropped` is log2 of the share of values that the
    dropouts of the most favourable path keep.
    """
    longest: list[int] = []
    shortest: list[int] = []
    routes: list[float] = []
    run: list[int] = []
    kept: list[float] = []
    worst = 0
    kept_share = {
        node.at: log2(1 - min(node.operation.rate, 0.999)) for node in in_group(network, "dropout")
    }
    for at, node in enumerate(network.nodes):
        operation = node.operation
        inputs = node.inputs
        weighted = operation.learns_kernel
        longest.append(max((longest[i] for i in inputs), default=0) + weighted)
        shortest.append(min((shortest[i] for i in inputs), default=0) + weighted)
        routes.append(_log_sum([routes[i] for i in inputs]) if inputs else 0.0)
        before = max((run[i] for i in inputs), default=0)
        run.append(0 if group(operation) == "norm" else before + weighted)
        worst = max(worst, run[-1])
        keeps = kept_share.get(at, 0.0)
        kept.append(max((kept[i] for i in inputs), default=0.0) + keeps)
    parents = [branch.parent for branch in network.branches]
    depth = [0] * len(parents)
    for at in range(1, len(parents)):
        depth[at] = depth[parents[at]] + 1
    used = {node.branch for node in network.nodes}
    empty = sum(
        branch.side != "main" and at not in used for at, branch in enumerate(network.branches)
    )
    merges = sum(bool(node.operation.joined) for node in network.nodes)
    return {
        "merges": float(merges),
        "nesting": float(max(depth)),
        "empty_sides": float(empty),
        "longest": float(longest[-1]),
        "shortest": float(shortest[-1]),
        "routes": routes[-1],
        "unnormed": float(worst),
        "least_dropped": kept[-1],
        "in_branches": sum(node.branch > 0 for node in network.nodes) / len(network.nodes),
    }


def _log_sum(logs: list[float]) -> float:
    """log2 of a sum, from the log2 of its parts."""
    most = max(logs)
    return most + log2(sum(2.0 ** (log - most) for log in logs))
