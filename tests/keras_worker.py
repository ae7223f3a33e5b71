"""What the tests have Keras do under one engine, in that engine's process."""

from __future__ import annotations

import contextlib
import io
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


def run_script(_: str, source: str, data: Path) -> bytes:
    """What a file prints when it is run as a script."""
    module = ModuleType("__main__")
    sys.argv = ["script.py", str(data), "--epochs", "12", "--learning-rate", "0.01"]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(source, "script.py", "exec"), module.__dict__)
    return printed.getvalue().encode()
