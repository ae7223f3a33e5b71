"""The modules of `neural`, after the formulae of Wen et al. (arXiv:1912.00848)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnngen.predict.torch_fit import PointRegressor, Regressor

if TYPE_CHECKING:
    from cnngen.predict.neural.encoding import EncodedCell


def collate(graphs: Sequence[EncodedCell]) -> tuple[Tensor, ...]:
    """Batch graphs as one disconnected graph.

    Returns positions of labels (vertices,), edges (2, edges), and the graph of each vertex
    (vertices,).
    """
    counts = torch.tensor([len(graph.operations) for graph in graphs])
    starts = (counts.cumsum(0) - counts).tolist()
    operations = torch.cat([torch.from_numpy(graph.operations) for graph in graphs])
    edges = [
        torch.from_numpy(graph.edges) + start for graph, start in zip(graphs, starts, strict=True)
    ]
    of = torch.repeat_interleave(torch.arange(len(graphs)), counts)
    return operations, torch.cat(edges, 1), of


class DirectedConvolution(nn.Module):
    """V' = (relu(A V W+) + relu(A^T V W-)) / 2.

    A is the adjacency matrix with ones on its diagonal and rows scaled to a sum of 1. A^T is the
    same for the reversed edges, so that information flows in both directions.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.forwards = nn.Linear(inputs, outputs, bias=False)
        self.backwards = nn.Linear(inputs, outputs, bias=False)
        nn.init.xavier_uniform_(self.forwards.weight)
        nn.init.xavier_uniform_(self.backwards.weight)

    def forward(self, vertices: Tensor, edges: Tensor) -> Tensor:
        """Convolve vertices (vertices, inputs) along edges (2, edges), sources first."""
        source, target = edges
        along = _mean(self.forwards(vertices), target, source)
        against = _mean(self.backwards(vertices), source, target)
        return (torch.relu(along) + torch.relu(against)) * 0.5


def _mean(vertices: Tensor, read: Tensor, by: Tensor) -> Tensor:
    """Average each vertex with those that it reads; vertex by[i] reads vertex read[i]."""
    share = 1 / (torch.bincount(by, minlength=len(vertices)) + 1)
    return vertices.index_add(0, by, vertices.index_select(0, read)) * share[:, None]


class GraphConvolutions(nn.Module):
    """Graph convolutions, the mean over each graph's vertices, and two dense layers."""

    def __init__(self, labels: int, layers: int, hidden: int, units: int, dropout: float) -> None:
        super().__init__()
        self.labels = labels
        self.layers = nn.ModuleList(
            [DirectedConvolution(hidden if at else labels, hidden) for at in range(layers)]
        )
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(hidden, units)
        self.output = nn.Linear(units, 1)

    def forward(self, operations: Tensor, edges: Tensor, graph: Tensor) -> Tensor:
        """Return one number per graph: (graphs, 1)."""
        vertices = functional.one_hot(operations, self.labels).float()
        for layer in self.layers:
            vertices = self.dropout(layer(vertices, edges))
        sizes = torch.bincount(graph)
        means = torch.zeros(len(sizes), vertices.shape[1]).index_add(0, graph, vertices)
        hidden = torch.relu(self.hidden(means / sizes[:, None]))
        return cast("Tensor", self.output(self.dropout(hidden)))


class OneStage(PointRegressor):
    """The regressor without a classifier."""

    def __init__(self, regressor: GraphConvolutions) -> None:
        super().__init__()
        self.regressor = regressor

    def forward(self, *graphs: Tensor) -> Tensor:
        return cast("Tensor", self.regressor(*graphs))


class TwoStages(Regressor):
    """A classifier of whether a figure is at least `bound`, and a regressor for those above.

    The output, of shape (graphs, 2), is the classifier's logit and the regressor's mean.
    """

    below: Tensor
    """Mean and standard deviation of the figures below the bound."""

    def __init__(
        self, classifier: GraphConvolutions, regressor: GraphConvolutions, bound: float
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.regressor = regressor
        self.bound = bound
        self.register_buffer("below", torch.tensor([bound, 1.0]))

    def begin(self, wanted: Tensor) -> None:
        below = wanted[wanted < self.bound]
        if len(below) > 1:
            self.below = torch.stack([below.mean(), below.std().clamp(min=1e-3)])

    def forward(self, *graphs: Tensor) -> Tensor:
        return torch.cat([self.classifier(*graphs), self.regressor(*graphs)], 1)

    def loss(self, output: Tensor, wanted: Tensor) -> Tensor:
        good = wanted >= self.bound
        classified = functional.binary_cross_entropy_with_logits(output[:, 0], good.float())
        off = (output[:, 1] - wanted).square() * good
        return classified + off.sum() / good.sum().clamp(min=1)

    def estimate(self, output: Tensor) -> tuple[Tensor, Tensor]:
        passed = output[:, 0] > 0
        mean, std = self.below
        return (
            torch.where(passed, output[:, 1], mean),
            torch.where(passed, torch.ones_like(mean), std),
        )
