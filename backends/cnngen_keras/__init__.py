"""Keras 3 for CNNGen, on TensorFlow, PyTorch or JAX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar

from cnngen.backend import Backend
from cnngen.errors import BackendError
from cnngen.network import Network
from cnngen_keras import engine
from cnngen_keras.source import emit

if TYPE_CHECKING:
    from cnngen.backend.model_access import Runner, Weights
    from cnngen.training.checkpoint import Checkpoint
    from cnngen.training.data import Dataset
    from cnngen.training.protocol import Epoch, Protocol, TrainingResult
    from cnngen_keras.runner import Emitted


class KerasBackend(Backend):
    """One functional `keras.Model` a network."""

    name = "keras"
    interface = 1
    install = "pip install 'cnngen[tensorflow]'  # or 'cnngen[jax]', 'cnngen[torch,keras]'"
    weights_suffix = ".weights.h5"
    capabilities: ClassVar[frozenset[str]] = frozenset({"emit", "script", "train", "verify"})
    modes: ClassVar[Mapping[str, Mapping[str, str]]] = {
        name: {"KERAS_BACKEND": name} for name in engine.ENGINES
    }

    def version(self) -> str | None:
        """Versions of Keras and of the engine that it runs on, or would start with."""
        keras = engine.package_version("keras")
        name = engine.engine()
        version = engine.version(name)
        return f"keras {keras}, {name} {version}" if keras and version else None

    def emit(self, network: Network, *, script: bool = False) -> str:
        """Source with a function `build() -> keras.Model`."""
        return emit(network, script=script)

    def emit_loading(self, network: Network, weights: str, *, script: bool = False) -> str:
        return emit(network, script=script, weights=weights)

    def prepare(self) -> None:
        """Start Keras. Raises `BackendError` where its engine cannot share this process with what is
        loaded, or where Keras refuses its own settings file."""
        engine.start()
        try:
            import keras  # noqa: F401
        except (ValueError, TypeError, AttributeError) as error:
            raise BackendError(
                f"Keras does not start: {error}",
                hint="It reads keras.json in ~/.keras or KERAS_HOME; mend or remove that file.",
            ) from None
        import cnngen_keras.train  # noqa: F401

    def devices(self) -> tuple[str, ...]:
        """The device of Keras's engine: its first GPU if there is one, then the processor."""
        self.prepare()
        _, _, gpu = engine.machine(engine.engine())
        return (gpu, "cpu") if gpu else ("cpu",)

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
        """Train the model of an emitted file by `fit`."""
        self.prepare()
        from cnngen_keras.train import train

        return train(source, network, data, protocol, on_epoch, weights)

    def runner(self) -> Runner[Emitted]:
        """A runner of the model that an emitted file builds."""
        self.prepare()
        from cnngen_keras.runner import KerasRunner

        return KerasRunner()
