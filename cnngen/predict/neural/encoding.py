"""A network as `neural` reads it: labels of operations, and edges."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnngen.network import Network
from cnngen.network.adjacency import graph
from cnngen.predict.vocabulary import OPERATIONS, known_label

VERTICES = (*OPERATIONS, "output")


class Encoded(NamedTuple):
    """The position of each vertex's label in `VERTICES`, and edges (2, edges), sources first."""

    operations: NDArray[np.int64]
    edges: NDArray[np.int64]


@lru_cache(4096)
def encode(network: Network) -> Encoded:
    """A network as NAS-Bench-101 stores its cells, its matrix as a list of edges."""
    labels = [*(known_label(node.operation) for node in network.nodes), "output"]
    operations = [VERTICES.index(name) for name in labels]
    return Encoded(np.array(operations), np.array(graph(network).edges, np.int64).T)
