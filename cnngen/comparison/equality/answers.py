"""What one framework says of a question: computed in its process, checked in ours."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cnngen.backend import get_backend
from cnngen.backend.mode_process import ModeError, ModeProcess
from cnngen.backend.model_access import Array, Weights
from cnngen.backend.weights import flat, pack, unpack
from cnngen.comparison.equality.inputs import Question
from cnngen.errors import BackendError
from cnngen.network import Network
from cnngen.operations import shapes

PRECISIONS = ("float32", "float64")


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """What a framework computes for a question, in one precision.

    `outputs` are those after training. `loss` and `gradients`, by `conv1.kernel` and so on, are
    those of the first batch in training; `curve` are the losses of the training steps. A
    backbone has outputs alone, and so has a backend that has no gradients.
    """

    outputs: Array
    loss: float | None
    gradients: Mapping[str, Array]
    curve: Array


def figures(process: ModeProcess, question: Question) -> dict[str, Figures]:
    """The figures of a mode in each precision that it computes in.

    Raises `ModeError` for whatever its backend does wrong, wrong shapes included.
    """
    found = {}
    for precision in PRECISIONS:
        asked = question.in_precision(precision)
        arrays, told = unpack(process.call(compute, asked, precision))
        if told is not None:
            found[precision] = _checked(process, asked, precision, arrays, told)
    return found


def here(backend: str, question: Question) -> dict[str, Figures]:
    """The same for a backend whose framework may be loaded into this process, unchecked."""
    found = {}
    for precision in PRECISIONS:
        arrays, told = unpack(compute(backend, question.in_precision(precision), precision))
        if told is not None:
            outputs, curve = arrays.pop("outputs"), np.array(told["curve"] or [])
            found[precision] = Figures(outputs, told["loss"], arrays, curve)
    return found


def outputs(process: ModeProcess, network: Network, weights: Weights, images: Array) -> Array:
    """What a mode's model of a network gives after training. Raises `ModeError`."""
    own = {node.name: weights[node.name] for node in network.nodes if node.name in weights}
    arrays, _ = unpack(process.call(_outputs, network, own, images))
    shape = (len(images), *network.output_shape)
    return _array(process, arrays.get("outputs"), shape, images.dtype.name, "outputs")


def compute(backend: str, question: Question, precision: str) -> bytes:
    """In the framework's process: what `figures` wants; nothing where it lacks the precision."""
    chosen = get_backend(backend)
    runner = chosen.runner()
    if precision == "float64" and not runner.float64:
        return pack({})
    model = runner.build(chosen.emit(question.network))
    first = question.batches[0]
    runner.set_weights(model, question.weights)
    found: dict[str, npt.NDArray[Any]] = {"outputs": runner.outputs(model, first.images)}
    told: dict[str, object] = {"loss": None, "curve": None}
    if question.network.is_backbone:
        return pack(found, told)
    # One that cannot train may yet be held against others in its outputs.
    with suppress(BackendError):
        loss, gradients = runner.gradients(model, first)
        told["loss"] = float(loss)
        found |= flat(gradients)
        if question.steps:
            runner.set_weights(model, question.weights)
            losses = runner.losses(model, question.training(), question.protocol)
            told["curve"] = [float(loss) for loss in losses]
    return pack(found, told)


def _outputs(backend: str, network: Network, weights: Weights, images: Array) -> bytes:
    chosen = get_backend(backend)
    runner = chosen.runner()
    model = runner.build(chosen.emit(network))
    runner.set_weights(model, weights)
    return pack({"outputs": runner.outputs(model, images)})


def _checked(
    process: ModeProcess,
    question: Question,
    precision: str,
    arrays: dict[str, npt.NDArray[Any]],
    told: Mapping[str, Any],
) -> Figures:
    """The figures, once they have the names, shapes and types that they must have."""
    network = question.network
    shape = (len(question.batches[0].images), *network.output_shape)
    found = _array(process, arrays.pop("outputs", None), shape, precision, "outputs")
    if told["loss"] is None:
        return Figures(found, None, {}, np.zeros(0))
    wanted = question.trained
    if odd := sorted(arrays.keys() ^ wanted.keys()):
        lacks = "gives no" if odd[0] in wanted else "gives a"
        raise ModeError(f"{process.mode} {lacks} gradient for {odd[0]}")
    gradients = {
        name: _array(process, arrays[name], shape, precision, f"gradient of {name}")
        for name, shape in wanted.items()
    }
    curve = told["curve"]
    if curve is not None and len(curve) != question.steps:
        raise ModeError(
            f"{process.mode} gives {len(curve)} losses for {question.steps} training steps"
        )
    return Figures(found, told["loss"], gradients, np.array(curve or []))


def _array(
    process: ModeProcess, array: Array | None, shape: shapes.Shape, precision: str, what: str
) -> Array:
    if array is None:
        raise ModeError(f"{process.mode} gives no {what}")
    if array.shape != shape:
        found = shapes.text(array.shape)
        raise ModeError(f"{process.mode} gives {what} of {found}, not {shapes.text(shape)}")
    if array.dtype.name != precision:
        raise ModeError(f"{process.mode} gives {what} in {array.dtype}, not {precision}")
    return array
