"""A backend that computes by the operations' definitions, with gradients by finite differences.

It loads no framework. Its modes imitate the faults that a backend can have.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from cnngen.backend import Backend
from cnngen.backend.definitions import cross_entropy, evaluate, random_weights
from cnngen.backend.model_access import Array, Batch, Runner, Weights
from cnngen.backend.weights import by_operation, flat
from cnngen.network import Network

WRONGS = (
    *("good", "raises", "hangs", "dies", "quits", "prints", "crooked", "objects", "half"),
    *("wrong", "uphill", "unnamed", "missing", "unloadable", "hung later"),
)
STEP = 1e-5
"""Step of a central difference. Its error is of the order of the step squared, plus 1e-16 / step."""


def install(folder: Path) -> str:
    """Register the backend, as pip would, for processes with this folder in PYTHONPATH."""
    info = folder / "numeric-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: numeric\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cnngen.backends]\nnumeric = numeric:Numeric\n")
    return str(folder)


class Numeric(Backend):
    name = "numeric"
    interface = 1
    install = "pip install numeric"
    capabilities = frozenset({"emit", "verify"})
    modes = {name: {"NUMERIC": name} for name in WRONGS}  # noqa: RUF012

    def version(self) -> str | None:
        return None if wrong() == "missing" else "numeric 1.0"

    def prepare(self) -> None:
        if wrong() == "unloadable":
            raise ImportError("libnumeric.so: cannot open shared object file")

    def emit(self, network: Network, *, script: bool = False) -> str:
        match wrong():
            case "raises":
                raise ZeroDivisionError("nothing to emit")
            case "quits":
                sys.exit("bye")
            case "hangs" | "hung later":
                print("thinking about it", flush=True)
                time.sleep(1000)
            case "dies":
                os.write(2, b"\x1b[2Jlibnumeric: heap is corrupt\n")
                os._exit(3)
            case "prints":
                os.write(1, os.urandom(300_000) + b"\n+answer\n")
                print("noise", file=sys.stderr)
        return pickle.dumps(network).hex()

    def runner(self) -> Runner[Any]:
        return NumericRunner()


class Model:
    def __init__(self, network: Network) -> None:
        self.network = network
        self.weights = random_weights(network)


class NumericRunner(Runner[Model]):
    float64 = True

    def build(self, source: str) -> Model:
        return Model(pickle.loads(bytes.fromhex(source)))

    def weights(self, model: Model) -> Weights:
        return model.weights

    def set_weights(self, model: Model, weights: Weights) -> None:
        model.weights = weights

    def outputs(self, model: Model, images: Array) -> Array:
        out = evaluate(model.network, model.weights, images)[-1].astype(images.dtype)
        match wrong():
            case "crooked":
                return out[:, :-1]
            case "objects":
                return np.array([object()])
            case "half":
                return out.astype(np.float16)
            case "wrong" if any(node.name == "conv2" for node in model.network.nodes):
                return out * 1.01
        return out

    def gradients(self, model: Model, batch: Batch) -> tuple[float, Weights]:
        network, (images, labels) = model.network, batch
        arrays = {name: array.astype(np.float64) for name, array in flat(model.weights).items()}

        def loss() -> float:
            logits = evaluate(network, by_operation(arrays), images, training=True)[-1]
            return cross_entropy(logits, labels)

        gradients = {}
        for name, array in arrays.items():
            if name.endswith((".mean", ".variance")):
                continue
            gradient = np.zeros_like(array)
            for index in np.ndindex(array.shape):
                value = array[index]
                array[index] = value + STEP
                above = loss()
                array[index] = value - STEP
                gradient[index] = (above - loss()) / (2 * STEP)
                array[index] = value
            gradients[name] = gradient.astype(images.dtype)
        if wrong() == "uphill":
            gradients["conv2.kernel"] *= -1
        if wrong() == "unnamed":
            del gradients["conv2.kernel"]
        return loss(), by_operation(gradients)


def wrong() -> str:
    return os.environ.get("NUMERIC", "good")
