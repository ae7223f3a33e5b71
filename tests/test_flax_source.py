"""Flax's emitted source, run by JAX."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
import pytest
from flax import nnx
from flax_programs import compiled_once
from test_torch_source import bright_and_dark

from cnngen.backend import get_backend
from cnngen.backend.definitions import random_weights
from cnngen.backend.model_access import Batch
from cnngen.backend.testing import BackendConformance
from cnngen.backend.testing.networks import BACKBONE, SMALL, by_hand, graph
from cnngen.backend.testing.random_networks import random_network
from cnngen.errors import BackendError
from cnngen.language import parse
from cnngen.network import Network
from cnngen.operations import Dropout
from cnngen.space.resolution import lower
from cnngen.space.sampling import sample

__all__ = ["compiled_once"]


class TestFlax(BackendConformance):
    backend = "flax"
    framework = ("flax", "jax", "optax")
    float64 = 1e-10
    # JAX compiles each model, and all of them would take too long.
    every_window = 48
    random_networks = 1


def emit(network: Network, *, script: bool = False) -> str:
    return get_backend("flax").emit(network, script=script)


def load(source: str) -> ModuleType:
    module = ModuleType("emitted")
    exec(compile(source, "emitted.py", "exec"), module.__dict__)
    return module


def shape_of(module: ModuleType, network: Network) -> tuple[int, ...]:
    """The shape that comes out for three images, found without computing anything."""

    def outputs(images: jax.Array) -> jax.Array:
        return module.Net(nnx.Rngs(0))(images)

    images = jax.ShapeDtypeStruct((3, *network.input_shape), np.float32)
    return jax.eval_shape(outputs, images).shape


def on_one_line(call: re.Match[str]) -> str:
    return f"({' '.join(call[1].split())})  #"


@pytest.mark.parametrize("origin", ["wild", "paper"])
def test_every_tensor_has_the_shape_written_beside_it(origin: str) -> None:
    """Law: each line's comment is the shape of what the line computes, and of its node."""
    line = re.compile(r"^( +)(return|\w+ =) ([^#\n]+?)  # (\d+(?:x\d+x\d+)?)$", re.MULTILINE)
    for seed in range(12):
        network = (
            random_network(seed)
            if origin == "wild"
            else sample(origin, seed=seed, input_shape=(28, 29, 3))
        )
        stated: list[str] = []

        def check(tensor: jax.Array, text: str, stated: list[str] = stated) -> jax.Array:
            assert tensor.shape[1:] == tuple(map(int, text.split("x")))
            stated.append(text)
            return tensor

        source = re.sub(r"\(\n((?: {12}.+\n)+) {8}\)  #", on_one_line, emit(network))
        source = re.sub(r" {8}# ([\dx]+)\n( {8}.+)\n", r"\2  # \1\n", source)
        module = load(line.sub(r'\1\2 check(\3, "\4")', source))
        module.check = check
        assert shape_of(module, network) == (3, *network.output_shape)
        calls = re.findall(r"self\.merge\d+\(x\)", emit(network))
        assert len(stated) == len(network) - 1 + len(calls)


def test_gradients_are_those_of_torch() -> None:
    """Law: with equal weights, the loss and its gradients are those of PyTorch."""
    for network in (lower(parse(SMALL)), graph()):
        random = np.random.default_rng(0)
        images = random.normal(size=(5, *network.input_shape)).astype(np.float32)
        batch = Batch(images, random.integers(0, network.classes, 5))
        found = []
        for backend in (get_backend("torch"), get_backend("flax")):
            runner = backend.runner()
            model = runner.build(backend.emit(network))
            runner.set_weights(model, random_weights(network))
            found.append(runner.gradients(model, batch))
        (loss, expected), (other, gradients) = found
        assert other == pytest.approx(loss, rel=1e-5)
        assert {o: set(w) for o, w in gradients.items()} == {o: set(w) for o, w in expected.items()}
        for operation, own in expected.items():
            for name, gradient in own.items():
                np.testing.assert_allclose(
                    gradients[operation][name], gradient, rtol=1e-4, atol=1e-6, err_msg=operation
                )


def test_ties_of_a_global_maximum_share_its_gradient() -> None:
    net = load(
        emit(
            lower(
                parse(
                    "input(2x2x1) conv(filters=1, kernel=1, stride=1, padding=same, "
                    "activation=linear, bias=true) global_max_pooling dense(units=2, activation=linear) "
                    "output(2)"
                )
            )
        )
    ).Net(nnx.Rngs(0))
    gradient = jax.grad(lambda x: net(x).sum())(np.ones((1, 2, 2, 1), np.float32)).ravel()
    assert np.allclose(gradient, gradient[0])
    assert gradient[0] != 0


def test_dropout_zeroes_single_values_in_training_only() -> None:
    network = by_hand((20, 20, 4), Dropout(0.5))
    net, x = load(emit(network)).Net(nnx.Rngs(0)), np.ones((1, 20, 20, 4), np.float32)
    dropped = np.asarray(net(x))[0]
    assert set(np.unique(dropped)) == {0.0, 2.0}
    assert not any((dropped[..., channel] == dropped[0, 0, channel]).all() for channel in range(4))
    net.eval()
    assert np.array_equal(net(x), x)


def test_batch_norm_keeps_running_statistics_as_the_network_says() -> None:
    net = load(emit(lower(parse(BACKBONE)))).Net(nnx.Rngs(0))
    assert (net.norm1.momentum, net.norm1.epsilon) == (0.9, 1e-5)
    assert net.conv1.bias is None
    far = np.float32(1000) + np.random.default_rng(0).normal(size=(8, 4, 5, 4)).astype(np.float32)
    net.norm1(far)
    expected = 0.9 + 0.1 * far.astype(np.float64).var(axis=(0, 1, 2))
    np.testing.assert_allclose(net.norm1.var[...], expected, rtol=1e-4)


def test_files_depend_on_jax_and_flax_alone_and_scripts_on_numpy_and_optax_too() -> None:
    imports = re.compile(r"^(?:import|from) (\w+)", re.MULTILINE)
    network, standard = sample("paper", seed=1), set(sys.stdlib_module_names)
    assert set(imports.findall(emit(network))) - standard == {"jax", "flax"}
    scripted = set(imports.findall(emit(network, script=True)))
    assert scripted - standard == {"jax", "flax", "numpy", "optax"}


def test_a_script_trains_and_prints_its_accuracy(tmp_path: Path) -> None:
    # 129 images in batches of 64 would leave one, on which batch norm of 1x1 maps fails.
    bright_and_dark(tmp_path / "data.npz", 129)
    (tmp_path / "net.py").write_text(emit(lower(parse(SMALL)), script=True))
    run = subprocess.run(
        [
            sys.executable,
            "net.py",
            "data.npz",
            "--epochs",
            "12",
            "--learning-rate",
            "0.01",
            "--save",
            "net.npz",
        ],
        cwd=tmp_path,
        env={**os.environ, "XLA_FLAGS": "--xla_backend_optimization_level=0"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    epochs = re.findall(r"^epoch +(\d+): loss ([\d.]+)", run.stdout, re.MULTILINE)
    assert [int(number) for number, _ in epochs] == list(range(1, 13))
    assert float(epochs[-1][1]) < float(epochs[0][1])
    accuracy = re.search(r"test accuracy ([\d.]+)", run.stdout)
    assert accuracy is not None
    assert float(accuracy[1]) > 0.9
    with np.load(tmp_path / "net.npz") as arrays:
        assert {name.split(".")[-1] for name in arrays} == {
            "kernel",
            "bias",
            "scale",
            "mean",
            "var",
        }


def test_a_backbone_has_no_script() -> None:
    with pytest.raises(BackendError, match="backbone"):
        emit(lower(parse(BACKBONE)), script=True)
