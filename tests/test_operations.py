"""An operation from outside: what stands with it works, and each table that lacks it says so."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import pytest

from cnngen.backend import get_backend
from cnngen.backend.definitions import evaluate, first_weights, random_weights, weight_shapes
from cnngen.backend.testing.networks import check_complete, fixed
from cnngen.comparison.equality.inputs import ask, defined
from cnngen.errors import BackendError, CnnGenError
from cnngen.network import Network
from cnngen.network.adjacency import adjacency, graph
from cnngen.operations import (
    OPERATIONS,
    BatchNorm,
    Colour,
    Conv2d,
    Dense,
    GlobalPool,
    Input,
    Operation,
    OperationTable,
    Weight,
    Windowed,
)
from cnngen.operations.arrays import Array, slide
from cnngen.operations.random_signal import Signal, real_share
from cnngen.operations.shapes import Padding, Shape
from cnngen.predict.features import features
from cnngen.predict.features.propagation import follow
from cnngen.predict.graph.encoding import encode as graph_arrays
from cnngen.predict.neural.encoding import encode as neural_arrays

ROOT = Path(__file__).parents[1]
SOURCES = [
    path
    for folder in ("cnngen", "backends")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.parent != ROOT / "cnngen" / "operations"
]


@dataclass(frozen=True, slots=True)
class DepthwiseConv2d(Windowed):
    """A convolution of each channel by itself."""

    stem = "depthwise"
    colour = Colour("#a9d3ff", "#0072ff")
    window_name = "kernel"
    learns_kernel = True

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: Padding = "same"

    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        channels = inputs[0][2]
        kernel = Weight("kernel", (*self.kernel, channels, 1), "glorot")
        return kernel, Weight("bias", (channels,), "zeros")

    def multiply_adds(self, *inputs: Shape) -> int:
        return prod(self.output_shape(*inputs)) * prod(self.kernel)

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        kernel = weights["kernel"][..., 0]
        (x,) = inputs
        summed = slide(
            self.window(),
            x,
            x.shape[-1],
            lambda pixels, rows, columns: (pixels * kernel[rows, columns]).sum((1, 2)),
        )
        return summed + weights["bias"]

    def pass_signal(
        self, inputs: Sequence[Signal], shapes: Sequence[Shape]
    ) -> tuple[Signal, float]:
        fans = 2 / (prod(self.kernel) * (shapes[0][2] + 1))
        by = fans * prod(self.kernel) * real_share(self.window(), shapes[0])
        return inputs[0].scaled(by), by


@dataclass(frozen=True, slots=True)
class Shuffle(Operation):
    """An operation that says nothing of itself."""


@dataclass(frozen=True, slots=True)
class Wider(Conv2d):
    """A kind of convolution that is not known under its parent's name."""


def network(operation: Operation, shape: tuple[int, int, int] = (7, 6, 3)) -> Network:
    return Network.from_graph(
        [
            ("input", Input(shape), ()),
            ("own1", operation, (0,)),
            ("norm1", BatchNorm(), (1,)),
            ("pool1", GlobalPool("avg"), (2,)),
            ("dense1", Dense(4), (3,)),
        ]
    )


OUTSIDE = network(DepthwiseConv2d((3, 2), (2, 1)))


# ---- What stands with the operation works


def test_its_cost_follows_from_its_weights() -> None:
    cost = network(DepthwiseConv2d((3, 2), (2, 1))).cost
    others = network(BatchNorm()).cost
    assert cost.parameters - others.parameters == (3 * 2 + 1) * 3 - 2 * 3
    assert cost.buffers == 2 * 3
    assert cost.multiply_adds == 4 * 6 * 3 * 6 + 3 * 4


def test_its_weights_are_drawn_and_begin_as_it_says() -> None:
    assert weight_shapes(OUTSIDE)["own1"] == {"kernel": (3, 2, 3, 1), "bias": (3,)}
    first = first_weights(OUTSIDE, 0)["own1"]
    assert 0 < np.abs(first["kernel"]).max() <= np.sqrt(6 / (6 * (3 + 1)))
    assert (first["bias"] == 0).all()
    assert (random_weights(OUTSIDE)["own1"]["bias"] != 0).all()


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_its_definition_is_a_convolution_that_mixes_no_channels(padding: Padding) -> None:
    """Law: a convolution whose kernel is diagonal in its channels gives the same."""
    weights = random_weights(network(DepthwiseConv2d((3, 2), (2, 1), padding)))
    own = weights["own1"]
    full = np.zeros((3, 2, 3, 3))
    full[..., range(3), range(3)] = own["kernel"][..., 0]
    images = np.random.default_rng(0).normal(size=(2, 7, 6, 3))
    ours = evaluate(network(DepthwiseConv2d((3, 2), (2, 1), padding)), weights, images)
    dense = {**weights, "own1": {"kernel": full, "bias": own["bias"]}}
    theirs = evaluate(network(Conv2d(3, (3, 2), (2, 1), padding)), dense, images)
    np.testing.assert_allclose(ours[-1], theirs[-1], atol=1e-12)


def test_frameworks_can_be_asked_about_it() -> None:
    question = ask(OUTSIDE)
    expected = defined(question)
    assert expected is not None
    assert expected.loss is not None
    assert np.isfinite(expected.outputs).all()
    assert question.trained["own1.kernel"] == (3, 2, 3, 1)
    assert not {"norm1.mean", "norm1.variance"} & question.trained.keys()


def test_its_picture_has_its_colour_and_its_window() -> None:
    svg = OUTSIDE.to_svg()
    assert 'fill="#a9d3ff"' in svg
    assert "depthwiseconv2d 3×2" in svg


def test_its_row_of_the_adjacency_has_its_name() -> None:
    matrix, labels = adjacency(OUTSIDE)
    assert labels == ["input", "depthwiseconv2d", "BatchNormalisation", "global_avg_pooling",
                      "dense", "output"]  # fmt: skip
    assert matrix.sum() == 5
    assert graph(OUTSIDE).hyperparameters[1] == {
        "kernel": "3x2",
        "stride": "2x1",
        "padding": "same",
    }
    assert OUTSIDE.id != network(DepthwiseConv2d((3, 3), (2, 1))).id


def test_a_random_signal_passes_it_as_its_definition_computes() -> None:
    some = network(DepthwiseConv2d((3, 3), padding="valid"), (9, 9, 400))
    signals, gradients = follow(some)
    random = np.random.default_rng(0)
    images = random.normal(size=(1, 9, 9, 400)) * np.sqrt(signals[0].moment)
    found = (evaluate(some, first_weights(some, 0), images)[1] ** 2).mean()
    assert found == pytest.approx(signals[1].moment, rel=0.1)
    assert min(gradients) > 0


# ---- What does not know it says so


def modules() -> Iterator[str]:
    """Every module that makes a table of operations."""
    for path in SOURCES:
        if "OperationTable(" in path.read_text("utf-8"):
            root = ROOT if path.is_relative_to(ROOT / "cnngen") else ROOT / "backends"
            yield ".".join(path.relative_to(root).with_suffix("").parts)


TABLES = {
    table.owner: table
    for module in modules()
    for table in vars(importlib.import_module(module)).values()
    if isinstance(table, OperationTable)
}


def test_the_tables_are_those_that_the_page_for_contributors_names() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert len(TABLES) >= 6
    assert [owner for owner in TABLES if owner not in page] == []


@pytest.mark.parametrize("owner", TABLES)
def test_every_table_knows_all_operations_and_names_the_one_it_lacks(owner: str) -> None:
    table = TABLES[owner]
    # A backend writes the input as the argument of a function.
    operations = [kind for kind in OPERATIONS if kind is not Input or "backend" not in owner]
    assert table.lacking(operations) == []
    assert table.lacking([*operations, DepthwiseConv2d]) == ["DepthwiseConv2d"]
    for unknown in (DepthwiseConv2d((3, 3)), Wider(4, (3, 3)), Shuffle()):
        name = type(unknown).__name__
        with pytest.raises(CnnGenError, match=f"^{owner} has no entry for the operation {name}$"):
            table.of(unknown)


@pytest.mark.parametrize("backend", ["torch", "keras", "flax", "onnx"])
def test_a_backend_refuses_it(backend: str) -> None:
    with pytest.raises(BackendError, match=f"the {backend} backend has no entry.*Depthwise"):
        get_backend(backend).emit(OUTSIDE)


@pytest.mark.parametrize("read", [features, graph_arrays, neural_arrays])
@pytest.mark.parametrize("operation", [DepthwiseConv2d((3, 3)), Wider(4, (3, 3)), Shuffle()])
def test_a_predictor_refuses_it(read: object, operation: Operation) -> None:
    assert callable(read)
    with pytest.raises(CnnGenError, match=type(operation).__name__):
        read(network(operation))


def test_the_kit_refuses_it() -> None:
    check_complete(OPERATIONS)
    with pytest.raises(CnnGenError, match=r"kit for backends has no network with.*Depthwise"):
        check_complete([*OPERATIONS, DepthwiseConv2d])


def test_an_operation_without_rules_of_its_own_is_never_taken_for_another() -> None:
    bare = network(Shuffle())
    with pytest.raises(CnnGenError, match="Shuffle has no definition in NumPy"):
        evaluate(bare, random_weights(bare), np.zeros((1, 7, 6, 3)))
    with pytest.raises(CnnGenError, match="Shuffle has no rule for random signals"):
        follow(bare)
    with pytest.raises(CnnGenError, match="Shuffle has no colour"):
        bare.to_svg()


# ---- There are no other places


def test_every_operation_of_the_package_is_listed_and_complete() -> None:
    defined = {
        node.name
        for path in (ROOT / "cnngen" / "operations").glob("*.py")
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if isinstance(base, ast.Name) and base.id in ("Operation", "Windowed")
    }
    assert defined - {"Windowed"} == {kind.__name__ for kind in OPERATIONS}
    for kind in OPERATIONS:
        assert kind.stem.islower()
        assert isinstance(kind.colour, Colour)
        assert kind.compute is not Operation.compute
        assert kind.pass_signal is not Operation.pass_signal
    for some in fixed().values():
        for node in some.nodes:
            weights = node.operation.weights(*some.input_shapes(node))
            learns = any(weight.first == "glorot" for weight in weights)
            assert learns is node.operation.learns_kernel


def test_nothing_outside_asks_which_operation_it_has_before_it() -> None:
    """Law: what an operation is, it says itself, or a table does that is checked."""
    names = {kind.__name__ for kind in OPERATIONS}
    asked = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            kinds: list[ast.AST] = []
            match node:
                case ast.Call(ast.Name("isinstance" | "issubclass"), [_, kind]):
                    kinds = [kind]
                case ast.MatchClass(kind):
                    kinds = [kind]
                case ast.Compare(ast.Call(ast.Name("type")), _, compared):
                    kinds = list(compared)
            found = {
                leaf.id if isinstance(leaf, ast.Name) else leaf.attr
                for kind in kinds
                for leaf in ast.walk(kind)
                if isinstance(leaf, ast.Name)
                or (isinstance(leaf, ast.Attribute) and ast.unparse(leaf.value) == "ops")
            }
            if names & found:
                asked.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert asked == []
