"""Which features count an operation, and which add up its work."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from cnngen.network import Network
from cnngen.operations import (
    Activate,
    Add,
    BatchNorm,
    Concat,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Input,
    Operation,
    OperationTable,
    Pool,
    Truncate,
)

Group = Literal[
    "input",
    "convolution",
    "norm",
    "dropout",
    "pooling",
    "global_pooling",
    "flatten",
    "dense",
    "add",
    "concat",
    "activation",
    "truncation",
]


class Counted(NamedTuple):
    """How the features count an operation.

    Its hyper-parameters go into the statistics of `group`, so it has those that this group's
    operations have; convolutions and poolings derive from `Windowed`. `work` is the feature
    that its work adds to; empty where none does.
    """

    group: Group
    work: str = ""


COUNTED: OperationTable[Counted] = OperationTable(
    "the table of features",
    {
        Input: Counted("input"),
        Conv2d: Counted("convolution", "convolution_work"),
        BatchNorm: Counted("norm", "norm_work"),
        Pool: Counted("pooling", "pooling_work"),
        GlobalPool: Counted("global_pooling"),
        Dropout: Counted("dropout", "dropout_work"),
        Flatten: Counted("flatten"),
        Dense: Counted("dense", "dense_work"),
        Add: Counted("add", "merge_work"),
        Concat: Counted("concat", "merge_work"),
        Activate: Counted("activation"),
        Truncate: Counted("truncation"),
    },
)


class Counting(NamedTuple):
    """A node as its group's statistics see it: `operation` has the group's hyper-parameters."""

    at: int
    operation: Any
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    branch: int


def group(operation: Operation) -> Group:
    """The group of an operation. Raises `CnnGenError` for one that the features do not know."""
    return COUNTED.of(operation).group


def in_group(network: Network, *groups: Group) -> list[Counting]:
    """The nodes of some groups, in the network's order."""
    return [
        Counting(at, node.operation, node.inputs, node.shape, node.branch)
        for at, node in enumerate(network.nodes)
        if group(node.operation) in groups
    ]
