"""PyTorch for CNNGen."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from typing import ClassVar

from cnngen.backend import Backend
from cnngen.network import Network
from cnngen_torch.source import emit


class TorchBackend(Backend):
    """One `nn.Module` a network."""

    name = "torch"
    interface = 1
    install = "pip install 'cnngen[torch]'"
    capabilities: ClassVar[frozenset[str]] = frozenset({"emit", "script"})

    def version(self) -> str | None:
        try:
            return f"torch {installed('torch')}"
        except PackageNotFoundError:
            return None

    def emit(self, network: Network, *, script: bool = False) -> str:
        return emit(network, script=script)
