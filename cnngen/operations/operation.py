"""The base of all operations: everything that others ask of an operation.

An operation is a frozen value without weights or framework. Its field names are the
language's names of its hyper-parameters. Operations with a window over a map derive from
`Windowed`; the files beside this one hold one operation each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from cnngen.errors import CnnGenError
from cnngen.operations.hyperparameters import Activation, checked_or_refuse
from cnngen.operations.shapes import Shape, WindowNumbers, output_size

if TYPE_CHECKING:
    from cnngen.operations.arrays import Array
    from cnngen.operations.random_signal import Signal


class Weight(NamedTuple):
    """A weight of an operation: its name, its shape, and its values before training.

    `glorot` is uniform within ±sqrt(6 / (window * (inputs + outputs))), where the last two axes
    are inputs and outputs and those before them the window. Weights that are not `trained` are
    running statistics.
    """

    name: str
    shape: Shape
    first: Literal["glorot", "zeros", "ones"]
    trained: bool = True


@dataclass(frozen=True, slots=True)
class Colour:
    """A light fill, which dark text stands on with a contrast of at least 7, and its line.

    Tints of Okabe and Ito's colours (https://jfly.uni-koeln.de/color/), which the colour-blind
    tell apart; the fills differ in lightness too, for print in grey.
    """

    fill: str
    line: str


@dataclass(frozen=True, slots=True)
class Operation:
    """Base of all operations. Every operation gives `stem`, `colour`, `compute` and
    `pass_signal`; the rest as far as it differs from an operation that has no weights and
    keeps the shape.

    Raises `CnnGenError` for a field with an invalid value; `cnngen.operations.hyperparameters`
    says what each may be, by its name.
    """

    stem: ClassVar[str]
    """The beginning of its names in a network, as `conv` in `conv1`."""

    colour: ClassVar[Colour]
    """The colours of its box in pictures."""

    sign: ClassVar[str] = ""
    """The sign that a picture draws in a small circle in place of a box, for joins."""

    joined: ClassVar[str] = ""
    """How it joins the columns of a merge, as `added`; empty for one that joins none."""

    reads_map: ClassVar[bool] = True
    """Whether the input is a feature map (height, width, channels), not a vector."""

    learns_kernel: ClassVar[bool] = False
    """Whether it multiplies its input by a trained kernel, as a convolution does."""

    gives_logits: ClassVar[bool] = False
    """Whether a network that ends with it classifies."""

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

    @property
    def nonlinearity(self) -> Activation | None:
        """The activation it applies, which may be `linear`; None if it has no such field."""
        return getattr(self, "activation", None)

    def deterministic(self) -> Operation:
        """The same operation with nothing drawn at random in training."""
        return self

    def output_shape(self, *inputs: Shape) -> Shape:
        """The shape of one example's output, given the shapes of its inputs."""
        return inputs[0]

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        """Its weights in canonical order, given the shapes of its inputs."""
        return ()

    def parameters(self, *inputs: Shape) -> int:
        """How many numbers are trained."""
        return sum(prod(weight.shape) for weight in self.weights(*inputs) if weight.trained)

    def buffers(self, *inputs: Shape) -> int:
        """How many numbers are stored but not trained, such as running means."""
        return sum(prod(weight.shape) for weight in self.weights(*inputs) if not weight.trained)

    def multiply_adds(self, *inputs: Shape) -> int:
        """Multiply-accumulates of convolution and matrix products for one example."""
        return 0

    def work(self, *inputs: Shape) -> int:
        """The count that its time grows with, for one example: its multiply-adds, or else the
        numbers that it puts out."""
        return self.multiply_adds(*inputs) or prod(self.output_shape(*inputs))

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        """Its definition in NumPy: the output for a batch, with nothing dropped.

        Maps are (batch, height, width, channels), vectors (batch, features), in float64.
        """
        raise self._lacks("definition in NumPy", "compute")

    def statistics(self, inputs: Sequence[Array]) -> dict[str, Array]:
        """The `mean` and `variance` of a batch that replace the running ones in training;
        empty for an operation without running statistics."""
        return {}

    def pass_signal(
        self, inputs: Sequence[Signal], shapes: Sequence[Shape]
    ) -> tuple[Signal, float]:
        """The signal that random weights make of others, given the shapes of the inputs.

        Second comes the factor by which the squared gradient of one number grows on the way back,
        summed over the numbers it reaches.
        """
        raise self._lacks("rule for random signals", "pass_signal")

    def _lacks(self, what: str, method: str) -> CnnGenError:
        name = type(self).__name__
        return CnnGenError(
            f"the operation {name} has no {what}", hint=f"Give the class {name} a `{method}`."
        )


@dataclass(frozen=True, slots=True)
class Windowed(Operation):
    """An operation that slides a window over a feature map."""

    window_name: ClassVar[str]
    """The field that holds the window's height and width."""

    def window(self) -> WindowNumbers:
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
