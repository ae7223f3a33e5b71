"""The network as NAS-Bench-101 stores its cells: an adjacency matrix and a list of operations.

Vertices are the operations in topological order, `input` first, and an `output` of its own
last, which reads the last operation. A label says what an operation is and nothing of its
hyper-parameters: those stand in a second list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnngen.errors import CnnGenError, counted
from cnngen.language.tree import value_text
from cnngen.network.network import Network
from cnngen.operations import WORDS, Operation, is_usual, shapes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_VERTICES = 10_000
"""A matrix of as many rows takes 100 MB."""


@dataclass(frozen=True, slots=True, repr=False)
class Graph:
    """A network's edges, labels and hyper-parameters, as they are stored.

    `edges` are pairs (from, to) of positions in `operations`; those into an `add` or
    `concat` come left side first. `hyperparameters` runs beside `operations`.
    """

    edges: tuple[tuple[int, int], ...]
    operations: tuple[str, ...]
    hyperparameters: tuple[dict[str, str], ...]

    def __repr__(self) -> str:
        operations = counted(len(self.operations), "operation")
        return f"<Graph of {operations}, {counted(len(self.edges), 'edge')}>"

    def matrix(self) -> NDArray[np.uint8]:
        """Upper-triangular matrix of shape (vertices, vertices): 1 at [from, to].

        Raises `CnnGenError` for more than `MAX_VERTICES`.
        """
        import numpy as np

        size = len(self.operations)
        if size > MAX_VERTICES:
            raise CnnGenError(
                f"an adjacency matrix of {size:,} vertices would be too large",
                hint=f"At most {MAX_VERTICES:,}; the list of edges has no such limit.",
            )
        matrix = np.zeros((size, size), np.uint8)
        matrix[tuple(np.array(self.edges, dtype=np.intp).T)] = 1
        return matrix

    def to_json(self) -> str:
        """One line of JSON; its size grows with the edges, not with their square."""
        return json.dumps(
            {
                "operations": self.operations,
                "edges": self.edges,
                "hyperparameters": self.hyperparameters,
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Graph:
        """Read what `to_json` wrote. Raises `CnnGenError` for any other text."""
        try:
            read = json.loads(text)
            operations = tuple(map(str, read["operations"]))
            edges = tuple((int(start), int(end)) for start, end in read["edges"])
            hyperparameters = tuple(
                {str(name): str(value) for name, value in given.items()}
                for given in read["hyperparameters"]
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CnnGenError(f"not the JSON of an adjacency: {error}") from error
        size = len(operations)
        if len(hyperparameters) != size or not all(0 <= i < j < size for i, j in edges):
            raise CnnGenError("the lists of an adjacency do not fit each other")
        return cls(edges, operations, hyperparameters)


def adjacency(network: Network) -> tuple[NDArray[np.uint8], list[str]]:
    """The matrix, of shape (operations + 1, operations + 1), and the label of each row.

    Raises `CnnGenError` for more than `MAX_VERTICES`.
    """
    stored = graph(network)
    return stored.matrix(), list(stored.operations)


def graph(network: Network) -> Graph:
    """The graph of a network, as it is stored."""
    last = len(network.nodes)
    edges = [(i, at) for at, node in enumerate(network.nodes) for i in node.inputs]
    operations = [node.operation for node in network.nodes]
    return Graph(
        edges=(*edges, (last - 1, last)),
        operations=(*map(label, operations), "output"),
        hyperparameters=(*map(hyperparameters, operations), {}),
    )


def label(operation: Operation) -> str:
    """The language's word for an operation, such as `max_pooling`, or else the name of its
    class in lower case."""
    for fixed, word in _SINGLE_WORDS.get(type(operation), ()):
        if all(getattr(operation, name) == value for name, value in fixed.items()):
            return word
    return type(operation).__name__.lower()


def hyperparameters(operation: Operation) -> dict[str, str]:
    """The values that the label leaves open, as the language writes them."""
    word = WORDS.get(label(operation))
    fixed = (word.fixed if word else None) or {}
    return {
        name: shapes.text(value) if name == "shape" else value_text(value)
        for name in operation.field_names()
        if name not in fixed
        for value in [getattr(operation, name)]
        if not is_usual(name, value)
    }


_SINGLE_WORDS: dict[type[Operation], list[tuple[Mapping[str, object], str]]] = {}
for _name, _word in WORDS.items():
    if len(_word.operations) == 1:
        _SINGLE_WORDS.setdefault(_word.operations[0], []).append((_word.fixed or {}, _name))
