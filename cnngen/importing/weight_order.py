"""Weights of a model in the order that CNNGen's network wants.

Where the model joins the right side of a merge first, or flattens with its channels running
slowest, CNNGen has the same numbers in another order, and the weights behind follow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnngen.backend.model_access import Array
from cnngen.errors import ModelError
from cnngen.importing.matching import MatchedStep
from cnngen.operations import Add, BatchNorm, Concat, Conv2d, Dense, Flatten, Operation
from cnngen.operations.shapes import Shape

Places = NDArray[np.intp] | None
"""For each channel of CNNGen's, or each number of a vector, its place in the model; None where
they are the same."""

OwnWeights = dict[str, Array]


def in_cnngens_order(
    steps: Sequence[MatchedStep], order: Sequence[tuple[int, bool]]
) -> list[OwnWeights]:
    """The weights of the steps in an order, each with whether the sides of a join are swapped.

    Raises `ModelError` for an operation that cannot follow the new order.
    """
    places: dict[int, Places] = {0: None}
    found: list[OwnWeights] = []
    for position, swapped in order:
        step = steps[position]
        reads = [places[i] for i in step.inputs]
        read_shapes = [steps[i].shape for i in step.inputs]
        pass_on = PASSES.get(type(step.operation), _as_it_comes)
        weights, places[position] = pass_on(step, reads, read_shapes, swapped)
        found.append(weights)
    if places[len(steps) - 1] is not None:
        raise ModelError(
            f"{steps[-1].where}: the language would put out the same numbers in another order"
        )
    return found


def _as_it_comes(
    step: MatchedStep, reads: list[Places], read_shapes: list[Shape], swapped: bool
) -> tuple[OwnWeights, Places]:
    return step.weights, reads[0]


def _conv(
    step: MatchedStep, reads: list[Places], read_shapes: list[Shape], swapped: bool
) -> tuple[OwnWeights, Places]:
    (places,) = reads
    conv: Any = step.operation
    if places is None:
        return step.weights, None
    groups = conv.group_count(read_shapes[0])
    if groups == 1:
        return step.weights | {"kernel": step.weights["kernel"][:, :, places]}, None
    if groups != len(places):
        raise ModelError(
            f"{step.where} has {groups} groups of channels, which the language would have in "
            "another order"
        )
    each = conv.filters // groups
    filters = (places[:, None] * each + np.arange(each)).ravel()
    return {name: array[..., filters] for name, array in step.weights.items()}, filters


def _norm(
    step: MatchedStep, reads: list[Places], read_shapes: list[Shape], swapped: bool
) -> tuple[OwnWeights, Places]:
    (places,) = reads
    if places is None:
        return step.weights, None
    return {name: array[places] for name, array in step.weights.items()}, places


def _flatten(
    step: MatchedStep, reads: list[Places], read_shapes: list[Shape], swapped: bool
) -> tuple[OwnWeights, Places]:
    (places,), (shape,) = reads, read_shapes
    height, width, channels = shape
    if places is None and not step.channels_first:
        return step.weights, None
    numbers = np.arange(prod(shape))
    if step.channels_first:
        maps = numbers.reshape(channels, height, width).transpose(1, 2, 0)
    else:
        maps = numbers.reshape(height, width, channels)
    flat = (maps if places is None else maps[:, :, places]).ravel()
    return step.weights, None if np.array_equal(flat, numbers) else flat


def _dense(
    step: MatchedStep, reads: list[Places], read_shapes: list[Shape], swapped: bool
) -> tuple[OwnWeights, Places]:
    (places,) = reads
    if places is None:
        return step.weights, None
    return step.weights | {"kernel": step.weights["kernel"][places]}, None


def _add(
    step: MatchedStep, reads: list[Places], read_shapes: list[Shape], swapped: bool
) -> tuple[OwnWeights, Places]:
    first, *others = reads
    for other in others:
        same = (first is None) == (other is None)
        if not same or (first is not None and not np.array_equal(first, other)):  # type: ignore[arg-type]
            raise ModelError(
                f"{step.where} sums channels which the language would have in two orders"
            )
    return step.weights, first


def _concat(
    step: MatchedStep, reads: list[Places], read_shapes: list[Shape], swapped: bool
) -> tuple[OwnWeights, Places]:
    if not swapped and all(places is None for places in reads):
        return step.weights, None
    parts, before = [], 0
    for places, shape in zip(reads, read_shapes, strict=True):
        parts.append((np.arange(shape[2]) if places is None else places) + before)
        before += shape[2]
    return step.weights, np.concatenate(parts[::-1] if swapped else parts)


PASSES: dict[
    type[Operation],
    Callable[[MatchedStep, list[Places], list[Shape], bool], tuple[OwnWeights, Places]],
] = {
    Conv2d: _conv,
    BatchNorm: _norm,
    Flatten: _flatten,
    Dense: _dense,
    Add: _add,
    Concat: _concat,
}
"""How an operation changes the order; all others keep it."""
