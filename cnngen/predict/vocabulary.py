"""The labels of operations, as a fixed vocabulary.

Saved `neural` and `graph` predictors know operations by their positions here: whoever adds one
fits them anew.
"""

from __future__ import annotations

from cnngen.network.adjacency import label
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

LABELS: OperationTable[tuple[str, ...]] = OperationTable(
    "the vocabulary of predictors",
    {
        Input: ("input",),
        Conv2d: ("conv",),
        BatchNorm: ("BatchNormalisation",),
        Dropout: ("dropout",),
        Pool: ("max_pooling", "avg_pooling"),
        Flatten: ("flatten",),
        GlobalPool: ("global_avg_pooling", "global_max_pooling"),
        Dense: ("dense",),
        Add: ("add",),
        Concat: ("concat",),
        Activate: ("activate",),
        Truncate: ("truncate",),
    },
)
"""All that `cnngen.network.adjacency.label` gives for each operation."""

OPERATIONS: tuple[str, ...] = tuple(name for names in LABELS.values() for name in names)


def known_label(operation: Operation) -> str:
    """The label of an operation, which is one of `OPERATIONS`.

    Raises `CnnGenError` for an operation that predictors do not know.
    """
    LABELS.of(operation)
    return label(operation)
