"""Compute a network's figures in a framework's own process, and check them in ours."""

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
    """The figures that a framework computes in one precision.

    `outputs` are those in inference mode. `loss` and `gradients`, the latter by name such as
    `conv1.kernel`, are those of the first batch in training mode; `curve` are the losses of
    the training steps. A backbone, or a backend without gradients, has outputs only.
    """

    outputs: Array
    loss: float | None
    gradients: Mapping[str, Array]
    curve: Array


def figures(process: ModeProcess, question: Question) -> dict[str, Figures]:
    """Compute the figures of a mode in each precision that it supports.

    Raises `ModeError` for any fault of its backend, including wrong shapes.
    """
    found = {}
    for precision in PRECISIONS:
        asked = question.in_precision(precision)
        arrays, told = unpack(process.call(compute, asked, precision))
        if told is not None:
            found[precision] = _checked(process, asked, precision, arrays, told)
    return found


def here(backend: str, question: Question) -> dict[str, Figures]:
    """Compute the figures in this process, unchecked, for a backend that may be loaded here."""
    found = {}
    for precision in PRECISIONS:
        arrays, told = unpack(compute(backend, question.in_precision(precision), precision))
        if told is not None:
            outputs, curve = arrays.pop("outputs"), np.array(told["curve"] or [])
            found[precision] = Figures(outputs, told["loss"], arrays, curve)
    return found


def outputs(process: ModeProcess, network: Network, weights: Weights, images: Array) -> Array:
    """Compute a network's outputs in inference mode. Raises `ModeError` as `figures` does."""
    own = {node.name: weights[node.name] for node in network.nodes if node.name in weights}
    arrays, _ = unpack(process.call(_outputs, network, own, images))
    shape = (len(images), *network.output_shape)
    return _array(process, arrays.get("outputs"), shape, images.dtype.name, "outputs")


def compute(backend: str, question: Question, precision: str) -> bytes:
    """Compute the figures in the framework's process; empty if it lacks the precision."""
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
    # The outputs of a backend that cannot train can still be compared.
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
    """Check names, shapes and types; raise `ModeError` for any that are wrong."""
    network = question.network
    shape = (len(question.batches[0].images), *network.output_shape)
    found = _array(process, arrays.pop("outputs", None), shape, precision, "outputs")
    if told["loss"] is None:
        return Figures(found, None, {}, np.zeros(0))
    wanted = question.trained
    if odd := sorted(arrays.keys() ^ wanted.keys()):
        fault = "returns no" if odd[0] in wanted else "returns an unexpected"
        raise ModeError(f"{process.mode} {fault} gradient for {odd[0]}")
    gradients = {
        name: _array(process, arrays[name], shape, precision, f"gradient of {name}")
        for name, shape in wanted.items()
    }
    curve = told["curve"]
    if curve is not None and len(curve) != question.steps:
        raise ModeError(
            f"{process.mode} returns {len(curve)} losses for {question.steps} training steps"
        )
    return Figures(found, told["loss"], gradients, np.array(curve or []))


def _array(
    process: ModeProcess, array: Array | None, shape: shapes.Shape, precision: str, what: str
) -> Array:
    if array is None:
        raise ModeError(f"{process.mode} returns no {what}")
    if array.shape != shape:
        found = shapes.text(array.shape)
        raise ModeError(f"{process.mode} returns {what} of {found}, not {shapes.text(shape)}")
    if array.dtype.name != precision:
        raise ModeError(f"{process.mode} returns {what} in {array.dtype}, not {precision}")
    return array
