"""The weights of an emitted model, by CNNGen's names (see `cnngen.backend.model_access.Weights`).

Keras's axes are CNNGen's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import keras
import numpy as np

from cnngen.backend.model_access import Array, Weights, paired
from cnngen.errors import BackendError

NAMES = {
    "Conv2D": ("kernel", "bias"),
    "Dense": ("kernel", "bias"),
    "BatchNormalization": ("scale", "shift", "mean", "variance"),
}
"""CNNGen's names of the weights that each kind of layer has, in Keras's order."""

PARTS = {"squeeze": "", "excite": "2"}
"""The dense layers of a squeeze-and-excitation, and the ends of their weights' names."""


def weights(model: keras.Model) -> Weights:
    """Copies of all weights, running statistics too."""
    found: dict[str, dict[str, Array]] = {}
    for operation, name, variable in _weights(model):
        value = np.array(keras.ops.convert_to_numpy(variable))
        found.setdefault(operation, {})[name] = value
    return found


def by_name(model: keras.Model, values: Sequence[object]) -> Weights:
    """Values of the trained weights by name, given in the order of `model.trainable_weights`."""
    places = {variable.path: (operation, name) for operation, name, variable in _weights(model)}
    found: dict[str, dict[str, Array]] = {}
    for variable, value in zip(model.trainable_weights, values, strict=True):
        operation, name = places[variable.path]
        found.setdefault(operation, {})[name] = np.array(keras.ops.convert_to_numpy(value))
    return found


def parameters(model: keras.Model) -> int:
    """How many numbers are trained."""
    return sum(prod(weight.shape) for weight in model.trainable_weights)


def set_weights(model: keras.Model, weights: Weights) -> None:
    """Copy weights into the model, in its own precision.

    Raises `BackendError` for weights that the model lacks, or that are not given.
    """
    for array, variable in paired(weights, _weights(model)):
        variable.assign(array)


def _weights(model: keras.Model) -> Iterator[tuple[str, str, keras.Variable]]:
    """Each weight with its operation's name and its own.

    Raises `BackendError` for a kind of layer whose weights have no names here.
    """
    excites = {layer.name for layer in model.layers if type(layer).__name__ == "Multiply"}
    for layer in model.layers:
        names = NAMES.get(type(layer).__name__, ())
        operation, _, part = layer.name.rpartition("_")
        if operation not in excites or part not in PARTS:
            operation, part = layer.name, ""
        if not names and layer.trainable_weights:
            raise BackendError(
                f"the keras backend has no names for the weights of {type(layer).__name__}"
            )
        # A layer without biases has fewer weights than names.
        for name, variable in zip(names, layer.weights, strict=False):
            yield operation, name + PARTS.get(part, ""), variable
