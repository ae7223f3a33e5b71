"""ONNX: the graph in its own text, run by ONNX Runtime."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from cnngen.backend import get_backend
from cnngen.backend.definitions import random_weights
from cnngen.backend.model_access import Batch
from cnngen.backend.testing import BackendConformance
from cnngen.backend.testing.networks import BACKBONE, SMALL, nested
from cnngen.backend.testing.random_networks import random_network
from cnngen.errors import BackendError
from cnngen.language import parse
from cnngen.network import Network
from cnngen.space.resolution import lower, resolve
from cnngen.space.sampling import sample


class TestOnnx(BackendConformance):
    backend = "onnx"
    framework = ("onnx", "onnxruntime")


def emit(network: Network) -> str:
    return get_backend("onnx").emit(network)


def load(source: str) -> ModuleType:
    module = ModuleType("emitted")
    exec(compile(source, "emitted.py", "exec"), module.__dict__)
    return module


def images(network: Network, count: int = 3) -> np.ndarray:
    shape = (count, *network.input_shape)
    return np.random.default_rng(2).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("origin", ["wild", "paper"])
def test_outputs_equal_those_of_torch_with_the_same_weights(origin: str) -> None:
    """Law: equal weights give equal outputs to 1e-5 of the largest."""
    torch, onnx = get_backend("torch"), get_backend("onnx")
    for seed in range(20):
        shape = (9, 12, 3)
        network = (
            random_network(seed, shape)
            if origin == "wild"
            else sample(origin, seed=seed, input_shape=shape)
        )
        weights, given = random_weights(network), []
        for backend in (torch, onnx):
            runner = backend.runner()
            model = runner.build(backend.emit(network))
            runner.set_weights(model, weights)
            given.append(runner.outputs(model, images(network)))
        off = np.abs(given[0] - given[1]).max() / max(1, np.abs(given[0]).max())
        assert off <= 1e-5, seed


def test_every_value_has_the_shape_written_beside_it() -> None:
    """Law: ONNX infers for each operation the shape that stands behind it."""
    for network in [random_network(seed) for seed in range(30)]:
        source = emit(network)
        inferred = onnx.shape_inference.infer_shapes(load(source).build(), strict_mode=True)
        shapes = {}
        for value in inferred.graph.value_info:
            batch, channels, *size = value.type.tensor_type.shape.dim
            assert batch.dim_param == "batch"
            shapes[value.name] = "x".join(str(axis.dim_value) for axis in (*size, channels))
        body = source.split("{\n", 1)[1].split("\n}\n")[0]
        body = re.sub(r"^ *#.*\n", "", body, flags=re.MULTILINE)
        statements = re.split(r"\n    (?=\w)", body.strip())
        stated = [(s.split()[0], s.split("  # ")[1].split()[0]) for s in statements if "  # " in s]
        assert len(stated) == len(network) - 1
        assert {name: shapes[name] for name, _ in stated} == dict(stated)
        assert [name for name, _ in stated] == [node.name for node in network.nodes[1:]]


def test_nodes_are_named_as_operations() -> None:
    for network in [random_network(seed) for seed in range(10)]:
        named = {node.name for node in load(emit(network)).build().graph.node}
        assert {node.name for node in network.nodes[1:]} <= named


def test_weights_that_torch_has_learnt_become_a_file_for_any_runtime(tmp_path: Path) -> None:
    network, torch = lower(parse(SMALL)), get_backend("torch")
    runner = torch.runner()
    model = runner.build(torch.emit(network))
    flat = {
        f"{operation}.{name}": array
        for operation, own in runner.weights(model).items()
        for name, array in own.items()
    }
    np.savez(tmp_path / "weights.npz", **flat)
    (tmp_path / "net.py").write_text(emit(network))
    # Isolated: neither CNNGen nor the working folder is on its path.
    done = subprocess.run(
        [sys.executable, "-I", "net.py", "--weights", "weights.npz"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "net.onnx: 7 nodes\n"
    session = ort.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    x = images(network, 5)
    (logits,) = session.run(["logits"], {"images": x.transpose(0, 3, 1, 2)})
    np.testing.assert_allclose(logits, runner.outputs(model, x), rtol=1e-5, atol=1e-5)


def test_weights_of_another_network_are_refused() -> None:
    module = load(emit(lower(parse(SMALL))))
    named = {
        f"{operation}.{name}": array
        for operation, own in random_weights(lower(parse(SMALL))).items()
        for name, array in own.items()
    }
    with pytest.raises(ValueError, match=r"conv1.kernel is \(2, 2\), not \[6, 6, 1, 8\]"):
        module.build(named | {"conv1.kernel": np.ones((2, 2))})
    del named["norm1.mean"]
    with pytest.raises(KeyError, match=r"norm1\.mean"):
        module.build(named)


def test_a_backbone_gives_features() -> None:
    model = load(emit(lower(parse(BACKBONE)))).build()
    (output,) = model.graph.output
    assert output.name == "features"
    assert [axis.dim_value for axis in output.type.tensor_type.shape.dim][1:] == [4, 5, 7]


def test_a_model_says_that_it_has_no_gradients() -> None:
    network, backend = lower(parse(SMALL)), get_backend("onnx")
    runner = backend.runner()
    model = runner.build(backend.emit(network))
    with pytest.raises(BackendError, match="cannot differentiate"):
        runner.gradients(model, Batch(images(network), np.array([0, 1, 1])))


@pytest.mark.parametrize("mode", ["add", "concat"])
def test_merges_nested_a_thousand_deep_run(mode: str) -> None:
    network, backend = nested(1000, mode), get_backend("onnx")
    runner = backend.runner()
    outputs = runner.outputs(runner.build(backend.emit(network)), images(network))
    assert np.isfinite(outputs).all()


@pytest.mark.parametrize(
    ("activation", "opset"), [("relu", 16), ("hardswish", 16), ("mish", 18), ("gelu", 20)]
)
def test_a_file_needs_no_newer_operators_than_it_has(activation: str, opset: int) -> None:
    text = f"input(8x8x1) convbn(activation={activation}) avg_pooling flatten dropout(rate=0.2) dense output(3)"
    network = resolve(parse(text))
    model = load(emit(network)).build()
    assert [one.version for one in model.opset_import] == [opset]
    assert model.ir_version == {16: 8, 18: 8, 20: 9}[opset]
    onnx.checker.check_model(model, full_check=True)


def test_files_depend_on_onnx_and_numpy_alone() -> None:
    found = re.findall(r"^(?:import|from) (\w+)", emit(sample("paper", seed=1)), re.MULTILINE)
    assert set(found) - set(sys.stdlib_module_names) == {"onnx", "numpy"}
