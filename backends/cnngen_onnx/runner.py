"""Emitted models run by ONNX Runtime, for comparison with other backends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnxruntime as ort

from cnngen.backend.model_access import Array, Batch, Runner, Weights
from cnngen.errors import BackendError
from cnngen.operations.shapes import Shape

STATISTICS = ("mean", "variance")


class Exported:
    """An emitted file and the model it builds, which is built anew for other weights."""

    def __init__(self, source: str) -> None:
        self.module = ModuleType("emitted")
        exec(compile(source, "<emitted>", "exec"), self.module.__dict__)
        self.set(None)

    def set(self, weights: Mapping[str, Array] | None) -> None:
        """Build the model with weights by operation and name, or with first ones."""
        self.model: onnx.ModelProto = self.module.build(weights)
        onnx.checker.check_model(self.model, full_check=True)


class OnnxRunner(Runner[Exported]):
    """`build()` of an emitted file, in ONNX Runtime on a CPU, in float32."""

    def build(self, source: str) -> Exported:
        return Exported(source)

    def weights(self, model: Exported) -> Weights:
        found: dict[str, dict[str, Array]] = {}
        for operation, name, array in _weights(model):
            found.setdefault(operation, {})[name] = array
        return found

    def set_weights(self, model: Exported, weights: Weights) -> None:
        model.set(
            {f"{name}.{own}": array for name, all in weights.items() for own, array in all.items()}
        )

    def own_model(self, model: Exported, *, trained: bool = False) -> onnx.ModelProto:
        return model.model

    def save(self, model: Exported, path: Path) -> None:
        arrays = {f"{operation}.{name}": array for operation, name, array in _weights(model)}
        np.savez(path, allow_pickle=False, **arrays)

    def outputs(self, model: Exported, images: Array) -> Array:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        session = ort.InferenceSession(
            model.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        (outputs,) = session.run(None, {"images": images.transpose(0, 3, 1, 2)})
        last: Array = outputs.transpose(0, 2, 3, 1) if outputs.ndim == 4 else outputs
        return last

    def gradients(self, model: Exported, batch: Batch) -> tuple[float, Weights]:
        raise BackendError("ONNX Runtime runs models and cannot differentiate them")

    def parameters(self, model: Exported) -> int:
        return sum(array.size for _, name, array in _weights(model) if name not in STATISTICS)

    def shapes(self, model: Exported) -> Mapping[str, Shape]:
        inferred = onnx.shape_inference.infer_shapes(model.model, strict_mode=True)
        shapes = {}
        for value in inferred.graph.value_info:
            _, *axes = (axis.dim_value for axis in value.type.tensor_type.shape.dim)
            shapes[value.name] = (*axes[1:], axes[0])
        return shapes


def _weights(model: Exported) -> Iterator[tuple[str, str, Array]]:
    """Each weight with its operation's name, its own, and CNNGen's axes."""
    for declared in onnx.parser.parse_model(model.module.GRAPH).graph.value_info:
        ((tensor),) = (t for t in model.model.graph.initializer if t.name == declared.name)
        array = onnx.numpy_helper.to_array(tensor)
        operation, name = declared.name.rsplit("_", 1)
        yield operation, name, array.transpose(2, 3, 1, 0) if array.ndim == 4 else np.array(array)
