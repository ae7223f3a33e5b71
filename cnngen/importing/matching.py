"""Matches a foreign graph with operations of CNNGen, one by one, in its order.

`MATCHERS` is the whole of it: what each primitive becomes. What a primitive changes without being
an operation, such as zeros around a map, stands on the value until the operation that takes it up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Literal

import numpy as np

from cnngen.backend.model_access import Array
from cnngen.errors import CnnGenError, ModelError
from cnngen.importing import foreign
from cnngen.importing.foreign import NO_PADS, ForeignGraph, ForeignNode, Pads
from cnngen.operations import (
    DEPTHWISE,
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
    Pool,
    shapes,
)
from cnngen.operations.hyperparameters import VALUE_WORDS
from cnngen.operations.shapes import Padding, Shape, dilated_extent, output_size, same_padding

ODD_HINT = (
    "Padding on both sides alike is `same` where a map has an odd size: "
    "another size of the images may fit, such as 225x225 in place of 224x224."
)


@dataclass(slots=True)
class MatchedStep:
    """An operation of CNNGen with its weights, and the place in the model that it comes from.

    `inputs` are positions among the steps; `shape` is that of the output, channels last.
    `channels_first` marks a flatten whose model has the channels running slowest.
    """

    operation: Operation
    inputs: tuple[int, ...]
    shape: Shape
    where: str
    weights: dict[str, Array] = field(default_factory=dict)
    channels_first: bool = False


@dataclass(frozen=True, slots=True)
class Matched:
    """A value of the model: the output of a step, and what the model did to it since.

    `layout` says how its axes lie in the model: a map with channels `first` or `last`, a map of
    one pixel (`pixel`) where CNNGen has a vector, or a vector.
    """

    step: int
    layout: Literal["first", "last", "pixel", "vector"]
    pads: Pads = NO_PADS
    steps: tuple[int, int] = (1, 1)
    where: str = ""

    @property
    def is_plain(self) -> bool:
        return self.pads == NO_PADS and self.steps == (1, 1)


class Misfit(Exception):
    """Why an operation is not in the language, and what would be."""

    def __init__(self, reason: str, hint: str | None = None) -> None:
        super().__init__(reason)
        self.hint = hint


def matched(graph: ForeignGraph) -> list[MatchedStep]:
    """The operations of a model, the input first, the output last.

    Raises `ModelError` that names the first operation that is not in the language, and why.
    """
    matcher = Matcher(graph)
    for node in graph.nodes:
        try:
            matcher.take(node)
        except Misfit as misfit:
            raise ModelError(
                f"{node.where} is not in the language: {misfit}",
                hint=misfit.hint,
                operation=node.name,
            ) from None
        except CnnGenError as error:
            raise ModelError(
                f"{node.where} is not in the language: {error.message}",
                hint=error.hint,
                operation=node.name,
            ) from None
    last = matcher.values.get(graph.output)
    if last is None:
        raise ModelError("the output of the model does not come from its images")
    if not last.is_plain or last.layout == "pixel":
        what = "keeps the axes of its global pooling" if last.is_plain else "ends with a padding"
        raise ModelError(f"the model {what}, which is not in the language")
    return _with_activations(matcher.steps, last.step)


class Matcher:
    """The steps that have been matched so far."""

    def __init__(self, graph: ForeignGraph) -> None:
        shape = graph.input_shape
        self.steps = [MatchedStep(Input(shape), (), shape, "the input")]
        layout: Literal["first", "last"] = "last" if graph.channels_last else "first"
        self.values = {graph.input: Matched(0, layout)}
        self.joined: dict[tuple[type[Operation], int, int], Matched] = {}

    def take(self, node: ForeignNode) -> None:
        """Match the next node. Raises `Misfit`, or `CnnGenError` of an operation."""
        if isinstance(node.does, foreign.Unknown):
            raise Misfit(node.does.reason)
        inputs = []
        for name in node.inputs:
            if name not in self.values:
                raise Misfit(f"it reads '{name}', which no operation before it gives")
            inputs.append(self.values[name])
        self.values[node.output] = MATCHERS[type(node.does)](self, node, node.does, inputs)

    def shape(self, value: Matched) -> Shape:
        return self.steps[value.step].shape

    def map_shape(self, value: Matched) -> tuple[int, int, int]:
        """Height, width and channels of a map with its channels first."""
        if value.layout != "first":
            raise Misfit("it does not read a map with its channels first")
        height, width, channels = self.shape(value)
        return height, width, channels

    def plain(self, value: Matched) -> Matched:
        """A value to which the model has done nothing that is still to be taken up."""
        if not value.is_plain:
            what = "zeros that are padded" if value.pads != NO_PADS else "a stride"
            raise Misfit(f"it reads {what} at {value.where}, and only a convolution has its own")
        return value

    def append(
        self,
        node: ForeignNode,
        operation: Operation,
        inputs: Sequence[Matched],
        layout: Literal["first", "pixel", "vector"] | None = None,
        weights: Mapping[str, Array] | None = None,
    ) -> Matched:
        """A step behind others; the layout of its output is that of its input unless given."""
        before = [self.shape(value) for value in inputs]
        shape = operation.output_shape(*before)
        if min(shape) < 1:
            raise Misfit(f"its window does not fit into a map of {shapes.text(before[0])}")
        wanted = {weight.name: weight.shape for weight in operation.weights(*before)}
        given = {name: np.asarray(array, np.float32) for name, array in (weights or {}).items()}
        for name, own in wanted.items():
            if given[name].shape != own:
                raise Misfit(f"its {name} is {given[name].shape}, not {own}")
        positions = tuple(value.step for value in inputs)
        self.steps.append(MatchedStep(operation, positions, shape, node.where, given))
        return Matched(len(self.steps) - 1, layout or inputs[0].layout)


def _convolved(
    matcher: Matcher, node: ForeignNode, does: foreign.Convolved, inputs: list[Matched]
) -> Matched:
    (value,) = inputs
    kernel_height, kernel_width, each, filters = does.kernel.shape
    if min((*does.kernel.shape, *does.dilation, does.groups)) < 1:
        raise Misfit("its kernel, dilation or number of groups is none")
    if value.layout == "pixel" and (kernel_height, kernel_width, does.groups) == (1, 1, 1):
        # On a map of one pixel it is a dense layer.
        if does.pads not in (NO_PADS, "same", "valid"):
            raise Misfit("it pads a map of one pixel")
        bias = np.zeros(filters) if does.bias is None else does.bias
        weights = {"kernel": does.kernel.reshape(each, filters), "bias": bias}
        return matcher.append(node, Dense(filters), inputs, weights=weights)
    height, width, channels = matcher.map_shape(value)
    if each * does.groups != channels:
        raise Misfit(f"it reads {each * does.groups} channels, there are {channels}")
    pads, stride = does.pads, does.stride
    if value.steps != (1, 1):
        if (kernel_height, kernel_width) != (1, 1) or pads not in (NO_PADS, "same", "valid"):
            raise Misfit(f"it reads a stride at {value.where}, and its window is not one pixel")
        stride = (stride[0] * value.steps[0], stride[1] * value.steps[1])
    if value.pads != NO_PADS:
        own = NO_PADS if pads == "valid" else pads
        if own == "same":
            raise Misfit("it pads a map that is padded already")
        pads = _together(value.pads, own)
    extent = (
        dilated_extent(kernel_height, does.dilation[0]),
        dilated_extent(kernel_width, does.dilation[1]),
    )
    padding = _padding((height, width), extent, stride, pads, stated=does.stated)
    depthwise = does.groups == channels > 1
    conv = Conv2d(
        filters,
        (kernel_height, kernel_width),
        stride,
        padding,
        bias=does.bias is not None,
        groups=DEPTHWISE if depthwise else does.groups,
        dilation=does.dilation,
    )
    weights = {"kernel": does.kernel} | ({} if does.bias is None else {"bias": does.bias})
    return matcher.append(node, conv, inputs, weights=weights)


def _together(first: Pads, second: Pads) -> Pads:
    above, left, below, right = (a + b for a, b in zip(first, second, strict=True))
    return above, left, below, right


def _padding(
    size: tuple[int, int],
    extent: tuple[int, int],
    stride: tuple[int, int],
    pads: Pads | Literal["same", "valid"],
    *,
    stated: bool,
    ceiled: bool = False,
) -> Padding:
    """The word that pads a map as the model does. Where both do, it is `same` if `stated`."""
    if min((*extent, *stride)) < 1 or (not isinstance(pads, str) and min(pads) < 0):
        raise Misfit("its window, stride or padding is none")
    if isinstance(pads, str):
        return pads
    ends = ((pads[0], pads[2]), (pads[1], pads[3]))
    fits: list[Padding] = []
    words: tuple[Padding, ...] = ("same", "valid") if stated else ("valid", "same")
    for word in words:
        if all(
            _pads_as(word, *axis, ceiled=ceiled)
            for axis in zip(size, extent, stride, ends, strict=True)
        ):
            fits.append(word)
    if fits:
        return fits[0]
    axes = zip(("height", "width"), size, extent, stride, ends, strict=True)
    for name, length, window, step, own in axes:
        if not any(_pads_as(word, length, window, step, own, ceiled=ceiled) for word in words):
            wanted = same_padding(length, window, step)
            other = range(length + 1, length + step + 1)
            raise Misfit(
                f"this padding is not in the language. Of a {name} of {length} it pads {own[0]} "
                f"before and {own[1]} after, `same` pads {wanted[0]} and {wanted[1]}, `valid` none",
                ODD_HINT
                if any(_pads_as("same", near, window, step, own, ceiled=ceiled) for near in other)
                else None,
            )
    raise Misfit("this padding is not in the language: `same` along one axis, `valid` the other")


def _pads_as(
    word: Padding, size: int, window: int, step: int, pads: tuple[int, int], *, ceiled: bool
) -> bool:
    """Whether windows lie on the same pixels along an axis. Padding that none reaches is none."""
    room = size + sum(pads) - window
    count = room // step + 1
    if ceiled and room % step and count * step < size + pads[0]:
        count += 1  # a window that hangs over begins on the map or the padding before it
    before = same_padding(size, window, step)[0] if word == "same" else 0
    return pads[0] == before and count == output_size(size, window, step, word)


def _pooled(
    matcher: Matcher, node: ForeignNode, does: foreign.Pooled, inputs: list[Matched]
) -> Matched:
    (value,) = inputs
    height, width, _ = matcher.map_shape(matcher.plain(value))
    padding = _padding(
        (height, width), does.size, does.stride, does.pads, stated=does.stated, ceiled=does.ceiled
    )
    axes = zip((height, width), does.size, does.stride, strict=True)
    if (
        (does.pooling, does.counted, padding) == ("avg", True, "same")
        and does.pads != NO_PADS
        and any(any(same_padding(*axis)) for axis in axes)
    ):
        raise Misfit("its padding counts for the mean, and in the language it does not")
    return matcher.append(node, Pool(does.pooling, does.size, does.stride, padding), inputs)


def _pooled_to(
    matcher: Matcher, node: ForeignNode, does: foreign.PooledTo, inputs: list[Matched]
) -> Matched:
    (value,) = inputs
    if value.layout == "pixel":
        return value
    height, width, _ = matcher.map_shape(matcher.plain(value))
    rows, columns = does.size
    if (rows, columns) == (1, 1):
        layout: Literal["pixel", "vector"] = "pixel" if does.keeps_axes else "vector"
        return matcher.append(node, GlobalPool(does.pooling), inputs, layout)
    if (rows, columns) == (height, width):
        return value
    if height % rows or width % columns:
        raise Misfit(f"it shares {height}x{width} pixels out among {rows}x{columns}, unevenly")
    size = (height // rows, width // columns)
    return matcher.append(node, Pool(does.pooling, size, size, "valid"), inputs)


def _normalised(
    matcher: Matcher, node: ForeignNode, does: foreign.Normalised, inputs: list[Matched]
) -> Matched:
    if inputs[0].layout in ("vector", "pixel"):
        raise Misfit("it normalises vectors, and the language normalises maps")
    matcher.map_shape(matcher.plain(inputs[0]))
    weights = {
        "scale": does.scale, "shift": does.shift, "mean": does.mean, "variance": does.variance,
    }  # fmt: skip
    return matcher.append(node, BatchNorm(does.epsilon), inputs, weights=weights)


def _activated(
    matcher: Matcher, node: ForeignNode, does: foreign.Activated, inputs: list[Matched]
) -> Matched:
    if VALUE_WORDS.get(does.function) is None:
        raise Misfit(f"the language has no activation {does.function}")
    (value,) = inputs
    if value.pads != NO_PADS or value.layout == "last":
        matcher.plain(value)
        raise Misfit("it reads a map with its channels last")
    # A function of each number: a stride may come before or after it.
    made = matcher.append(node, Activate(does.function), inputs)  # type: ignore[arg-type]
    return replace(made, steps=value.steps, where=value.where)


def _multiplied(
    matcher: Matcher, node: ForeignNode, does: foreign.Multiplied, inputs: list[Matched]
) -> Matched:
    if inputs[0].layout != "vector":
        raise Misfit("it multiplies maps, and a dense layer reads vectors")
    bias = np.zeros(does.kernel.shape[1]) if does.bias is None else does.bias
    weights = {"kernel": does.kernel, "bias": bias}
    return matcher.append(node, Dense(does.kernel.shape[1]), inputs, weights=weights)


def _summed(
    matcher: Matcher, node: ForeignNode, does: foreign.Summed, inputs: list[Matched]
) -> Matched:
    return _joined_by(matcher, node, Add(), inputs)


def _joined(
    matcher: Matcher, node: ForeignNode, does: foreign.Joined, inputs: list[Matched]
) -> Matched:
    if does.axis not in (1, -3):
        raise Misfit("it joins along another axis than the channels")
    return _joined_by(matcher, node, Concat(), inputs)


def _joined_by(
    matcher: Matcher, node: ForeignNode, join: Operation, inputs: list[Matched]
) -> Matched:
    """A join of two columns or more."""
    first, *others = map(matcher.plain, inputs)
    # Networks such as DenseNet join the same maps again and again, with another one behind.
    while others and (known := matcher.joined.get((type(join), first.step, others[0].step))):
        first = known
        others.pop(0)
    if not others:
        return first
    height, width, channels = matcher.map_shape(first)
    for other in others:
        size = matcher.map_shape(other)
        if size[:2] != (height, width) or (join.joined == "added" and size[2] != channels):
            raise Misfit(
                f"it joins {shapes.text((height, width, channels))} and {shapes.text(size)}"
            )
    made = matcher.append(node, join, [first, *others])
    if len(others) == 1:
        matcher.joined[type(join), first.step, others[0].step] = made
    return made


def _dropped(
    matcher: Matcher, node: ForeignNode, does: foreign.Dropped, inputs: list[Matched]
) -> Matched:
    matcher.plain(inputs[0])
    if inputs[0].layout == "last":
        raise Misfit("it reads a map with its channels last")
    return matcher.append(node, Dropout(does.rate), inputs)


def _permuted(
    matcher: Matcher, node: ForeignNode, does: foreign.Permuted, inputs: list[Matched]
) -> Matched:
    value = matcher.plain(inputs[0])
    match value.layout, does.axes:
        case "first", (0, 2, 3, 1):
            return replace(value, layout="last")
        case "last", (0, 3, 1, 2):
            return replace(value, layout="first")
        case _, axes if axes == tuple(range(len(axes))):
            return value
        case "pixel", (0, 2, 3, 1):
            return value
    raise Misfit(f"it puts axes into the order {does.axes}")


def _reshaped(
    matcher: Matcher, node: ForeignNode, does: foreign.Reshaped, inputs: list[Matched]
) -> Matched:
    value = matcher.plain(inputs[0])
    shape = matcher.shape(value)
    features = prod(shape)
    if len(does.shape) != 2 or does.shape[1] not in (-1, features):
        raise Misfit(f"it gives the shape {does.shape}; the language flattens to a vector")
    if value.layout == "vector":
        return value
    if value.layout == "pixel":
        return replace(value, layout="vector")
    flat = matcher.append(node, Flatten(), [value], "vector")
    matcher.steps[flat.step].channels_first = value.layout == "first"
    return flat


def _padded(
    matcher: Matcher, node: ForeignNode, does: foreign.Padded, inputs: list[Matched]
) -> Matched:
    value = inputs[0]
    matcher.map_shape(value)
    if value.steps != (1, 1) or min(does.pads) < 0:
        raise Misfit("it cuts pixels off, or pads behind a stride")
    return replace(value, pads=_together(value.pads, does.pads), where=node.where)


def _sliced(
    matcher: Matcher, node: ForeignNode, does: foreign.Sliced, inputs: list[Matched]
) -> Matched:
    (value,) = inputs
    height, width, _ = matcher.map_shape(value)
    if does.axis % 4 not in (2, 3) or value.pads != NO_PADS:
        raise Misfit("it takes a part of the channels, of the batch, or of padded pixels")
    across = does.axis % 4 - 2
    size = (height, width)[across]
    if does.stop < size or does.start < 0 or does.step < 1:
        raise Misfit(f"it takes a part of the {('rows', 'columns')[across]} of a map")
    if does.start:
        raise Misfit(f"it leaves out the first {('rows', 'columns')[across]} of a map")
    down, right = value.steps
    steps = (down, right * does.step) if across else (down * does.step, right)
    return replace(value, steps=steps, where=node.where)


def _product(
    matcher: Matcher, node: ForeignNode, does: foreign.Product, inputs: list[Matched]
) -> Matched:
    raise Misfit("it multiplies two computed values, and the language adds and concatenates")


def _by_a_constant(
    matcher: Matcher,
    node: ForeignNode,
    does: foreign.Shifted | foreign.Scaled,
    inputs: list[Matched],
) -> Matched:
    verb = "adds a constant to" if isinstance(does, foreign.Shifted) else "scales"
    raise Misfit(f"it {verb} its input by itself, and the language has that in layers alone")


def _kept(
    matcher: Matcher, node: ForeignNode, does: foreign.Kept, inputs: list[Matched]
) -> Matched:
    return inputs[0]


MATCHERS: dict[
    type[foreign.Primitive], Callable[[Matcher, ForeignNode, Any, list[Matched]], Matched]
] = {
    foreign.Convolved: _convolved,
    foreign.Normalised: _normalised,
    foreign.Activated: _activated,
    foreign.Pooled: _pooled,
    foreign.PooledTo: _pooled_to,
    foreign.Padded: _padded,
    foreign.Sliced: _sliced,
    foreign.Permuted: _permuted,
    foreign.Reshaped: _reshaped,
    foreign.Multiplied: _multiplied,
    foreign.Shifted: _by_a_constant,
    foreign.Scaled: _by_a_constant,
    foreign.Summed: _summed,
    foreign.Product: _product,
    foreign.Joined: _joined,
    foreign.Dropped: _dropped,
    foreign.Kept: _kept,
}
"""What each primitive becomes, given its node and the values that it reads."""


def _with_activations(steps: list[MatchedStep], last: int) -> list[MatchedStep]:
    """The steps that lead to the last one, with activations drawn into the layers before them."""
    needed = {last}
    uses: Counter[int] = Counter()
    for position in range(last, -1, -1):
        if position in needed:
            needed.update(steps[position].inputs)
            uses.update(steps[position].inputs)
    kept: list[MatchedStep] = []
    places: dict[int, int] = {}
    for position, step in enumerate(steps[: last + 1]):
        if position not in needed and position:
            continue
        before = kept[places[step.inputs[0]]] if step.inputs else step
        layer = before.operation
        if (
            step.operation.field_names() == ("activation",)
            and layer.learns_kernel
            and layer.nonlinearity == "linear"
            and uses[step.inputs[0]] == 1
        ):
            activation: Any = step.operation.nonlinearity
            before.operation = replace(layer, activation=activation)  # type: ignore[call-arg]
            places[position] = places[step.inputs[0]]
            continue
        places[position] = len(kept)
        kept.append(replace(step, inputs=tuple(places[i] for i in step.inputs)))
    return kept
