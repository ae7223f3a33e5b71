"""The weights of an emitted `Net`, by CNNGen's names (see `cnngen.backend.model_access.Weights`).

Flax's axes are CNNGen's.
"""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from cnngen.backend.model_access import Array, Weights, paired
from cnngen.errors import BackendError

NAMES: dict[type[nnx.Module], dict[str, str]] = {
    nnx.Conv: {"kernel": "kernel", "bias": "bias"},
    nnx.Linear: {"kernel": "kernel", "bias": "bias"},
    nnx.BatchNorm: {"scale": "scale", "bias": "shift", "mean": "mean", "var": "variance"},
}
"""CNNGen's names of the weights that each kind of module has."""

PARTS = {"squeeze": "", "excite": "2"}
"""The dense layers of a squeeze-and-excitation, and the ends of their weights' names."""


def weights(model: nnx.Module, *, trained: bool = False) -> Weights:
    """Copies of all weights, or of those that are trained, without running statistics."""
    found: dict[str, dict[str, Array]] = {}
    for operation, name, variable in _variables(model):
        if isinstance(variable, nnx.Param) or not trained:
            found.setdefault(operation, {})[name] = np.array(variable[...])
    return found


def parameters(model: nnx.Module) -> int:
    """How many numbers are trained."""
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


def set_weights(model: nnx.Module, weights: Weights) -> None:
    """Put weights into the model, in the precision they have.

    Raises `BackendError` for weights that the model lacks, or that are not given.
    """
    for array, variable in paired(weights, _variables(model)):
        variable.set_value(jnp.asarray(array))


def _variables(model: nnx.Module) -> Iterator[tuple[str, str, nnx.Variable[jax.Array]]]:
    """Each weight with its operation's name and its own.

    Raises `BackendError` for a kind of module whose weights have no names here.
    """
    for operation, module in nnx.iter_children(model):
        if type(module) in NAMES:
            known = {"": module}
        else:
            inner = dict(nnx.iter_children(module))  # in the order of the alphabet
            known = {end: inner[part] for part, end in PARTS.items() if part in inner}
        if parameters(module) != sum(map(parameters, known.values())):
            raise BackendError(
                f"the flax backend has no names for the weights of nnx.{type(module).__name__}"
            )
        for end, part in known.items():
            for attribute, name in NAMES[type(part)].items():
                variable = getattr(part, attribute)
                if variable is not None:
                    yield str(operation), name + end, variable
