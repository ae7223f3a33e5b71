"""Builds and runs emitted Keras files under one engine: a process of its own, since
TensorFlow and PyTorch do not share one. Called with a folder of cases; writes `results.json`.

A case is `NAME.py` with `NAME.npz`: `input` (batch, height, width, channels), and PyTorch's
weights keyed `operation.weight`.
"""

import contextlib
import io
import json
import sys
from pathlib import Path
from types import ModuleType

import keras
import numpy as np


def load(path: Path) -> ModuleType:
    module = ModuleType(path.stem)
    exec(compile(path.read_text(), str(path), "exec"), module.__dict__)
    return module


def copy_weights(model: keras.Model, weights: dict[str, np.ndarray]) -> None:
    for layer in model.layers:
        own = {
            key.split(".")[1]: w for key, w in weights.items() if key.split(".")[0] == layer.name
        }
        if "running_mean" in own:
            layer.set_weights(
                [own[k] for k in ("weight", "bias", "running_mean", "running_var")],
            )
        elif own:
            kernel = own["weight"]
            kernel = kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel.T
            layer.set_weights([kernel, *([own["bias"]] if "bias" in own else [])])


def run(path: Path) -> dict:
    model = load(path).build()
    with np.load(path.with_suffix(".npz")) as arrays:
        weights = dict(arrays)
    images = weights.pop("input")
    initial = {
        layer.name: [float(np.abs(w).max()) for w in layer.get_weights()] for layer in model.layers
    }
    copy_weights(model, weights)
    output = keras.ops.convert_to_numpy(model(images, training=False))
    np.save(path.with_suffix(".out.npy"), output)
    return {
        "shapes": {layer.name: layer.output.shape[1:] for layer in model.layers},
        "parameters": model.count_params(),
        "trainable": sum(int(np.prod(w.shape)) for w in model.trainable_weights),
        "dtype": str(output.dtype),
        "initial": initial,
    }


def train(path: Path) -> str:
    """What the file prints when it is run as a script."""
    module = ModuleType("__main__")
    sys.argv = [path.name, "data.npz", "--epochs", "12", "--learning-rate", "0.01"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(path.read_text(), str(path), "exec"), module.__dict__)
    return printed.getvalue()


if __name__ == "__main__":
    results = {"engine": keras.backend.backend()}
    for path in sorted(Path().glob("*.py")):
        if path.stem == "script":
            results["script"] = train(path)
        elif path.stem == "deep":
            results["deep"] = len(load(path).build().layers)
        else:
            results[path.stem] = run(path)
    Path("results.json").write_text(json.dumps(results))
