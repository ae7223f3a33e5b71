"""The labels of operations, as a fixed vocabulary.

Saved `neural` and `graph` predictors know operations by their positions here: a later
one has another stand for it, until they are fitted anew.
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
    SqueezeExcite,
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
        SqueezeExcite: ("squeeze_excite",),
    },
)
"""All that `cnngen.network.adjacency.label` gives for each operation."""

LATER = {"squeeze_excite": "dense"}
"""Labels that saved predictors do not have, each with the known one of the same kernels. A model's
domain says that it has not seen them (`cnngen.predict.domain`)."""

OPERATIONS: tuple[str, ...] = tuple(
    name for names in LABELS.values() for name in names if name not in LATER
)


def known_label(operation: Operation) -> str:
    """The label of an operation, or the one that stands for it: one of `OPERATIONS`.

    Raises `CnnGenError` for an operation that predictors do not know.
    """
    LABELS.of(operation)
    own = label(operation)
    return LATER.get(own, own)
