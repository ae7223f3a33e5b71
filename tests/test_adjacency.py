import re

import numpy as np
import pytest

from cnngen.errors import CnnGenError
from cnngen.language import parse
from cnngen.network import Network
from cnngen.network.adjacency import MAX_VERTICES, Graph, adjacency, graph, label
from cnngen.operations import WORDS
from cnngen.space.resolution import lower
from cnngen.space.sampling import sample

CONV = "conv(filters=4, kernel=3, stride=1, padding=same, activation=relu, bias=true)"
NORM = "convbn(filters=4, kernel=3, stride=1, padding=same, activation=relu, bias=true, epsilon=1)"
CHAIN = f"[add ( {CONV} , {NORM} ) ( {CONV} [concat ( {CONV} , Empty ) ] {CONV} , {CONV} {CONV} ) ]"


def network(features: str) -> Network:
    return lower(parse(f"input(8x8x4) {features} output"))


SAMPLED = [sample("paper", seed=seed) for seed in range(12)]
NETWORKS = [*SAMPLED, network(CHAIN), network(f"{CONV} {CHAIN} {CHAIN}")]


def tokens(text: str) -> list[str]:
    """Words and brackets of a resolved text, without hyper-parameters and ends."""
    bare = re.sub(r"\w+=[\w.+-]+", "", text)
    bare = re.sub(r"(\w)\([ ,\d]*(x\d+x\d+)?\)", r"\1", bare)
    words = re.findall(r"\w+|[\[\](),]", bare)
    assert words[0] == "input"
    assert words[-1] == "output"
    return words[1:-1]


def counts(text: str) -> tuple[int, int, int]:
    """Operations, edges and ways from input to output, counted from the text alone."""
    operations, edges = 1, 0
    ways, stack = 1, []  # Of each open merge: ways to its main line and to its right side.
    for word in tokens(text):
        match word:
            case "[":
                stack.append([ways, ways])
            case "(":
                ways = stack[-1][0]
            case ",":
                stack[-1][0], ways = ways, stack[-1][1]
            case ")":
                operations, edges = operations + 1, edges + 2
                stack[-1][1] = ways
                ways = stack[-1][0] = stack[-1][0] + ways
            case "]":
                stack.pop()
            case "add" | "concat" | "Empty":
                pass
            case _:
                many = 2 if word in ("convbn", "bnconv") else 1
                operations, edges = operations + many, edges + many
    return operations + 1, edges + 1, ways


@pytest.mark.parametrize("net", NETWORKS, ids=len)
def test_the_graph_rebuilt_from_the_matrix_is_the_network(net: Network) -> None:
    matrix, operations = adjacency(net)
    *inputs, last = [tuple(np.flatnonzero(column)) for column in matrix.T]
    assert inputs == [tuple(sorted(node.inputs)) for node in net.nodes]
    assert last == (len(net) - 1,)
    assert operations == [*(label(node.operation) for node in net.nodes), "output"]


@pytest.mark.parametrize("net", NETWORKS, ids=len)
def test_operations_edges_and_ways_through_are_those_counted_from_the_text(net: Network) -> None:
    matrix, operations = adjacency(net)
    ways = [1]
    for column in matrix.T[1:]:
        ways.append(sum(ways[i] for i in np.flatnonzero(column)))
    assert (len(operations), int(matrix.sum()), ways[-1]) == counts(net.to_text())


@pytest.mark.parametrize("net", NETWORKS, ids=len)
def test_the_conditions_of_nas_bench_101_hold(net: Network) -> None:
    matrix, operations = adjacency(net)
    assert matrix.dtype == np.uint8
    assert matrix.shape == (len(operations), len(operations))
    assert not np.tril(matrix).any()
    assert set(np.unique(matrix)) == {0, 1}
    assert operations[0] == "input"
    assert operations[-1] == "output"
    assert not {"input", "output"} & set(operations[1:-1])
    # Pruning, which NAS-Bench-101 does first, would take nothing away.
    assert matrix[:, 1:].any(axis=0).all()
    assert matrix[:-1].any(axis=1).all()


def test_a_label_is_a_word_of_the_language_and_none_of_its_hyper_parameters() -> None:
    small = network(f"{CONV} max_pooling(size=2, stride=2, padding=same)")
    large = network(
        f"{CONV.replace('kernel=3', 'kernel=5')} max_pooling(size=3, stride=1, padding=valid)"
    )
    assert adjacency(small)[1] == ["input", "conv", "max_pooling", "output"]
    assert adjacency(small)[1] == adjacency(large)[1]
    assert graph(small).hyperparameters != graph(large).hyperparameters
    assert graph(large).hyperparameters[1:3] == (
        {
            "filters": "4",
            "kernel": "5",
            "stride": "1",
            "padding": "same",
            "activation": "relu",
            "bias": "true",
        },
        {"size": "3", "stride": "1", "padding": "valid"},
    )


def test_labels_and_hyper_parameters_together_tell_all_operations_apart() -> None:
    """Law: equal label and hyper-parameters, if and only if equal operation."""
    seen: dict[object, object] = {}
    for net in NETWORKS:
        stored = graph(net)
        for name, given, node in zip(
            stored.operations, stored.hyperparameters, net.nodes, strict=False
        ):
            key = (name, tuple(given.items()))
            assert seen.setdefault(key, node.operation) == node.operation
    assert len(set(seen.values())) == len(seen)
    assert {name for name, _ in seen} <= {*WORDS, "input", "add", "concat"}


@pytest.mark.parametrize("net", NETWORKS, ids=len)
def test_reading_what_was_written_gives_the_same_graph(net: Network) -> None:
    written = graph(net).to_json()
    assert Graph.from_json(written) == graph(net)
    assert "\n" not in written


def test_the_edges_into_a_concat_come_left_side_first() -> None:
    net = network(f"{CONV} [concat ( {CONV} , Empty ) ]")
    assert graph(net).edges == ((0, 1), (1, 2), (2, 3), (1, 3), (3, 4))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"operations": 3}',
        '{"operations": ["input"], "edges": [[0, 0]], "hyperparameters": [{}]}',
        '{"operations": ["input"], "edges": [[0, 7]], "hyperparameters": [{}]}',
        '{"operations": ["input"], "edges": [[1]], "hyperparameters": [{}]}',
        '{"operations": ["input"], "edges": [], "hyperparameters": [3]}',
        '{"operations": ["input"], "edges": [], "hyperparameters": []}',
        "[" * 100_000,
    ],
)
def test_text_that_is_no_adjacency_is_refused(text: str) -> None:
    with pytest.raises(CnnGenError, match="adjacency"):
        Graph.from_json(text)


def test_a_matrix_that_would_fill_the_memory_is_refused_and_its_edges_are_not() -> None:
    net = network(" ".join([CONV] * MAX_VERTICES))
    assert len(graph(net).edges) == MAX_VERTICES + 1
    with pytest.raises(CnnGenError, match="too large"):
        adjacency(net)
