import os
import stat
from collections import Counter
from pathlib import Path

import pytest

from cnngen.errors import CnnGenError
from cnngen.language import parse
from cnngen.network import Network
from cnngen.network.adjacency import label
from cnngen.network.picture import trace, trace_picture
from cnngen.space.resolution import lower
from cnngen.space.sampling import sample

CONV = "conv(filters=4, kernel=3, stride=1, padding=same, activation=relu, bias=true)"
NORM = (
    "bnconv(epsilon=0.1, filters=4, kernel=2, stride=1, padding=same, activation=gelu, bias=true)"
)
HAND = lower(
    parse(
        f"input(8x8x4) {CONV} [concat ( max_pooling(size=3, stride=1, padding=same) {CONV}"
        f" [add ( {NORM} dropout(rate=0.1) , Empty ) ( {CONV} , {CONV} ) ] , {CONV} {NORM} )"
        f" ( {NORM} , {CONV} ) ] avg_pooling(size=2, stride=2, padding=valid) global_max_pooling"
        " dense(units=10, activation=linear) output(10)"
    )
)

# What PyTorch calls our operations; everything else it runs is inside one of them.
KINDS = {
    "Conv2d": "conv",
    "BatchNorm2d": "BatchNormalisation",
    "MaxPool2d": "max_pooling",
    "max_pool2d": "max_pooling",
    "AvgPool2d": "avg_pooling",
    "avg_pool2d": "avg_pooling",
    "mean": "global_avg_pooling",
    "amax": "global_max_pooling",
    "Dropout": "dropout",
    "flatten": "flatten",
    "Linear": "dense",
    "add": "add",
    "cat": "concat",
    "auxiliary-tensor": "input",
}

Traced = dict[object, tuple[str, list[object]]]
"""Of each node: its kind, and the nodes it reads."""


def traced(net: Network) -> Traced:
    """torchview's graph, without padding, activations and the like."""
    graph = trace(net)
    parents: dict[object, list[object]] = {}
    for source, target in graph.edge_list:
        parents.setdefault(target, []).append(source)

    def real(node: object) -> object:
        while node.name not in KINDS and parents.get(node):  # type: ignore[attr-defined]
            (node,) = parents[node]
        return node

    nodes = {node for edge in graph.edge_list for node in edge}
    return {
        node: (KINDS[node.name], [real(parent) for parent in parents.get(node, [])])
        for node in nodes
        if node.name in KINDS
    }


def ours(net: Network) -> Traced:
    return {at: (label(node.operation), list(node.inputs)) for at, node in enumerate(net.nodes)}


def histories(graph: Traced) -> Counter[int]:
    """Of each node a number that stands for all that led to it; equal graphs, equal counts."""
    known: dict[object, int] = {}
    pending = list(graph)
    while pending:
        node = pending.pop()
        kind, parents = graph[node]
        if node in known:
            continue
        if missing := [parent for parent in parents if parent not in known]:
            pending += [node, *missing]
        else:
            known[node] = hash((kind, *sorted(known[parent] for parent in parents)))
    return Counter(known.values())


@pytest.mark.parametrize(
    "net", [HAND, *(sample("paper", seed=seed) for seed in (1, 4, 8, 9, 14))], ids=len
)
def test_pytorch_runs_the_operations_and_edges_that_the_network_has(net: Network) -> None:
    """Law: the traced model, reduced to our kinds of operation, is the network's graph."""
    seen, said = traced(net), ours(net)
    assert Counter(kind for kind, _ in seen.values()) == Counter(kind for kind, _ in said.values())
    assert sum(len(parents) for _, parents in seen.values()) == sum(
        len(node.inputs) for node in net.nodes
    )
    assert histories(seen) == histories(said)


def test_the_comparison_of_graphs_sees_a_single_edge_moved() -> None:
    graph = ours(HAND)
    moved = {**graph, 4: (graph[4][0], [0])}
    assert histories(graph) != histories(moved)


def test_the_traced_picture_is_what_dot_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Graphviz's program is seldom there: one that gives back what it was told to draw.
    dot = tmp_path / "dot"
    dot.write_text("#!/bin/sh\necho '<svg>'\ngrep -c 'Conv2d<BR/>'\necho '</svg>'\n")
    dot.chmod(dot.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    convolutions = sum(label(node.operation) == "conv" for node in HAND.nodes)
    assert trace_picture(HAND).split() == ["<svg>", str(convolutions), "</svg>"]


def test_without_dot_the_traced_picture_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CnnGenError, match="`dot` is not on the path") as caught:
        trace_picture(HAND)
    assert caught.value.hint is not None
    assert "apt install graphviz" in caught.value.hint


@pytest.mark.parametrize("package", ["torch", "torchview", "graphviz"])
def test_without_a_package_tracing_says_what_to_install(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "cnngen.network.picture.tracing.find_spec", lambda name: None if name == package else name
    )
    with pytest.raises(CnnGenError, match=f"not installed: {package}") as caught:
        trace_picture(HAND)
    assert caught.value.hint == "Install them with `pip install 'cnngen[trace]'`."
