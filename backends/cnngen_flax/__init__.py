"""Flax NNX, on JAX, for CNNGen."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, ClassVar

from cnngen.backend import Backend
from cnngen.network import Network
from cnngen_flax.source import emit

if TYPE_CHECKING:
    from flax import nnx

    from cnngen.backend.model_access import Runner, Weights
    from cnngen.training.checkpoint import Checkpoint
    from cnngen.training.data import Dataset
    from cnngen.training.protocol import Epoch, Protocol, TrainingResult


class FlaxBackend(Backend):
    """One `nnx.Module` a network."""

    name = "flax"
    interface = 1
    install = "pip install 'cnngen[jax]'"
    weights_suffix = ".npz"
    capabilities: ClassVar[frozenset[str]] = frozenset({"emit", "script", "train", "verify"})

    def version(self) -> str | None:
        """Versions of Flax and of JAX, which computes; None where one of the three is missing."""
        try:
            installed("optax")
            return f"flax {installed('flax')}, jax {installed('jax')}"
        except PackageNotFoundError:
            return None

    def emit(self, network: Network, *, script: bool = False) -> str:
        """Source with a `class Net(nnx.Module)`."""
        return emit(network, script=script)

    def emit_loading(self, network: Network, weights: str, *, script: bool = False) -> str:
        return emit(network, script=script, weights=weights)

    def prepare(self) -> None:
        limit = os.environ.get("OMP_NUM_THREADS", "")
        if limit.isdecimal() and int(limit) > 0:
            # XLA does not know of OpenMP's variable, by which workers side by side share the
            # cores; it takes this for the number of cores when JAX is loaded.
            os.environ.setdefault("NPROC", limit)
        # By default JAX takes three quarters of a GPU's memory at once: too much for two workers.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        import jax.numpy as jnp

        jnp.zeros(1).block_until_ready()

    def devices(self) -> tuple[str, ...]:
        self.prepare()
        import jax

        cards = [device for device in jax.devices() if device.platform != "cpu"]
        return (*(f"{card.device_kind} ({card.platform}:{card.id})" for card in cards), "cpu")

    def train(
        self,
        source: str,
        network: Network,
        data: Dataset,
        protocol: Protocol,
        on_epoch: Callable[[Epoch], None] | None = None,
        weights: Weights | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> TrainingResult:
        """Train the `Net` of an emitted file by one compiled step."""
        self.prepare()
        from cnngen_flax.train import train

        return train(source, network, data, protocol, on_epoch, weights)

    def runner(self) -> Runner[nnx.Module]:
        """A runner of the `Net` of an emitted file."""
        self.prepare()
        from cnngen_flax.runner import FlaxRunner

        return FlaxRunner()
