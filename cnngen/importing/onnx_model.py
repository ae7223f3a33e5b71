"""An ONNX model, read and run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnngen.errors import BackendError, ModelError, shorten
from cnngen.system.plugins import BACKENDS

if TYPE_CHECKING:
    from cnngen.backend.model_access import Array


class OnnxModel:
    """An ONNX model in ONNX Runtime. Raises `ModelError` for one that cannot be read."""

    backend = "onnx"

    def __init__(self, model: Any, input_shape: tuple[int, int, int] | None = None) -> None:
        _need_onnx()
        from cnngen.importing.onnx_reader import onnx_graph

        self.model = model
        self.graph = onnx_graph(model, input_shape)

    @classmethod
    def read(cls, path: str | Path, input_shape: tuple[int, int, int] | None = None) -> OnnxModel:
        """The model of a file."""
        _need_onnx()
        from cnngen.importing.onnx_reader import read_onnx

        return cls(read_onnx(path), input_shape)

    def outputs(self, images: Array) -> Array:
        """The model's outputs, images and maps with their channels last."""
        import numpy as np
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        given = images if self.graph.channels_last else images.transpose(0, 3, 1, 2)
        batch = self.model.graph.input[0].type.tensor_type.shape.dim[0].dim_value
        try:
            session = ort.InferenceSession(
                self.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            rows = [given] if not batch else np.split(given, len(given)) if batch == 1 else None
            if rows is None:
                rows = [np.resize(given, (batch, *given.shape[1:]))]
            found = [session.run(None, {self.graph.input: some})[0] for some in rows]
        except Exception as error:  # ONNX Runtime's own, of several kinds
            raise ModelError(
                f"ONNX Runtime does not run the model: {shorten(str(error), 200)}"
            ) from None
        outputs: Array = np.concatenate(found)[: len(images)]
        return outputs.transpose(0, 2, 3, 1) if outputs.ndim == 4 else outputs


def _need_onnx() -> None:
    backend = BACKENDS.make("onnx")
    if backend.version() is None:
        raise BackendError("ONNX is not installed", hint=backend.install)
