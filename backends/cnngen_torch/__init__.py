"""PyTorch for CNNGen."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, ClassVar

from cnngen.backend import Backend
from cnngen.errors import BackendError, DeviceLostError
from cnngen.network import Network
from cnngen.system.gpus import LABEL, memory_share
from cnngen_torch.source import emit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from cnngen.backend.model_access import Runner, Weights
    from cnngen.backend.untrained import Signals
    from cnngen.training.checkpoint import Checkpoint
    from cnngen.training.data import Dataset
    from cnngen.training.protocol import Epoch, Protocol, TrainingResult

COMPILE = "CNNGEN_TORCH_COMPILE"
"""The environment variable that switches `torch.compile` on, where it is 1."""


class TorchBackend(Backend):
    """One `nn.Module` a network."""

    name = "torch"
    interface = 1
    install = "pip install 'cnngen[torch]'"
    weights_suffix = ".pt"
    capabilities: ClassVar[frozenset[str]] = frozenset(
        {"emit", "script", "train", "resume", "verify", "signals"}
    )
    modes: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "eager": {COMPILE: "0"},
        "compiled": {COMPILE: "1"},
    }

    def version(self) -> str | None:
        try:
            version = f"torch {installed('torch')}"
        except PackageNotFoundError:
            return None
        return f"{version}, compiled" if compiles() else version

    def emit(self, network: Network, *, script: bool = False) -> str:
        return emit(network, script=script)

    def emit_loading(self, network: Network, weights: str, *, script: bool = False) -> str:
        return emit(network, script=script, weights=weights)

    def prepare(self) -> None:
        if "tensorflow" in sys.modules and "torch" not in sys.modules:
            raise BackendError(
                "PyTorch cannot be loaded into a process that has loaded TensorFlow",
                hint="Train each in a process of its own.",
            )
        # A thread that waits for others sleeps after some microseconds. Where other programs
        # need the cores, threads that wait busily make a step up to 300 times as slow.
        # The OpenMP library of PyTorch reads this once, when it is loaded.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        import torch

        given = os.environ.get(LABEL)
        if not torch.cuda.is_available():
            # A PyTorch for CPUs alone finds no card, which is no reason to look for another.
            if given and torch.version.cuda is not None:
                raise DeviceLostError(f"PyTorch does not find {given}", absent=True)
            return
        if (share := memory_share()) is not None:
            # A network that wants more is out of memory, and its neighbours on the card are not.
            torch.cuda.set_per_process_memory_fraction(share)
        from cnngen_torch.answering import answering

        with answering(f"{given or 'the GPU'} does not start"):
            torch.zeros(1, device="cuda")

    def devices(self) -> tuple[str, ...]:
        self.prepare()
        import torch

        cards = range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
        return (*(f"{torch.cuda.get_device_name(card)} (cuda:{card})" for card in cards), "cpu")

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
        self.prepare()
        from cnngen_torch.train import train

        return train(source, network, data, protocol, on_epoch, weights, checkpoint)

    def runner(self) -> Runner[nn.Module]:
        self.prepare()
        from cnngen_torch.runner import TorchRunner

        return TorchRunner()

    def signals(
        self,
        network: Network,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        seed: int = 0,
    ) -> Signals:
        self.prepare()
        from cnngen_torch.signals import signals

        return signals(network, images, labels, seed)


def compiles() -> bool:
    """Whether models go through `torch.compile` in this process."""
    return os.environ.get(COMPILE) == "1"
