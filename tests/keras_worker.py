"""Runs emitted Keras files under one engine: a process of its own, since TensorFlow and PyTorch
do not share one. Called by the conformance kit with a folder of cases. In the folder that BESIDE
names it also trains by `script.py`, and builds `deep.py` where that is; writes `results.json`.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import keras
import numpy as np

from cnngen.testing import Runner, Weights, serve

NAMES = {
    "Conv2D": ("kernel", "bias"),
    "Dense": ("kernel", "bias"),
    "BatchNormalization": ("scale", "shift", "mean", "variance"),
}
"""The kit's names of a layer's weights, in the order of Keras; their axes are Keras's."""


class KerasRunner(Runner[keras.Model]):
    """`build()` of an emitted file."""

    def build(self, source: str) -> keras.Model:
        return load(source).build()

    def weights(self, model: keras.Model) -> Weights:
        return {
            layer.name: dict(zip(NAMES[type(layer).__name__], layer.get_weights(), strict=False))
            for layer in model.layers
            if layer.get_weights()
        }

    def set_weights(self, model: keras.Model, weights: Weights) -> None:
        for name, own in weights.items():
            layer = model.get_layer(name)
            layer.set_weights([own[w] for w in NAMES[type(layer).__name__] if w in own])

    def outputs(self, model: keras.Model, images: np.ndarray) -> np.ndarray:
        return keras.ops.convert_to_numpy(model(images, training=False))

    def parameters(self, model: keras.Model) -> int:
        trained = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
        assert model.count_params() == sum(int(np.prod(w.shape)) for w in model.weights)
        return trained

    def shapes(self, model: keras.Model) -> dict[str, tuple[int, ...]]:
        return {layer.name: layer.output.shape[1:] for layer in model.layers}


def load(source: str) -> ModuleType:
    module = ModuleType("emitted")
    exec(compile(source, "emitted.py", "exec"), module.__dict__)
    return module


def train(source: str, data: Path) -> str:
    """What a file prints when it is run as a script."""
    module = ModuleType("__main__")
    sys.argv = ["script.py", str(data), "--epochs", "12", "--learning-rate", "0.01"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(source, "script.py", "exec"), module.__dict__)
    return printed.getvalue()


if __name__ == "__main__":
    serve(KerasRunner())
    beside = Path(os.environ["BESIDE"])
    results = {"engine": keras.backend.backend()}
    results["script"] = train((beside / "script.py").read_text(), beside / "data.npz")
    if (beside / "deep.py").exists():
        results["deep"] = len(load((beside / "deep.py").read_text()).build().layers)
    (beside / "results.json").write_text(json.dumps(results))
