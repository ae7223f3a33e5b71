"""Encode a network for `neural`: labels of operations, and edges."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnngen.network import Network
from cnngen.network.adjacency import graph
from cnngen.predict.vocabulary import OPERATIONS, known_label

VERTICES = (*OPERATIONS, "output")


class EncodedCell(NamedTuple):
    """A graph: each vertex's label as a position in `VERTICES`, and edges (2, edges), sources first."""

    operations: NDArray[np.int64]
    edges: NDArray[np.int64]


@lru_cache(4096)
def encode(network: Network) -> EncodedCell:
    """Encode a network in the way NAS-Bench-101 stores cells, with edges for the matrix."""
    labels = [*(known_label(node.operation) for node in network.nodes), "output"]
    operations = [VERTICES.index(name) for name in labels]
    return EncodedCell(np.array(operations), np.array(graph(network).edges, np.int64).T)
