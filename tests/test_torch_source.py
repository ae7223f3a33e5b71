from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cnngen.backend import get_backend
from cnngen.backend.definitions import evaluate
from cnngen.backend.testing import BackendConformance
from cnngen.backend.testing.networks import BACKBONE, SMALL, by_hand, nested
from cnngen.backend.testing.random_networks import random_network
from cnngen.errors import BackendError
from cnngen.language import parse
from cnngen.language.tree import Description, Layer
from cnngen.network import Network
from cnngen.operations import (
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    Pool,
    SqueezeExcite,
)
from cnngen.space.resolution import lower
from cnngen.space.sampling import sample
from cnngen_torch.runner import TorchRunner


def emit(network: Network, *, script: bool = False) -> str:
    return get_backend("torch").emit(network, script=script)


def load(source: str) -> ModuleType:
    module = ModuleType("emitted")
    exec(compile(source, "emitted.py", "exec"), module.__dict__)
    return module


def build(network: Network, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return load(emit(network)).Net()


def images(network: Network, count: int = 2) -> torch.Tensor:
    height, width, channels = network.input_shape
    return torch.randn(count, channels, height, width)


class TestTorch(BackendConformance):
    backend = "torch"
    framework = ("torch",)
    float64 = 1e-10


# ---- What the code computes, against the definition of each operation


def from_definitions(network: Network, net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    weights = TorchRunner().weights(net)
    last = evaluate(network, weights, x.permute(0, 2, 3, 1).numpy())[-1]
    expected = torch.from_numpy(last).to(x.dtype)
    return expected.permute(0, 3, 1, 2) if expected.dim() == 4 else expected


def randomise(net: nn.Module) -> None:
    """Give batch norms and biases values that a mistake would show in."""
    for name, tensor in net.state_dict().items():
        if name.endswith(("bias", "running_mean")):
            tensor.normal_(std=0.1)
        elif "norm" in name and name.endswith(("weight", "running_var")):
            tensor.uniform_(0.5, 1.5)


def test_code_computes_what_the_graph_and_the_definitions_say():
    """Law: the emitted forward equals the operations' definitions, run along the graph."""
    for seed in range(100):
        network = random_network(seed)
        net = build(network, seed).eval()
        randomise(net)
        x = images(network)
        with torch.no_grad():
            torch.testing.assert_close(
                net(x), from_definitions(network, net, x), rtol=1e-4, atol=1e-5, msg=f"{seed}"
            )


def test_pooling_and_convolution_are_exact_for_every_size_window_and_stride():
    seen = []
    axes = [(n, k, s) for n in range(1, 9) for k in range(1, 6) for s in range(1, 5)]
    for number, (n, k, s) in enumerate(axes):
        # The other axis runs through the same list at another pace.
        m, j, t = axes[number * 37 % len(axes)]
        shape, window, stride = (n, m, 2), (k, j), (s, t)
        for padding in ("same", "valid"):
            if padding == "valid" and (k > n or j > m):
                continue
            for op in (
                Pool("max", window, stride, padding),
                Pool("avg", window, stride, padding),
                Conv2d(3, window, stride, padding),
            ):
                network = by_hand(shape, op)
                net = build(network)
                x = images(network)
                with torch.no_grad():
                    torch.testing.assert_close(net(x), from_definitions(network, net, x))
                seen.append(padding)
    assert seen.count("same") == 3 * len(axes)


def test_a_mean_whose_window_hangs_over_never_counts_what_is_not_there():
    # Compiled, its gradient is wrong otherwise, though what it computes is right.
    for size, window, stride in [(8, 3, 2), (5, 2, 3), (7, 4, 2), (9, 2, 2)]:
        text = emit(by_hand((size, 6, 1), Pool("avg", (window, 1), (stride, 1), "same")))
        assert ("ceil_mode=True" in text) <= ("count_include_pad=False" in text)
    assert "ceil_mode=True" in text


# ---- Shapes, names, weights


COMMENTED = re.compile(r"^( +)(return|\w+ =) (.+)  # (\d+(?:x\d+x\d+)?)$", re.MULTILINE)


def with_checks(source: str) -> str:
    """The source with every line that states a shape checking it."""
    return COMMENTED.sub(r'\1\2 check(\3, "\4")', source)


@pytest.mark.parametrize("origin", ["wild", "paper", "compact"])
def test_every_tensor_has_the_shape_written_beside_it(origin):
    """Law: each line's comment is the shape of what the line computes, and of its node."""
    for seed in range(40):
        network = (
            random_network(seed)
            if origin == "wild"
            else sample(origin, seed=seed, input_shape=(28, 29, 3))
        )
        stated: list[str] = []

        def check(tensor: torch.Tensor, text: str, stated=stated) -> torch.Tensor:
            height_first = tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor
            assert tuple(height_first.shape[1:]) == tuple(map(int, text.split("x")))
            stated.append(text)
            return tensor

        module = load(with_checks(emit(network)))
        module.check = check
        calls = re.findall(r"self\.merge\d+\(x\)", emit(network))
        with torch.device("meta"):
            module.Net()(images(network))
        assert len(stated) == len(network) - 1 + len(calls)


def test_modules_are_named_as_operations_and_give_their_shapes():
    for network in [random_network(seed) for seed in range(30)]:
        net = build(network)
        found: dict[str, tuple[int, ...]] = {}
        for name, module in net.named_children():
            module.register_forward_hook(
                lambda m, a, out, found=found, name=name: found.update({name: out.shape[1:]})
            )
        net(images(network))
        for node in network.nodes[1:]:
            if isinstance(node.operation, Conv2d | BatchNorm | SqueezeExcite):
                height, width, channels = node.shape
                assert found.pop(node.name) == (channels, height, width)
            elif isinstance(node.operation, Dense | Dropout):
                shape = found.pop(node.name)
                assert math.prod(shape) == math.prod(node.shape)
            elif isinstance(node.operation, Pool):
                # One row or column too many may still be there; the next line drops it.
                rows, columns = found.pop(node.name)[1:]
                assert rows - node.shape[0] in (0, 1)
                assert columns - node.shape[1] in (0, 1)
        assert not found


def test_weights_are_keyed_by_operation():
    for network in [random_network(seed) for seed in range(20)]:
        weighted = {
            node.name
            for node in network.nodes
            if isinstance(node.operation, Conv2d | BatchNorm | Dense | SqueezeExcite)
        }
        with torch.device("meta"):
            keys = load(emit(network)).Net().state_dict()
        assert {key.split(".")[0] for key in keys} == weighted
        assert all(key.count(".") == 1 + key.startswith("squeeze") for key in keys)


def test_forward_and_backward_are_finite():
    for network in [
        *(random_network(seed) for seed in range(30)),
        *(sample("paper", seed=seed, input_shape=(16, 16, 3)) for seed in range(10)),
    ]:
        net = build(network)
        logits = net(images(network, 4))
        F.cross_entropy(logits, torch.arange(4) % network.classes).backward()
        assert logits.isfinite().all()
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


def test_weights_start_glorot_uniform_and_biases_at_zero():
    net = build(by_hand((8, 8, 16), Conv2d(64, (3, 5)), Flatten(), Dense(200)))
    fans = {"op1": 15 * (16 + 64), "op3": 8 * 8 * 64 + 200}
    for name, fan in fans.items():
        layer = getattr(net, name)
        bound = math.sqrt(6 / fan)
        assert 0.99 * bound < layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
        assert not layer.bias.any()


def test_batch_norm_has_the_momentum_and_epsilon_of_the_network():
    net = build(lower(parse(BACKBONE)))
    assert net.norm1.momentum == pytest.approx(0.1)
    assert net.norm1.eps == 1e-5
    assert net.conv1.bias is None


def test_dropout_zeroes_single_values_in_training_only():
    network = by_hand((20, 20, 4), Dropout(0.5))
    net, x = build(network), torch.ones(1, 4, 20, 20)
    dropped = net(x)
    assert not any((channel == channel[0, 0]).all() for channel in dropped[0])
    assert torch.equal(net.eval()(x), x)


@pytest.mark.parametrize("mode", ["add", "concat"])
def test_merges_nested_a_thousand_deep_run_forward_and_backward(mode):
    network = nested(1000, mode)
    net = build(network)
    net(images(network)).sum().backward()
    assert net.conv1.weight.grad.isfinite().all()
    assert len(list(net.children())) > 1000


# ---- The text


def test_files_depend_on_torch_alone_and_scripts_on_numpy_too():
    imports = re.compile(r"^(?:import|from) (\w+)", re.MULTILINE)
    network = sample("paper", seed=1)
    assert set(imports.findall(emit(network))) == {"torch"}
    scripted = set(imports.findall(emit(network, script=True)))
    assert scripted - set(sys.stdlib_module_names) == {"torch", "numpy"}


@pytest.mark.parametrize("evil", ['"""\nimport os', "a\\", "na\xefve", 'x"', "two\nlines"])
def test_a_tree_made_by_hand_cannot_break_out_of_the_docstring(evil):
    good = lower(parse(SMALL))
    layer = Layer("conv")
    object.__setattr__(layer, "kind", evil)
    description = Description((layer,), (), None, (6, 6, 1))
    with pytest.raises(BackendError, match="characters"):
        emit(Network(good.nodes, good.branches, description))


# ---- Files that train by themselves


def bright_and_dark(path: Path, count: int) -> None:
    """Images of noise, bright ones labelled 1: easy to learn."""
    random = np.random.default_rng(0)
    labels = np.arange(2 * count) % 2
    noise = random.integers(0, 120, (2 * count, 6, 6, 1))
    pixels = (noise + 120 * labels[:, None, None, None]).astype("uint8")
    np.savez(
        path,
        x_train=pixels[:count],
        y_train=labels[:count],
        x_test=pixels[count:],
        y_test=labels[count:],
    )


def test_a_script_trains_and_prints_its_accuracy(tmp_path):
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
            "net.pt",
        ],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    epochs = re.findall(r"^epoch +(\d+): loss ([\d.]+)", run.stdout, re.MULTILINE)
    assert [int(number) for number, _ in epochs] == list(range(1, 13))
    assert float(epochs[-1][1]) < float(epochs[0][1])
    assert float(re.search(r"test accuracy ([\d.]+)", run.stdout)[1]) > 0.9
    names = torch.load(tmp_path / "net.pt", weights_only=True)
    assert names.keys() == load(emit(lower(parse(SMALL)))).Net().state_dict().keys()


def test_a_script_names_the_shape_it_wants(tmp_path, monkeypatch, capsys):
    bright_and_dark(tmp_path / "data.npz", 20)
    monkeypatch.setattr(sys, "argv", ["net.py", str(tmp_path / "data.npz")])
    with pytest.raises(SystemExit) as stop:
        load(emit(sample("compact", seed=1), script=True)).main()
    assert stop.value.code == 2
    assert "x_train must be uint8 images of shape (32, 32, 3)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.arange(40) % 3, "y_train must be from 0 to 1"),
        (np.arange(40) % 2 - 1, "y_train must be from 0 to 1"),
        (np.full(40, 2**64 - 1, np.uint64), "y_train must be from 0 to 1"),
        (np.zeros((40, 2), int), "y_train must be integers, one for each image"),
        (np.zeros(39, int), "y_train must be integers, one for each image"),
        (np.zeros(40), "y_train must be integers, one for each image"),
        (np.array([None] * 40), "Object arrays cannot be loaded"),
    ],
)
@pytest.mark.parametrize("backend", ["torch", "keras", "flax"])
def test_a_script_refuses_labels_that_do_not_suit_the_network(tmp_path, labels, said, backend):
    source = get_backend(backend).emit(lower(parse(SMALL)), script=True)
    lines = source[source.index("def read(") : source.index("    return arrays")].splitlines()
    script = {"np": np}
    exec("\n".join([*lines, "    return arrays"]), script)
    bright_and_dark(tmp_path / "data.npz", 40)
    with np.load(tmp_path / "data.npz") as data:
        given = dict(data)
    np.savez(tmp_path / "data.npz", **given | {"y_train": labels})
    with pytest.raises(ValueError, match=said):
        script["read"](tmp_path / "data.npz")


def test_a_script_takes_labels_in_a_column_as_keras_keeps_them(tmp_path, monkeypatch, capsys):
    bright_and_dark(tmp_path / "data.npz", 20)
    with np.load(tmp_path / "data.npz") as data:
        given = dict(data)
    given |= {name: given[name][:, None].astype("uint8") for name in ("y_train", "y_test")}
    np.savez(tmp_path / "column.npz", **given)
    script = load(emit(lower(parse(SMALL)), script=True))
    printed = []
    for name in ("data", "column"):
        argv = ["net.py", str(tmp_path / f"{name}.npz"), "--epochs", "1"]
        monkeypatch.setattr(sys, "argv", argv)
        script.main()
        printed.append(re.findall(r"accuracy .*|loss [\d.]+", capsys.readouterr().out))
    assert printed[0] == printed[1] != []


def test_a_script_says_what_is_wrong_on_the_command_line(tmp_path, monkeypatch, capsys):
    bright_and_dark(tmp_path / "data.npz", 20)
    script = load(emit(lower(parse(SMALL)), script=True))
    for arguments, said in (
        ([str(tmp_path / "none.npz")], "No such file"),
        ([str(tmp_path / "data.npz"), "--batch", "0"], "batch must be 1 or more"),
    ):
        monkeypatch.setattr(sys, "argv", ["net.py", *arguments])
        with pytest.raises(SystemExit) as stop:
            script.main()
        assert stop.value.code == 2
        assert said in capsys.readouterr().err


def test_a_backbone_has_source_but_no_script():
    network = lower(parse(BACKBONE))
    assert build(network)(images(network)).shape == (2, 4, 5, 7)
    with pytest.raises(BackendError, match="backbone"):
        emit(network, script=True)


def test_weights_that_have_no_name_are_not_passed_over() -> None:
    from cnngen_torch.weights import weights

    model = nn.Module()
    model.up1 = nn.ConvTranspose2d(2, 3, 3)
    with pytest.raises(BackendError, match=r"no names for the weights of nn\.ConvTranspose2d"):
        weights(model)
