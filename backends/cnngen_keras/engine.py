"""The framework that Keras computes with, and its devices.

Keras fixes it when it is imported. TensorFlow and PyTorch do not share a process: what one
has loaded makes the other abort.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path

from cnngen.errors import BackendError
from cnngen.system.machine import usable_cores

ENGINES = {
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "jax": ("jax",),
    "torch": ("torch",),
}
"""Keras's own backends, and the packages that bring each. The order is that in which they are
taken where nobody has named one: the first is Keras's choice, the last the slowest under it."""

APART = {"tensorflow": "torch", "torch": "tensorflow"}


def engine() -> str:
    """The engine that Keras runs on, or would start with.

    That is the one it has started with; else what the environment variable KERAS_BACKEND
    names; else what Keras's own file names, where that is installed; else the first that is.
    Of the last two, none is taken that could not share this process.
    """
    if "keras" in sys.modules:
        return str(sys.modules["keras"].config.backend())
    if named := os.environ.get("KERAS_BACKEND"):
        return named
    ready = [name for name in ENGINES if version(name) and _foreign(name) is None]
    if (preferred := _in_file()) in ready:
        return preferred
    return next(iter(ready), next(iter(ENGINES)))


def version(name: str) -> str | None:
    """The version of an engine's package; None where it is not installed or not an engine."""
    return next(filter(None, map(package_version, ENGINES.get(name, ()))), None)


def package_version(package: str) -> str | None:
    """The version of an installed package; None where it is missing."""
    try:
        return installed(package)
    except PackageNotFoundError:
        return None


def start() -> str:
    """Choose Keras's engine, before Keras is imported, and return its name.

    Raises `BackendError` where the engine could not share this process, or is missing.
    """
    name = engine()
    if version(name) is None:
        raise BackendError(
            f"Keras cannot run on '{name}', which is not installed",
            hint=f"Set KERAS_BACKEND to one of: {', '.join(filter(version, ENGINES))}.",
        )
    if foreign := _foreign(name):
        raise BackendError(
            f"Keras cannot run on {name} in a process that has loaded {foreign}",
            hint="Train it in a process of its own, or set KERAS_BACKEND=jax before Keras starts.",
        )
    os.environ["KERAS_BACKEND"] = name
    if name == "tensorflow":
        _quieten_tensorflow()
        _limit_tensorflow()
    if name == "torch":
        # As PyTorch's own backend does: where other programs need the cores, threads that wait
        # busily make a step up to 300 times as slow.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    return name


def machine(name: str) -> tuple[str, int, str | None]:
    """The device of a started engine: `cpu` or `cuda`, its threads, and the GPU's name."""
    cores = usable_cores()
    match name:
        case "tensorflow":
            import tensorflow as tf  # type: ignore[import-untyped]

            cards = tf.config.list_physical_devices("GPU")
            details = tf.config.experimental.get_device_details(cards[0]) if cards else {}
            gpu = str(details.get("device_name", "GPU")) if cards else None
            threads = tf.config.threading.get_intra_op_parallelism_threads()
        case "torch":
            import torch

            gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
            threads = torch.get_num_threads()
        case _:
            import jax

            device = jax.devices()[0]
            gpu = None if device.platform == "cpu" else str(device.device_kind)
            threads = 0
    # For TensorFlow zero means as many as there are cores, and JAX does not tell the number.
    return "cuda" if gpu else "cpu", threads or cores or 1, gpu


def capability(name: str) -> tuple[int, int] | None:
    """The compute capability of a started engine's GPU; None on a CPU."""
    match name:
        case "tensorflow":
            import tensorflow as tf

            cards = tf.config.list_physical_devices("GPU")
            details = tf.config.experimental.get_device_details(cards[0]) if cards else {}
            return details.get("compute_capability")
        case "torch":
            import torch

            return torch.cuda.get_device_capability() if torch.cuda.is_available() else None
        case _:
            from cnngen_flax.train import capability

            return capability()


def tf32(name: str, on: bool) -> AbstractContextManager[object]:
    """Let a started engine multiply float32 in TF32 or not: on GPUs that have it, each does by
    default."""
    match name:
        case "tensorflow":
            import tensorflow as tf

            tf.config.experimental.enable_tensor_float_32_execution(on)
            return nullcontext()
        case "torch":
            from cnngen_torch.precision import tf32

            return tf32(on)
        case _:
            import jax

            precision: AbstractContextManager[object] = jax.default_matmul_precision(
                "tensorfloat32" if on else "float32"
            )
            return precision


def _foreign(name: str) -> str | None:
    """The module loaded in this process that an engine cannot share it with."""
    other = APART.get(name)
    return other if other in sys.modules else None


def _in_file() -> str | None:
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        return str(json.loads((home / "keras.json").read_text())["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _quieten_tensorflow() -> None:
    """TensorFlow says no more on standard error than what goes wrong: not what processor it
    found, nor that it traces each network anew."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)


def _limit_tensorflow() -> None:
    """TensorFlow keeps to OMP_NUM_THREADS, by which workers side by side share the cores."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdecimal() and int(limit) > 0 and "tensorflow" not in sys.modules:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(int(limit))
        tf.config.threading.set_inter_op_parallelism_threads(int(limit))
