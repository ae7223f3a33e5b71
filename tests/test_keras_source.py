from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from spelled_out import by_hand, nested, random_network
from test_torch_source import BACKBONE, REASONABLE_NAMES, SMALL, bright_and_dark, randomise

from cnngen.backend import get_backend
from cnngen.errors import BackendError
from cnngen.language import parse
from cnngen.network import Network
from cnngen.operations import Conv2d, Dense, Pool
from cnngen.resolution import lower
from cnngen.sampling import sample

WORKER = Path(__file__).parent / "keras_worker.py"
ENGINES = ("tensorflow", "torch", "jax")


def emit(network: Network, *, script: bool = False) -> str:
    return get_backend("keras").emit(network, script=script)


EVERYTHING = """
input(11x9x2)
[concat
  (max_pooling(size=2x3, stride=1, padding=same)
   convbn(filters=3, kernel=3x2, stride=2, padding=same, activation=selu, bias=false, epsilon=1e-5),
   conv(filters=2, kernel=2, stride=2, padding=same, activation=gelu, bias=true))
  ([add (conv(filters=5, kernel=4, stride=1, padding=same, activation=tanh, bias=true), Empty)
        (bnconv(filters=5, kernel=1, stride=1, padding=valid, activation=relu, bias=true,
                epsilon=1e-3) dropout(rate=0.1), Empty)],
   conv(filters=4, kernel=5, stride=1, padding=same, activation=sigmoid, bias=true))]
avg_pooling(size=2x3, stride=2x1, padding=same)
BatchNormalisation(epsilon=1.001e-5)
conv(filters=4, kernel=2x1, stride=1x2, padding=valid, activation=linear, bias=true)
avg_pooling(size=1x2, stride=1, padding=valid)
ENDING dense(units=6, activation=relu) dropout(rate=0.5) dense(units=4, activation=linear)
output(4)
"""


def reads_foreign_memory(network: Network) -> bool:
    """Whether oneDNN 3 gives garbage for it, in PyTorch, Keras and TensorFlow alike.

    Its channels-last convolution does for one input channel, strides 1 and more, and an
    output one pixel wide; seen with AVX-512.
    """
    return any(
        isinstance(node.operation, Conv2d)
        and network.input_shapes(node)[0][2] == 1
        and node.operation.stride[0] == 1 < node.operation.stride[1]
        and node.shape[1] == 1
        for node in network.nodes
    )


def cases(engine: str) -> dict[str, Network]:
    """Networks that together have every operation, odd sizes, and all windows."""
    networks = {
        ending: lower(parse(EVERYTHING.replace("ENDING", ending)))
        for ending in ("flatten", "global_avg_pooling", "global_max_pooling")
    }
    networks["backbone"] = lower(parse(BACKBONE))
    axes = [(n, k, s) for n in (1, 4, 5, 8) for k in range(1, 6) for s in range(1, 5)]
    # JAX compiles each operation for each new shape, which takes its time.
    few = engine == "jax"
    for number, (n, k, s) in enumerate(axes[:: 19 if few else 3]):
        m, j, t = axes[number * 37 % len(axes)]
        operations = {
            "max": Pool("max", (k, j), (s, t), "same"),
            "avg": Pool("avg", (k, j), (s, t), "same"),
            "conv": Conv2d(3, (k, j), (s, t), "same"),
        }
        for name, operation in operations.items():
            networks[f"{name}{number}"] = by_hand((n, m, 2), operation)
    if few:
        return {name: networks[name] for name in networks if "global_avg" not in name}
    wild = {f"wild{seed}": random_network(seed) for seed in range(15)}
    sane = {name: network for name, network in wild.items() if not reads_foreign_memory(network)}
    assert len(sane) >= 14
    networks |= sane
    for seed in range(3):
        networks[f"paper{seed}"] = sample("paper", seed=seed, input_shape=(17, 16, 3))
    return networks


def write(folder: Path, name: str, network: Network) -> np.ndarray:
    """A case for the worker; PyTorch's answer to it, channels last."""
    torch.manual_seed(0)
    module = ModuleType("emitted")
    exec(get_backend("torch").emit(network), module.__dict__)
    net = module.Net().eval()
    randomise(net)
    images = torch.randn(3, *network.input_shape)
    weights = {key: tensor.numpy() for key, tensor in net.state_dict().items()}
    np.savez(folder / f"{name}.npz", input=images.numpy(), **weights)
    (folder / f"{name}.py").write_text(emit(network))
    with torch.no_grad():
        output = net(images.permute(0, 3, 1, 2))
    return (output.permute(0, 2, 3, 1) if output.dim() == 4 else output).numpy()


class Ran:
    """What came out of one engine, beside the networks and what PyTorch gives for them."""

    def __init__(self, engine: str, folder: Path) -> None:
        self.networks = cases(engine)
        self.expected = {
            name: write(folder, name, network) for name, network in self.networks.items()
        }
        (folder / "script.py").write_text(emit(lower(parse(SMALL)), script=True))
        if engine == "torch":
            (folder / "deep.py").write_text(emit(nested(1000)))
        bright_and_dark(folder / "data.npz", 129)
        environment = {
            "KERAS_BACKEND": engine,
            "KERAS_HOME": str(folder),
            "OMP_NUM_THREADS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }
        run = subprocess.run(
            [sys.executable, str(WORKER)],
            cwd=folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stderr[-3000:]
        self.results = json.loads((folder / "results.json").read_text())
        assert self.results["engine"] == engine
        self.outputs = {name: np.load(folder / f"{name}.out.npy") for name in self.networks}


@pytest.fixture(scope="module", params=ENGINES)
def ran(request, tmp_path_factory) -> Ran:
    return Ran(request.param, tmp_path_factory.mktemp(request.param))


def test_logits_equal_those_of_torch_with_the_same_weights(ran):
    """Law: equal weights give equal outputs to 1e-5, whatever the framework."""
    for name, output in ran.outputs.items():
        np.testing.assert_allclose(
            output, ran.expected[name], rtol=1e-5, atol=1e-5, err_msg=name, strict=True
        )


def test_layers_are_named_as_operations_and_have_their_shapes(ran):
    for name, network in ran.networks.items():
        shapes = ran.results[name]["shapes"]
        for node in network.nodes:
            assert tuple(shapes[node.name]) == node.shape, (name, node.name)


def test_weights_are_counted_as_keras_counts_them(ran):
    for name, network in ran.networks.items():
        result = ran.results[name]
        assert result["trainable"] == network.cost.parameters, name
        assert result["parameters"] == network.cost.parameters + network.cost.buffers, name


def test_weights_start_glorot_uniform_and_biases_at_zero(ran):
    for name, network in ran.networks.items():
        for node in network.nodes:
            op = node.operation
            if isinstance(op, Conv2d | Dense):
                weights = ran.results[name]["initial"][node.name]
                fan_in, fan_out = network.input_shapes(node)[0][-1], node.shape[-1]
                if isinstance(op, Conv2d):
                    fan_in *= op.kernel[0] * op.kernel[1]
                    fan_out *= op.kernel[0] * op.kernel[1]
                assert 0 < weights[0] <= np.sqrt(6 / (fan_in + fan_out)) + 1e-6
                assert weights[1:] == ([0.0] if getattr(op, "bias", True) else [])


def test_a_script_trains_and_prints_its_accuracy(ran):
    accuracy = re.search(r"test accuracy ([\d.]+)", ran.results["script"])
    assert float(accuracy[1]) > 0.9


def test_merges_nested_a_thousand_deep_build(ran):
    if ran.results["engine"] == "torch":  # one engine is enough: the limit is Keras's own
        assert ran.results["deep"] > 2000


def written(folder: Path) -> int:
    networks = [random_network(seed) for seed in range(200)]
    networks += [sample("paper", seed=seed) for seed in range(60)]
    networks += [nested(60), nested(1001, "concat"), lower(parse(BACKBONE))]
    networks += [lower(parse(f"{name} -> {SMALL}")) for name in REASONABLE_NAMES]
    huge = 10**6
    networks.append(
        by_hand(
            (huge, huge - 1, huge),
            Conv2d(huge, (huge, huge - 2), (99_999, 99_998), "same", "sigmoid", False),
            Pool("avg", (99_998, 5), (3, 99_997), "same"),
            Pool("avg", (4, 5), (1, 2), "same"),
        )
    )
    for number, network in enumerate(networks):
        script = number % 5 == 0 and not network.is_backbone
        (folder / f"net{number}.py").write_text(emit(network, script=script))
    return len(networks)


def test_files_pass_ruff_as_it_comes(tmp_path):
    count = written(tmp_path)
    for command in (["check"], ["format", "--check"]):
        run = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", "."],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stdout[-3000:] + run.stderr
    assert count > 250
    assert all(path.read_bytes().isascii() for path in tmp_path.glob("*.py"))


def test_files_depend_on_keras_alone_and_scripts_on_numpy_too():
    imports = re.compile(r"^(?:import|from) (\w+)", re.MULTILINE)
    for network in (sample("paper", seed=1), nested(500)):
        standard = set(sys.stdlib_module_names)
        assert set(imports.findall(emit(network))) - standard == {"keras"}
        assert set(imports.findall(emit(network, script=True))) - standard == {"keras", "numpy"}


@pytest.mark.parametrize("name", REASONABLE_NAMES)
def test_no_name_reaches_more_than_the_docstring(name):
    plain, named = (emit(lower(parse(prefix + SMALL))) for prefix in ("", f"{name} -> "))
    code = "import keras\n"
    assert named.split(code, 1)[1] == plain.split(code, 1)[1]


def test_the_file_says_that_the_loss_takes_logits():
    assert "from_logits=True" in emit(lower(parse(SMALL)))


def test_a_backbone_has_no_script():
    with pytest.raises(BackendError, match="backbone"):
        emit(lower(parse(BACKBONE)), script=True)
