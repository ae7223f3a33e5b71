"""A PyTorch model, read and run: a module, or what `torch.export` made of one."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from cnngen.errors import BackendError, ModelError, shorten
from cnngen.system.plugins import BACKENDS

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

    from cnngen.backend.model_access import Array


class TorchModel:
    """An exported program."""

    backend = "torch"

    def __init__(self, program: ExportedProgram) -> None:
        from cnngen.importing.torch_reader import torch_graph

        self.program = program
        self.graph = torch_graph(program)

    def outputs(self, images: Array) -> Array:
        """The model's outputs, images and maps with their channels last."""
        import torch

        (example,) = (
            node.meta["val"] for node in self.program.graph.nodes if node.name == self.graph.input
        )
        given = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
        size = example.shape[0]
        # A program may be for batches of one size.
        batch = [given] if not isinstance(size, int) else _batches(given, size)
        run = self.program.module()
        with torch.no_grad():
            outputs = torch.cat([run(some) for some in batch])[: len(images)]
        found: Array = np.asarray(outputs)
        return found.transpose(0, 2, 3, 1) if found.ndim == 4 else found


def _batches(images: Any, size: int) -> list[Any]:
    """Images in batches of a size, the last filled up with the first ones again."""
    import torch

    rows = [row % len(images) for row in range(-(-len(images) // size) * size)]
    return list(torch.split(images[rows], size))


def torch_model(model: Any, input_shape: tuple[int, int, int] | None) -> TorchModel:
    """A module or an exported program, to be imported.

    A module is exported as it is after `eval()`, and not changed. Raises `ModelError` for one that
    cannot be exported, and for anything else.
    """
    backend = BACKENDS.make("torch")
    if backend.version() is None:
        raise BackendError("PyTorch is not installed", hint=backend.install)
    backend.prepare()
    import torch
    from torch.export import ExportedProgram, export

    if isinstance(model, ExportedProgram):
        return TorchModel(model)
    if not isinstance(model, torch.nn.Module):
        raise ModelError(
            f"a {type(model).__name__} is not a model",
            hint="Give the path of an ONNX file, a torch.nn.Module or an exported program.",
        )
    if input_shape is None:
        raise ModelError(
            "a module does not tell the shape of its images", hint="Give input_shape=(32, 32, 3)."
        )
    height, width, channels = input_shape
    example = torch.zeros(1, channels, height, width)
    try:
        own: nn.Module = deepcopy(model).cpu().float().eval()
        return TorchModel(export(own, (example,)))
    except ModelError:
        raise
    except Exception as error:  # tracing runs the module's own code
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"torch.export cannot trace the module: {shorten(said, 200)}") from None
