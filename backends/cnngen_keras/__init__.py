"""Keras 3 for CNNGen, on TensorFlow, PyTorch or JAX."""

from __future__ import annotations

import json
import os
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import ClassVar

from cnngen.backend import Backend
from cnngen.network import Network
from cnngen_keras.source import emit

ENGINES = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "torch": ("torch",),
    "jax": ("jax",),
}
"""Keras's own backends, and the packages that bring each."""


class KerasBackend(Backend):
    """One functional `keras.Model` a network."""

    name = "keras"
    interface = 1
    install = "pip install 'cnngen[tensorflow]'  # or 'cnngen[jax]', 'cnngen[torch,keras]'"
    capabilities: ClassVar[frozenset[str]] = frozenset({"emit", "script"})

    def version(self) -> str | None:
        """Versions of Keras and of the engine that it would start with."""
        keras = _installed("keras")
        name = engine()
        version = next(filter(None, map(_installed, ENGINES.get(name, ()))), None)
        return f"keras {keras}, {name} {version}" if keras and version else None

    def emit(self, network: Network, *, script: bool = False) -> str:
        """Source with a function `build() -> keras.Model`."""
        return emit(network, script=script)


def engine() -> str:
    """The engine that Keras would start with, chosen as Keras chooses it."""
    if named := os.environ.get("KERAS_BACKEND"):
        return named
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        return str(json.loads((home / "keras.json").read_text())["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return "tensorflow"


def _installed(package: str) -> str | None:
    try:
        return installed(package)
    except PackageNotFoundError:
        return None
