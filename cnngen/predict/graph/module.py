"""The graph network of `graph`: message passing in both directions, with a virtual node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnngen.predict.graph.encoding import EncodedGraph
from cnngen.predict.torch_fit import Regressor


def collate(graphs: Sequence[EncodedGraph]) -> tuple[Tensor, ...]:
    """Batch graphs as one disconnected graph.

    Returns nodes (nodes, features), edges (2, edges), the graph of each node (nodes,), and the
    features of each graph as a whole (graphs, features).
    """
    counts = torch.tensor([len(graph.nodes) for graph in graphs])
    starts = (counts.cumsum(0) - counts).tolist()
    return (
        torch.cat([torch.from_numpy(graph.nodes) for graph in graphs]),
        torch.cat(
            [
                torch.from_numpy(graph.edges) + start
                for graph, start in zip(graphs, starts, strict=True)
            ],
            1,
        ),
        torch.repeat_interleave(torch.arange(len(graphs)), counts),
        torch.stack([torch.from_numpy(graph.whole) for graph in graphs]),
    )


class GraphNetwork(Regressor):
    """Layers of message passing, then mean and log variance from the pooled nodes."""

    def __init__(self, features: int, whole: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.nodes = nn.Linear(features, hidden)
        self.whole = nn.Sequential(nn.BatchNorm1d(whole, affine=False), nn.Linear(whole, hidden))
        self.layers = nn.ModuleList([MessagePassing(hidden, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(hidden)
        self.head = nn.Sequential(
            nn.Linear(5 * hidden, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, 2)
        )

    def forward(self, nodes: Tensor, edges: Tensor, graph: Tensor, whole: Tensor) -> Tensor:
        x, virtual = self.nodes(nodes), self.whole(whole)
        shares = [
            1 / torch.bincount(ends, minlength=len(nodes)).clamp(min=1)[:, None]
            for ends in (edges[1], edges[0])
        ]
        for layer in self.layers:
            x, virtual = layer(x, virtual, edges, shares, graph)
        x = self.norm(x)
        count = len(whole)
        largest = torch.full((count, x.shape[1]), -torch.inf).scatter_reduce(
            0, graph[:, None].expand_as(x), x, "amax"
        )
        total = torch.zeros(count, x.shape[1]).index_add_(
            0, graph, torch.exp(x - largest.index_select(0, graph))
        )
        last = torch.cumsum(torch.bincount(graph, minlength=count), 0) - 1
        pooled = [_mean(x, graph, count), largest, largest + torch.log(total), x[last], virtual]
        return cast("Tensor", self.head(torch.cat(pooled, 1)))


class MessagePassing(nn.Module):
    """A layer in which a node reads the mean of its predecessors, the mean of its successors,
    and the virtual node."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(hidden)
        self.virtual_norm = nn.LayerNorm(hidden)
        self.hear = nn.Linear(4 * hidden, hidden)
        self.learn = nn.Linear(hidden, hidden)
        self.gather = nn.Linear(2 * hidden, hidden)
        self.virtual_learn = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)
        # With these weights at 0, each layer starts as the identity.
        for last in (self.learn, self.virtual_learn):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(
        self, x: Tensor, virtual: Tensor, edges: Tensor, shares: list[Tensor], graph: Tensor
    ) -> tuple[Tensor, Tensor]:
        said, heard = self.norm(x), self.virtual_norm(virtual)
        before, after = (
            torch.zeros_like(x).index_add_(0, target, said.index_select(0, source)) * share
            for source, target, share in (
                (edges[0], edges[1], shares[0]),
                (edges[1], edges[0], shares[1]),
            )
        )
        told = torch.cat([said, before, after, heard.index_select(0, graph)], 1)
        x = x + self.learn(self.dropout(functional.gelu(self.hear(told))))
        told = torch.cat([heard, _mean(x, graph, len(virtual))], 1)
        return x, virtual + self.virtual_learn(functional.gelu(self.gather(told)))


def _mean(x: Tensor, graph: Tensor, count: int) -> Tensor:
    """Return the mean of each graph's nodes: (graphs, hidden)."""
    sizes = torch.bincount(graph, minlength=count)[:, None]
    return torch.zeros(count, x.shape[1]).index_add_(0, graph, x) / sizes
