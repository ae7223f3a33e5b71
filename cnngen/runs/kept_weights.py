"""Trained weights in a run's folder, as safetensors, and models that have them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from cnngen.backend import Backend, get_backend
from cnngen.backend.weights import by_operation, flat
from cnngen.errors import BackendError, StoreError
from cnngen.network import Network
from cnngen.system.untrusted import read_bytes

if TYPE_CHECKING:
    from cnngen.backend.model_access import Runner, Weights

WEIGHTS = "weights.safetensors"
"""The file of a run's trained weights."""

BEST = "best.safetensors"
"""The file of a run's weights of the best epoch by validation."""

HEADER = 2**24
"""Most bytes that the names and shapes of weights may take."""


def weights_file(weights: Weights, network: Network) -> bytes:
    """Weights as the content of a safetensors file, by names such as `conv1.kernel`."""
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(array) for name, array in flat(weights).items()}
    # One entry: safetensors writes several in any order, and equal weights are to give equal files.
    return save(arrays, metadata={"network": network.id})


def read_weights(
    path: str | Path,
    network: Network,
    *,
    root: str | Path | None = None,
    remedy: str = "Train without --no-weights to keep them.",
) -> Weights:
    """Read the weights of a network from a safetensors file.

    `root` is the folder that the user named, if the file was found inside; `remedy` says how they
    would have been kept. Raises `StoreError` where
    it cannot be read, or holds anything but arrays of finite sizes with names of weights.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    most = 16 * (network.cost.parameters + 4 * network.cost.activations) + HEADER
    try:
        arrays = load(read_bytes(path, most, root=root))
    except FileNotFoundError:
        raise StoreError(f"{path}: no weights were kept", hint=remedy) from None
    except OSError as error:
        raise StoreError(f"{path} {error.strerror}") from None
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} is not a safetensors file: {error}") from None
    for name, array in arrays.items():
        if name.count(".") != 1 or array.dtype not in (np.float32, np.float64):
            raise StoreError(f"{path}: '{name}' ({array.dtype}) is not a weight of a network")
    return by_operation(arrays)


def own_form(network: Network, backend: str, weights: Weights) -> bytes:
    """Weights as the content of a file in a framework's own form, which files of
    `Backend.emit_loading` load. Raises as `trained_model` does."""
    chosen = get_backend(backend)
    runner, model = _with_weights(network, chosen, weights)
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"net{chosen.weights_suffix}"
        runner.save(model, path)
        return path.read_bytes()


def trained_model(network: Network, backend: str, weights: Weights) -> Any:
    """The model of a network in a framework with these weights, ready to predict.

    Raises `BackendError` where the framework is not installed or its models have no weights by
    name, and for weights that are not this network's.
    """
    runner, model = _with_weights(network, get_backend(backend), weights)
    return runner.own_model(model, trained=True)


def _with_weights(network: Network, chosen: Backend, weights: Weights) -> tuple[Runner[Any], Any]:
    if chosen.version() is None:
        raise BackendError(f"the {chosen.name} backend is not installed", hint=chosen.install)
    chosen.prepare()
    runner = chosen.runner()
    model = runner.build(chosen.emit(network))
    check_weights(weights, runner.weights(model), network)
    runner.set_weights(model, weights)
    return runner, model


def check_weights(weights: Weights, own: Weights, network: Network) -> None:
    """Raise `BackendError` unless weights have the names and shapes of a network's `own`."""
    given, wanted = flat(weights), flat(own)
    if missing := wanted.keys() - given.keys():
        raise BackendError(f"the weights lack {min(missing)} of network {network.id}")
    if unknown := given.keys() - wanted.keys():
        raise BackendError(f"network {network.id} has no weight {min(unknown)}")
    for name, array in wanted.items():
        if given[name].shape != array.shape:
            raise BackendError(
                f"{name} is {given[name].shape} in the weights, {array.shape} in network {network.id}"
            )
