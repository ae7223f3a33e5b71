"""Access to an emitted model: its weights, outputs and gradients, by names every backend shares.

A runner runs what the backend emits, in this process. Weights have names and axes of their own,
whatever the framework's, so that they can be copied from one to another.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from cnngen.errors import BackendError
from cnngen.operations.shapes import Shape

if TYPE_CHECKING:
    from cnngen.training.protocol import Protocol

Array = npt.NDArray[np.floating[Any]]
Labels = npt.NDArray[np.int64]
Variable = TypeVar("Variable")

Weights = Mapping[str, Mapping[str, Array]]
"""The weights of each operation that has any, by its name in the network: `kernel` (height,
width, inputs, outputs) and `bias` of a convolution, `kernel` (inputs, outputs) and `bias` of a
dense layer, `scale`, `shift`, `mean` and `variance` of a batch norm."""

Model = TypeVar("Model")


def paired(
    given: Weights, there: Iterable[tuple[str, str, Variable]]
) -> Iterator[tuple[Array, Variable]]:
    """Each given weight with the variable of the model that has its operation and name.

    `there` are the model's, each with both. Raises `BackendError`, before the first pair, for
    a weight that only one side has: it would silently keep its first value.
    """
    variables = {(operation, name): variable for operation, name, variable in there}
    arrays = {(operation, name): a for operation, own in given.items() for name, a in own.items()}
    for key in arrays.keys() - variables.keys():
        raise BackendError(f"the model has no weight '{'.'.join(key)}'")
    for key in variables.keys() - arrays.keys():
        raise BackendError(f"no values are given for the weight '{'.'.join(key)}'")
    return ((arrays[key], variable) for key, variable in variables.items())


class Batch(NamedTuple):
    """Images (batch, height, width, channels) and their classes (batch,)."""

    images: Array
    labels: Labels


class Runner(ABC, Generic[Model]):
    """Runs what a backend emits: in float32, or in the precision of the weights that were set.

    Images come in that precision, and what comes out are NumPy arrays of it. Images are (batch,
    height, width, channels), and so are maps that come out.
    """

    float64: ClassVar[bool] = False
    """Whether it computes in float64 throughout where weights and images are such."""

    @abstractmethod
    def build(self, source: str) -> Model:
        """The untrained model of an emitted file."""

    @abstractmethod
    def weights(self, model: Model) -> Weights:
        """All weights of a model, by the operation's name."""

    @abstractmethod
    def set_weights(self, model: Model, weights: Weights) -> None:
        """Put other weights in their place, and compute in their precision from now on."""

    def own_model(self, model: Model, *, trained: bool = False) -> Any:
        """The framework's own object of a model, for users: an `nn.Module`, for one.

        A `trained` one is ready to predict.
        """
        return model

    def save(self, model: Model, path: Path) -> None:
        """Write the weights to a file that emitted files load: `Backend.emit_loading`.

        Its name ends with the backend's `weights_suffix`. Nothing in it is code.
        """
        raise BackendError("this backend's files load no weights")

    @abstractmethod
    def outputs(self, model: Model, images: Array) -> Array:
        """The outputs as after training: batch norms use running statistics, dropout is off."""

    def gradients(self, model: Model, batch: Batch) -> tuple[float, Weights]:
        """The mean cross-entropy of the logits, and its gradient for each trained weight.

        As in training: batch norms take the statistics of the batch. Dropout is no concern of
        a runner: no two frameworks draw the same, so networks come here with a rate of 0.
        Running statistics may change. Raises `BackendError` where the backend cannot train.
        """
        raise BackendError("this backend's models have no gradients")

    def losses(self, model: Model, batches: Sequence[Batch], protocol: Protocol) -> list[float]:
        """Train on the batches, one step each and in this order; the loss before each step.

        By the protocol's optimizer and learning rates, in an epoch of so many steps; else as
        for `gradients`. Raises `BackendError` where the backend cannot train.
        """
        raise BackendError("this backend's models cannot be trained")

    def parameters(self, model: Model) -> int | None:
        """How many numbers the framework says it would train; None where it does not count."""
        return None

    def shapes(self, model: Model) -> Mapping[str, Shape]:
        """The output shape of one image for operations whose layers can tell, channels last."""
        return {}
