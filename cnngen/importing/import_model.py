"""`import_model`: the sentence and the weights of a model of another program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cnngen.errors import CnnGenError, ModelError
from cnngen.importing.columns import ColumnItem, Fork, ForkBody, in_order, main_column
from cnngen.importing.foreign import ForeignGraph
from cnngen.importing.fusions import fused
from cnngen.importing.matching import MatchedStep, matched
from cnngen.importing.rows import BRANCH, HEAD, LEFT, MAIN, RIGHT, RowRule, misfit, row_layers
from cnngen.importing.weight_order import in_cnngens_order
from cnngen.language import sentence
from cnngen.language.trampoline import Recursive, run_recursive
from cnngen.language.tree import Body, Description, Layer, Merge, Node
from cnngen.network import Network
from cnngen.operations import Flatten, GlobalPool
from cnngen.space.resolution import lower

if TYPE_CHECKING:
    from cnngen.backend.model_access import Array, Weights

TOLERANCE = 1e-4
"""Largest difference between the model's outputs and the network's, as a share of the largest
output: float32 has seven digits, of which networks of a hundred layers lose one or two."""

IMAGES = 2
"""Random images on which both are run."""

LARGEST_RUN = 2**27
"""Most numbers that the network may put out for an image to be run here."""


@dataclass(frozen=True, slots=True, repr=False)
class Imported:
    """A model as a network of the language, which has a description, and its weights.

    `difference` is the largest between the model's outputs and the network's on random images, as a
    share of the largest output.
    """

    network: Network
    weights: Weights = field(compare=False)
    difference: float = field(compare=False)

    def __repr__(self) -> str:
        return f"<Imported {self.network!r}, off by {self.difference:.1e}>"

    def build(self, backend: str = "torch") -> Any:
        """The model in a framework with its weights, ready to predict."""
        from cnngen.runs.kept_weights import trained_model

        return trained_model(self.network, backend, self.weights)

    def save(self, path: str | Path) -> Path:
        """Write the description to a file, and the weights beside it; return the weights' path."""
        from cnngen.language import format
        from cnngen.runs.kept_weights import weights_file
        from cnngen.system.files import replacing

        path = Path(path)
        beside = path.with_suffix(".safetensors")
        if beside == path:
            raise CnnGenError(f"{path} is the place of the weights", hint="Name it with .cnn.")
        contents = {
            beside: weights_file(self.weights, self.network),
            path: format(self.network.description, long=True).encode(),
        }
        for place, content in contents.items():
            try:
                with replacing(place) as file:
                    file.write(content)
            except OSError as error:
                raise CnnGenError(f"{place} cannot be written: {error.strerror}") from None
        return beside


class ForeignModel(Protocol):
    """A model that has been read: its graph, and a way to run it."""

    backend: str
    """The backend that CNNGen's network is run with beside it."""

    graph: ForeignGraph

    def outputs(self, images: Array) -> Array:
        """The model's outputs for images (batch, height, width, channels), channels last."""
        ...


def import_model(model: Any, *, input_shape: tuple[int, int, int] | None = None) -> Imported:
    """Find the sentence of a model of another program, and its weights.

    `model` is the path of an ONNX file, an `onnx.ModelProto`, a `torch.nn.Module` or what
    `torch.export.export` made of one. `input_shape` (height, width, channels) is that of the
    images, for a module, and for a file that leaves it open.

    In the end, the model and the network run on the same random images, and their outputs are
    compared. Raises `ModelError` where the model cannot be read, where it is no sentence of the
    language, with the first operation that does not fit, and where the outputs differ.
    """
    foreign = _opened(model, input_shape)
    steps = matched(fused(foreign.graph))
    description, order = _sentence(steps, foreign.graph.input_shape)
    network = _network(description, steps, order)
    names = [node.name for node in network.nodes[1:]]
    own = in_cnngens_order(steps, order)
    weights = {
        name: {kind: np.array(array, np.float32, order="C") for kind, array in arrays.items()}
        for name, arrays in zip(names, own, strict=True)
        if arrays
    }
    return Imported(network, weights, _difference(foreign, network, weights))


def _opened(model: Any, input_shape: tuple[int, int, int] | None) -> ForeignModel:
    if isinstance(model, str | Path):
        if Path(model).suffix in (".pt2", ".pt", ".pth"):
            raise ModelError(
                f"{model} is not read: PyTorch's files may run code when they are loaded",
                hint="If you trust it, load it in Python and give the module or the exported "
                "program to cnngen.import_model; or export it as ONNX.",
            )
        from cnngen.importing.onnx_model import OnnxModel

        return OnnxModel.read(model, input_shape)
    if type(model).__module__.partition(".")[0] == "onnx":
        from cnngen.importing.onnx_model import OnnxModel

        return OnnxModel(model, input_shape)
    from cnngen.importing.torch_model import torch_model

    return torch_model(model, input_shape)


def _sentence(
    steps: Sequence[MatchedStep], shape: tuple[int, int, int]
) -> tuple[Description, list[tuple[int, bool]]]:
    """The description of the steps, and their order in its text."""
    if len(steps) < 2:
        raise ModelError("the model gives its images back as they are")
    rules = {"left": LEFT, "right": RIGHT, "branch": BRANCH}
    column = main_column(steps, lambda items, place: misfit(steps, items, rules[place]))
    order = [*in_order(column)]
    kinds = (Flatten, GlobalPool)
    cut = next(
        (
            at
            for at, item in enumerate(column)
            if isinstance(item, int) and isinstance(steps[item].operation, kinds)
        ),
        len(column),
    )
    if cut == 0:
        raise ModelError(f"{steps[1].where} cannot stand where it does: {MAIN.rule}")
    features = run_recursive(_nodes(steps, column[:cut], MAIN))
    head: tuple[Layer, ...] = ()
    classes = None
    if cut < len(column):
        head = tuple(
            layer for layer, _ in row_layers(steps, column[cut:], HEAD) if layer is not None
        )
        (classes,) = steps[-1].shape
    return Description(features, head, input_shape=shape, classes=classes), order


def _nodes(
    steps: Sequence[MatchedStep], items: Sequence[ColumnItem], rule: RowRule
) -> Recursive[tuple[Node, ...]]:
    """The layers and merges of the main column or of a side of a merge."""
    nodes: list[Node] = []
    for layer, own in row_layers(steps, items, rule) if items else []:
        if layer is not None:
            nodes.append(layer)
            continue
        (fork,) = own
        assert isinstance(fork, Fork)
        bodies = []
        for body in fork.bodies:
            sides = []
            for place, side in enumerate(body.sides):
                sides.append((yield _nodes(steps, side, _rule_of(body, place))))
            left, right, *more = sides
            bodies.append(Body(left, right, more=tuple(more), bare=body.bare))
        nodes.append(Merge("add" if fork.adds else "concat", tuple(bodies)))
    return tuple(nodes)


def _rule_of(body: ForkBody, place: int) -> RowRule:
    return BRANCH if body.bare else (LEFT, RIGHT)[place]


def _network(
    description: Description, steps: Sequence[MatchedStep], order: Sequence[tuple[int, bool]]
) -> Network:
    """The network of a description, which must be the graph of the steps again."""
    sentence.check(description)
    network = lower(description)
    places = {0: 0} | {position: place for place, (position, _) in enumerate(order, 1)}
    for node, (position, swapped) in zip(network.nodes[1:], order, strict=True):
        step = steps[position]
        reads = tuple(places[i] for i in step.inputs)
        if swapped:
            reads = reads[::-1]
        if (node.operation, node.inputs, node.shape) != (step.operation, reads, step.shape):
            raise ModelError(f"{step.where} does not fit into the language's merges")
    return network


def _difference(model: ForeignModel, network: Network, weights: Weights) -> float:
    """The largest difference of outputs on random images, as a share of the largest output.

    Raises `ModelError` if it is larger than `TOLERANCE`, or the outputs cannot be compared.
    """
    from cnngen.backend import get_backend

    if network.cost.activations > LARGEST_RUN:
        raise ModelError(
            f"the network puts out {network.cost.activations:,} numbers for an image, too many to "
            "compare it with the model",
        )
    shape = (IMAGES, *network.input_shape)
    images = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    backend = get_backend(model.backend)
    backend.prepare()
    runner = backend.runner()
    built = runner.build(backend.emit(network))
    runner.set_weights(built, weights)
    theirs, ours = model.outputs(images), runner.outputs(built, images)
    if theirs.shape != ours.shape:
        raise ModelError(f"the model's outputs are {theirs.shape}, the network's {ours.shape}")
    if not (np.isfinite(theirs).all() and np.isfinite(ours).all()):
        raise ModelError("the outputs for random images are not finite, and so not compared")
    scale = float(np.abs(theirs).max())
    off = float(np.abs(theirs.astype(np.float64) - ours).max())
    share = off / scale if scale else off
    if share > TOLERANCE:
        raise ModelError(
            f"the outputs of the model and of the description found differ by {off:.3g}, where the "
            f"largest is {scale:.3g}; nothing was imported"
        )
    return share
