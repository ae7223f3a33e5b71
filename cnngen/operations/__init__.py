"""The operations of a network, one file for each: hyper-parameters, shape, weights, cost,
definition in NumPy, random signals, colour.

To add one: its class in a file here, and in `OPERATIONS` below; a word, if it has one, in
`grammar.tx` and `words.py`; an entry in each `OperationTable`, which are those of the backends,
of the features and of the vocabulary of predictors; a network of the backends' tests that has
it; an example. `tests/test_operations.py` finds what is missing, by name.
"""

from cnngen.operations.activate import Activate
from cnngen.operations.batch_norm import BATCH_NORM_MOMENTUM, BatchNorm
from cnngen.operations.conv2d import Conv2d
from cnngen.operations.dense import Dense
from cnngen.operations.dropout import Dropout
from cnngen.operations.hyperparameters import DEPTHWISE, Activation, Gate, PublishedActivation
from cnngen.operations.input import Input
from cnngen.operations.join import Add, Concat
from cnngen.operations.operation import Colour, Operation, Weight, Windowed
from cnngen.operations.pool import GlobalPool, Pool
from cnngen.operations.rearrange import Flatten, Truncate
from cnngen.operations.squeeze_excite import SqueezeExcite
from cnngen.operations.table import OperationTable
from cnngen.operations.words import CONVOLUTIONS, WINDOW_NAMES, WORDS, Word, is_usual

OPERATIONS: tuple[type[Operation], ...] = (
    Input,
    Conv2d,
    BatchNorm,
    Pool,
    GlobalPool,
    Dropout,
    Flatten,
    Dense,
    Add,
    Concat,
    Activate,
    Truncate,
    SqueezeExcite,
)
"""All operations. Those without a word stand in networks that are built as graphs."""

__all__ = [
    "BATCH_NORM_MOMENTUM",
    "CONVOLUTIONS",
    "DEPTHWISE",
    "OPERATIONS",
    "WINDOW_NAMES",
    "WORDS",
    "Activate",
    "Activation",
    "Add",
    "BatchNorm",
    "Colour",
    "Concat",
    "Conv2d",
    "Dense",
    "Dropout",
    "Flatten",
    "Gate",
    "GlobalPool",
    "Input",
    "Operation",
    "OperationTable",
    "Pool",
    "PublishedActivation",
    "SqueezeExcite",
    "Truncate",
    "Weight",
    "Windowed",
    "Word",
    "is_usual",
]
