"""Which features count an operation, and which add up its work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

from cnngen.errors import CnnGenError
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
    SqueezeExcite,
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
    "excitation",
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
        # Its time is that of a sum: of reading and writing a map.
        SqueezeExcite: Counted("excitation", "merge_work"),
    },
)


class Counting(NamedTuple):
    """A node as its group's statistics see it: `operation` has the group's hyper-parameters."""

    at: int
    operation: Any
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    branch: int


NEEDED: dict[Group, str] = {"norm": "epsilon", "dropout": "rate", "convolution": "window"}
"""The attribute that the statistics of a group read of its operations."""


def check_groups(table: Mapping[type[Operation], Counted]) -> None:
    """Raise `CnnGenError` for an operation without what its group's statistics read."""
    for kind, counted in table.items():
        if counted.group not in get_args(Group):
            raise CnnGenError(f"the features have no group '{counted.group}' for {kind.__name__}")
        needed = NEEDED.get(counted.group)
        if needed is not None and not hasattr(kind, needed):
            raise CnnGenError(
                f"{kind.__name__} has no '{needed}', which the features of the group "
                f"'{counted.group}' read",
                hint="Give the operation a group of its own.",
            )


check_groups(COUNTED)


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
