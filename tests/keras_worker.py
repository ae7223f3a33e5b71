"""What the tests have Keras do under one engine, in that engine's process."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from types import ModuleType


def engine(_: str) -> bytes:
    import keras

    return keras.backend.backend().encode()


def layers(_: str, source: str) -> bytes:
    """How many layers the model of a file has."""
    from cnngen_keras.train import load

    return str(len(load(source).layers)).encode()


def saved(_: str, source: str, folder: Path) -> bytes:
    """Whether a model gives the same after it was saved and loaded, in each format of Keras."""
    import keras
    import numpy as np

    from cnngen_keras.train import load

    model = load(source)
    images = np.random.default_rng(0).random((2, *model.input_shape[1:])).astype("float32")
    expected, same = model.predict(images, verbose=0), []
    for name in ("model.h5", "model.keras"):
        model.save(folder / name)
        loaded = keras.saving.load_model(folder / name)
        same.append(bool((loaded.predict(images, verbose=0) == expected).all()))
    return json.dumps(same).encode()


def run_script(_: str, source: str, data: Path) -> bytes:
    """What a file prints when it is run as a script."""
    module = ModuleType("__main__")
    sys.argv = ["script.py", str(data), "--epochs", "12", "--learning-rate", "0.01"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(source, "script.py", "exec"), module.__dict__)
    return printed.getvalue().encode()
