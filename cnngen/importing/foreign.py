"""A foreign model as a small graph, which readers write and the matcher reads.

Its operations are few and name no framework. Maps are (batch, channels, height, width), kernels and
dense matrices have the axes of `cnngen.backend.model_access.Weights`. To read an operation that is
not here: a class below, an entry in the table of each reader that knows it, and one in
`matching.MATCHERS`, or a rule in `fusions` where several of them make up one of CNNGen's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from cnngen.errors import shorten

if TYPE_CHECKING:
    from cnngen.backend.model_access import Array

Pads = tuple[int, int, int, int]
"""Pixels that are padded above, left, below and right."""

NO_PADS: Pads = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Convolved:
    """A convolution; zeros are padded. `stated` where the model writes its padding, even of none."""

    kernel: Array
    bias: Array | None = None
    stride: tuple[int, int] = (1, 1)
    pads: Pads | Literal["same", "valid"] = NO_PADS
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    stated: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Normalised:
    """A batch normalisation with fixed statistics."""

    scale: Array
    shift: Array
    mean: Array
    variance: Array
    epsilon: float


@dataclass(frozen=True, slots=True)
class Activated:
    """A function of each number: one of the language's, or a `softplus` or `erf` on its way to one."""

    function: str


@dataclass(frozen=True, slots=True)
class Pooled:
    """Maximum or mean of each window.

    `ceiled` lets a last window hang over the end. With `counted`, padding counts for the mean.
    """

    pooling: Literal["max", "avg"]
    size: tuple[int, int]
    stride: tuple[int, int]
    pads: Pads | Literal["same", "valid"] = NO_PADS
    ceiled: bool = False
    counted: bool = False
    stated: bool = False


@dataclass(frozen=True, slots=True)
class PooledTo:
    """Maximum or mean of windows that share the map out: into (1, 1), of the whole map."""

    pooling: Literal["max", "avg"]
    size: tuple[int, int]
    keeps_axes: bool = True


@dataclass(frozen=True, slots=True)
class Padded:
    """Zeros around a map; negative where it is cut."""

    pads: Pads


@dataclass(frozen=True, slots=True)
class Sliced:
    """Each `step`-th number of an axis from `start` to before `stop`."""

    axis: int
    start: int
    stop: int
    step: int = 1


@dataclass(frozen=True, slots=True)
class Permuted:
    """Axes in another order."""

    axes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reshaped:
    """The same numbers in another shape; -1 is whatever is left, 0 the axis of the input."""

    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Multiplied:
    """A matrix product of the last axis, with its bias if there is one."""

    kernel: Array
    bias: Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Shifted:
    """The sum with a constant, which broadcasts."""

    by: Array


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """The product with a constant, which broadcasts."""

    by: Array


@dataclass(frozen=True, slots=True)
class Summed:
    """The sum of several values of one shape."""


@dataclass(frozen=True, slots=True)
class Product:
    """The product of two values."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Several values side by side along an axis."""

    axis: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """Dropout."""

    rate: float


@dataclass(frozen=True, slots=True)
class Kept:
    """The value as it is."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """What is not in the language, for this reason if there is one to tell."""

    reason: str = "the language has no word for it"


Primitive = (
    Convolved
    | Normalised
    | Activated
    | Pooled
    | PooledTo
    | Padded
    | Sliced
    | Permuted
    | Reshaped
    | Multiplied
    | Shifted
    | Scaled
    | Summed
    | Product
    | Joined
    | Dropped
    | Kept
    | Unknown
)


ENDLESS = 2**31
"""From here on, the end of a slice is that of the axis."""


class Unreadable(Exception):
    """Why a reader finds no primitive for an operator."""


@dataclass(frozen=True, slots=True)
class ForeignNode:
    """One operation of a model: what it does to which values, and where the model says so."""

    does: Primitive
    inputs: tuple[str, ...]
    output: str
    name: str
    operator: str

    @property
    def where(self) -> str:
        """Its name and its operator, as the model's author knows them."""
        return f"'{shorten(self.name, 60)}' ({shorten(self.operator)})"


@dataclass(slots=True)
class ForeignGraph:
    """A model: nodes in topological order, from the images to one output.

    `input_shape` is (height, width, channels). With `channels_last`, images come in that order.
    """

    input: str
    input_shape: tuple[int, int, int]
    output: str
    nodes: list[ForeignNode] = field(default_factory=list)
    channels_last: bool = False

    def pruned(self) -> ForeignGraph:
        """Without the nodes that the output does not depend on, and those that keep a value."""
        needed = {self.output}
        kept = []
        for node in reversed(self.nodes):
            if node.output in needed:
                needed.update(node.inputs)
                kept.append(node)
        same: dict[str, str] = {}
        nodes = []
        for node in reversed(kept):
            inputs = tuple(same.get(name, name) for name in node.inputs)
            if isinstance(node.does, Kept):
                same[node.output] = inputs[0]
            else:
                nodes.append(ForeignNode(node.does, inputs, node.output, node.name, node.operator))
        output = same.get(self.output, self.output)
        return ForeignGraph(self.input, self.input_shape, output, nodes, self.channels_last)
