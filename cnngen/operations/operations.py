"""The operations of a network: hyper-parameters, output shape and cost of each.

An operation is a frozen value without weights or framework. Its field names are the
language's names of its hyper-parameters; `WORDS` says which operations a word stands for.
To add one: its rule in `grammar.tx`, its class and its word here, an entry in the table of
each backend, an example. Those without a word stand in networks that are built as graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from typing import Any, ClassVar, Literal

from cnngen.operations.hyperparameters import Activation as Activation
from cnngen.operations.hyperparameters import checked_or_refuse
from cnngen.operations.shapes import Padding, Shape, output_size

BATCH_NORM_MOMENTUM = 0.9
"""Share of the running statistics kept at each step (PyTorch's convention is 1 - this)."""


@dataclass(frozen=True, slots=True)
class Operation:
    """Base of all operations; those that keep the shape and have no weights need no more.

    Raises `CnnGenError` for a field whose value cannot be; `cnngen.operations.hyperparameters` says what
    each may be, by its name.
    """

    reads_map: ClassVar[bool] = True
    """Whether the input is a feature map (height, width, channels), not a vector."""

    def __post_init__(self) -> None:
        for name in self.field_names():
            object.__setattr__(self, name, checked_or_refuse(name, getattr(self, name)))

    def __reduce__(self) -> tuple[object, ...]:
        # Through the checks again.
        return type(self), tuple(getattr(self, name) for name in self.field_names())

    @classmethod
    def field_names(cls) -> tuple[str, ...]:
        """The names of its fields, in order."""
        names: tuple[str, ...] = cls.__match_args__
        return names

    def output_shape(self, *inputs: Shape) -> Shape:
        """The shape of one example's output, given the shapes of its inputs."""
        return inputs[0]

    def parameters(self, *inputs: Shape) -> int:
        """Trainable weights."""
        return 0

    def buffers(self, *inputs: Shape) -> int:
        """Numbers that are stored but not trained, such as running means."""
        return 0

    def multiply_adds(self, *inputs: Shape) -> int:
        """Multiply-accumulates of convolution and matrix products for one example."""
        return 0


@dataclass(frozen=True, slots=True)
class Windowed(Operation):
    """An operation that slides a window over a feature map."""

    window_name: ClassVar[str]
    """The field that holds the window's height and width."""

    def window(self) -> tuple[int, int, int, int, Padding]:
        """Height and width of the window and of its step, and the padding."""
        height, width = getattr(self, self.window_name)
        stride, padding = self.stride, self.padding  # type: ignore[attr-defined]
        return height, width, stride[0], stride[1], padding

    def output_shape(self, *inputs: Shape) -> Shape:
        (height, width, channels) = inputs[0]
        kh, kw, sh, sw, padding = self.window()
        return (
            output_size(height, kh, sh, padding),
            output_size(width, kw, sw, padding),
            channels,
        )


@dataclass(frozen=True, slots=True)
class Input(Operation):
    """The image."""

    shape: tuple[int, int, int]

    def output_shape(self, *inputs: Shape) -> Shape:
        return self.shape


@dataclass(frozen=True, slots=True)
class Conv2d(Windowed):
    """Convolution followed by its activation. Glorot-uniform weights, zero biases."""

    window_name = "kernel"

    filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: Padding = "same"
    activation: Activation = "linear"
    bias: bool = True

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*Windowed.output_shape(self, *inputs)[:2], self.filters)

    def parameters(self, *inputs: Shape) -> int:
        return self.filters * (prod(self.kernel) * inputs[0][2] + self.bias)

    def multiply_adds(self, *inputs: Shape) -> int:
        return prod(self.output_shape(*inputs)) * prod(self.kernel) * inputs[0][2]


@dataclass(frozen=True, slots=True)
class BatchNorm(Operation):
    """Batch normalisation with a learnt scale and shift for each channel."""

    epsilon: float = 1e-3

    def parameters(self, *inputs: Shape) -> int:
        return 2 * inputs[0][-1]

    def buffers(self, *inputs: Shape) -> int:
        return 2 * inputs[0][-1]


@dataclass(frozen=True, slots=True)
class Pool(Windowed):
    """Maximum or mean of each window; padding counts for neither."""

    window_name = "size"

    pooling: Literal["max", "avg"]
    size: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding = "valid"


@dataclass(frozen=True, slots=True)
class GlobalPool(Operation):
    """Maximum or mean of each channel."""

    pooling: Literal["max", "avg"]

    def output_shape(self, *inputs: Shape) -> Shape:
        return (inputs[0][2],)


@dataclass(frozen=True, slots=True)
class Dropout(Operation):
    """Sets a share of the values to zero in training and scales the rest to match."""

    reads_map = False

    rate: float = 0.5


@dataclass(frozen=True, slots=True)
class Flatten(Operation):
    """A feature map as a vector, channels running fastest (the order of NHWC)."""

    def output_shape(self, *inputs: Shape) -> Shape:
        return (prod(inputs[0]),)


@dataclass(frozen=True, slots=True)
class Dense(Operation):
    """Matrix product, bias, activation. Glorot-uniform weights, zero biases."""

    reads_map = False

    units: int
    activation: Activation = "linear"

    def output_shape(self, *inputs: Shape) -> Shape:
        return (self.units,)

    def parameters(self, *inputs: Shape) -> int:
        return self.units * (inputs[0][0] + 1)

    def multiply_adds(self, *inputs: Shape) -> int:
        return self.units * inputs[0][0]


@dataclass(frozen=True, slots=True)
class Add(Operation):
    """Sum of two or more feature maps of one shape."""


@dataclass(frozen=True, slots=True)
class Concat(Operation):
    """Two or more feature maps of one height and width, the left one's channels first."""

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*inputs[0][:2], sum(channels for _, _, channels in inputs))


@dataclass(frozen=True, slots=True)
class Activate(Operation):
    """An activation that stands alone, such as behind a batch norm; it has no word."""

    activation: Activation = "relu"


@dataclass(frozen=True, slots=True)
class Truncate(Operation):
    """The first channels of a feature map; it has no word."""

    channels: int

    def output_shape(self, *inputs: Shape) -> Shape:
        return (*inputs[0][:2], self.channels)


Make = Callable[..., Operation]


@dataclass(frozen=True)
class Word:
    """What a word of the language stands for: operations in sequence.

    `fixed` are the fields that the word itself decides. `choice` lists the words that an
    open word such as `pooling` may become.
    """

    operations: tuple[type[Operation], ...] = ()
    fixed: Mapping[str, Any] | None = None
    choice: tuple[str, ...] = ()

    def build(self, parameters: Mapping[str, Any]) -> list[Operation]:
        """The operations, given all hyper-parameters of the word."""
        return [
            _operation(kind, *fixed, *[parameters[name] for name in names])
            for kind, fixed, names in self._parameters
        ]

    @cached_property
    def _parameters(self) -> list[tuple[Make, tuple[str, ...], tuple[str, ...]]]:
        """Of each operation, the values that the word decides, and the hyper-parameters that
        it takes behind them."""
        fixed = self.fixed or {}
        names = [(kind, kind.field_names()) for kind in self.operations]
        return [
            (
                kind,
                tuple(fixed[n] for n in own if n in fixed),
                tuple(n for n in own if n not in fixed),
            )
            for kind, own in names
        ]

    @cached_property
    def parameter_names(self) -> tuple[str, ...]:
        """The hyper-parameters that the word, or any it may become, takes, in canonical order."""
        if self.choice:
            return WORDS[self.choice[0]].parameter_names
        return tuple(name for _, _, names in self._parameters for name in names)


@lru_cache(maxsize=2**13)
def _operation(kind: Make, *values: Any) -> Operation:
    """One for all that are equal: most layers are like others."""
    return kind(*values)


WORDS: dict[str, Word] = {
    "conv": Word((Conv2d,)),
    "convbn": Word((Conv2d, BatchNorm)),
    "bnconv": Word((BatchNorm, Conv2d)),
    "BatchNormalisation": Word((BatchNorm,)),
    "dropout": Word((Dropout,)),
    "max_pooling": Word((Pool,), {"pooling": "max"}),
    "avg_pooling": Word((Pool,), {"pooling": "avg"}),
    "pooling": Word(choice=("max_pooling", "avg_pooling")),
    "flatten": Word((Flatten,)),
    "global_avg_pooling": Word((GlobalPool,), {"pooling": "avg"}),
    "global_max_pooling": Word((GlobalPool,), {"pooling": "max"}),
    "globalPooling": Word(choice=("global_avg_pooling", "global_max_pooling")),
    "dense": Word((Dense,)),
}
