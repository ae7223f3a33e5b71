"""The `graph` predictor: graph networks on operations, hyper-parameters, shapes and costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cnngen.network import Network
from cnngen.predict.graph.encoding import NODE_FEATURES, WHOLE_FEATURES, EncodedGraph, encode
from cnngen.predict.torch_predictor import ModulePredictor

if TYPE_CHECKING:
    from torch import Tensor

    from cnngen.predict.torch_fit import Regressor


@dataclass
class GraphPredictor(ModulePredictor[EncodedGraph]):
    """An ensemble of graph networks with a virtual node."""

    name: ClassVar[str] = "graph"
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {
        "hidden": (1, 1024),
        "layers": (0, 64),
        "dropout": (0, 0.95),
    }

    members: int = 5
    epochs: int = 50
    learning_rate: float = 3e-3
    hidden: int = 32
    layers: int = 2
    dropout: float = 0.2

    def encode(self, network: Network) -> EncodedGraph:
        return encode(network)

    def size(self, encoded: EncodedGraph) -> int:
        return len(encoded.nodes)

    def collate(self, encoded: Sequence[EncodedGraph]) -> tuple[Tensor, ...]:
        from cnngen.predict.graph.module import collate

        return collate(encoded)

    def module(self) -> Regressor:
        from cnngen.predict.graph.module import GraphNetwork

        return GraphNetwork(NODE_FEATURES, WHOLE_FEATURES, self.hidden, self.layers, self.dropout)
