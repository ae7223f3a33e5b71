"""ONNX for CNNGen: networks as models for any runtime."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, ClassVar

from cnngen.backend import Backend
from cnngen.network import Network
from cnngen_onnx.source import emit

if TYPE_CHECKING:
    from cnngen.backend.model_access import Runner
    from cnngen_onnx.runner import Exported


class OnnxBackend(Backend):
    """An export: models are run, by ONNX Runtime among others, and not trained."""

    name = "onnx"
    interface = 1
    install = "pip install 'cnngen[onnx]'"
    weights_suffix = ".npz"
    capabilities: ClassVar[frozenset[str]] = frozenset({"emit", "verify"})

    def version(self) -> str | None:
        """Versions of ONNX and of ONNX Runtime; None where one of them is missing."""
        try:
            return f"onnx {installed('onnx')}, onnxruntime {installed('onnxruntime')}"
        except PackageNotFoundError:
            return None

    def emit(self, network: Network, *, script: bool = False) -> str:
        """Source that builds the model, and writes it when it is run: with `script` or without."""
        return emit(network)

    def emit_loading(self, network: Network, weights: str, *, script: bool = False) -> str:
        return emit(network, weights=weights)

    def prepare(self) -> None:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401

    def runner(self) -> Runner[Exported]:
        """A runner in ONNX Runtime, without gradients."""
        from cnngen_onnx.runner import OnnxRunner

        return OnnxRunner()
