"""Models of other programs as sentences: what comes back, what is refused, and with what reason."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

import cnngen
from cnngen.backend import get_backend
from cnngen.backend.definitions import random_weights
from cnngen.backend.model_access import Weights
from cnngen.cli.app import run
from cnngen.errors import ModelError
from cnngen.importing import import_model
from cnngen.network import Network
from cnngen.runs.kept_weights import read_weights

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(
    path
    for path in ROOT.glob("examples/*.cnn")
    if path.stem != "open" and "squeeze_excite" not in path.read_text()
)


def model_of(network: Network, backend: str, weights: Weights):
    chosen = get_backend(backend)
    runner = chosen.runner()
    model = runner.build(chosen.emit(network))
    runner.set_weights(model, weights)
    return runner.own_model(model, trained=True)


def same_weights(one: Weights, other: Weights) -> bool:
    return one.keys() == other.keys() and all(
        one[name].keys() == other[name].keys()
        and all(np.array_equal(one[name][own], other[name][own]) for own in one[name])
        for name in one
    )


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_comes_back_from_onnx_as_the_equal_network(path: Path) -> None:
    network = cnngen.resolve(cnngen.read(path))
    found = import_model(network.build("onnx"))
    assert found.network == network
    if path.stem != "squeezenet1_1":  # two branches of convolutions are bodies in the text found
        assert found.network.id == network.id
    assert found.difference <= 1e-5


@pytest.mark.parametrize("space", ["paper", "compact"])
def test_sampled_networks_come_back_from_onnx_with_their_weights(space: str) -> None:
    """Law: emitting and importing again gives the equal network and the same numbers."""
    for seed in range(100):
        network = cnngen.sample(space, seed=seed)
        weights = random_weights(network, seed)
        found = import_model(model_of(network, "onnx", weights))
        assert found.network == network, seed
        assert same_weights(found.weights, weights), seed
        assert found.difference <= 1e-5
        # The text may word the same network otherwise, but it is its text.
        assert cnngen.resolve(found.network.to_text()) == network


@pytest.mark.parametrize("space", ["paper", "compact"])
def test_emitted_modules_come_back_with_their_weights(space: str) -> None:
    """Law: also from PyTorch, where nothing tells `same` from `valid` if neither pads."""
    for seed in range(15):
        network = cnngen.sample(space, seed=seed, input_shape=(17, 20, 3))
        weights = random_weights(network, seed)
        found = import_model(model_of(network, "torch", weights), input_shape=(17, 20, 3))
        assert same_weights(found.weights, weights), seed
        assert found.difference <= 1e-5
        for mine, given in zip(found.network.nodes, network.nodes, strict=True):
            assert (mine.name, mine.inputs, mine.shape) == (given.name, given.inputs, given.shape)
            assert mine.branch == given.branch


@pytest.mark.parametrize(
    "text",
    [
        # The right side of the second body goes on from the first one's.
        "[add (conv convbn, conv) (max_pooling conv, bnconv) (conv dropout, conv)] max_pooling",
        "[concat (conv, conv) (conv, Empty)]",
        "[add ([concat (conv, Empty)] conv ([add (conv, Empty)] conv, Empty), conv)]".replace(
            "([add (conv, Empty)] conv, Empty)", "[add (conv [add (conv, conv)], Empty)]"
        ),
        "bnconv(order=norm_act_conv) BatchNormalisation activate dropout avg_pooling dropout(rate=0.1)",
    ],
)
def test_merges_of_every_kind_come_back(text: str) -> None:
    network = cnngen.resolve(
        f"input(12x12x4) conv {text} global_avg_pooling dense output(3)", seed=3
    )
    found = import_model(network.build("onnx"))
    assert found.network == network


def test_deep_nesting_comes_back() -> None:
    from cnngen.backend.testing.networks import nested

    network = nested(300, "add")
    assert import_model(network.build("onnx")).network == network


def shaken(model: nn.Module) -> nn.Module:
    """A module whose norms have statistics and scales of their own."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return model.eval()


@pytest.mark.parametrize(
    "name", ["mobilenet_v2", "resnet18", "resnext50_32x4d", "densenet121", "googlenet"]
)
def test_models_of_torchvision_are_found_with_their_weights(name: str) -> None:
    options = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    size = 47 if name == "googlenet" else 65
    model = shaken(getattr(torchvision.models, name)(weights=None, **options))
    found = import_model(model, input_shape=(size, size, 3))
    images = torch.randn(3, 3, size, size)
    with torch.no_grad():
        theirs, ours = model(images), found.build("torch")(images)
    assert float((theirs - ours).abs().max() / theirs.abs().max()) <= 1e-5
    assert cnngen.resolve(found.network.to_text()) == found.network


@pytest.mark.parametrize(
    ("name", "size", "reason"),
    [
        (
            "mobilenet_v2",
            64,
            r"'features.0.0' \(aten.conv2d\) .* this padding is not in the language",
        ),
        ("resnet18", 64, "'conv1' .* pads 3 before and 3 after, `same` pads 2 and 3"),
        ("efficientnet_b0", 65, r"'features.1.0.block.1' \(aten.mul.Tensor\) .* multiplies"),
        ("squeezenet1_1", 65, "'classifier.3' .* cannot stand last"),
        ("shufflenet_v2_x0_5", 65, "'stage2.0' .* gives the shape"),
    ],
)
def test_a_model_that_is_no_sentence_is_refused_at_its_first_operation(
    name: str, size: int, reason: str
) -> None:
    model = getattr(torchvision.models, name)(weights=None)
    with pytest.raises(ModelError, match=reason):
        import_model(model, input_shape=(size, size, 3))


def test_squeeze_excite_is_refused_at_its_product() -> None:
    network = cnngen.resolve("input(8x8x3) conv(filters=4) squeeze_excite flatten dense output")
    with pytest.raises(ModelError, match=r"squeeze.* is not in the language"):
        import_model(network.build("onnx"))


class Tangled(nn.Module):
    """Two columns that read each other."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = self.a(x), self.b(x)
        return (left + self.c(right)) + (right + self.d(left))


class Branched(nn.Module):
    """Two columns that both hold a sum, and a third that is empty."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = self.a(x), self.b(x)
        return torch.cat([F.max_pool2d(left + self.c(left), 1), x, right + self.d(right)], 1)


class Preactivated(nn.Module):
    """An activation in place, behind which the shortcut reads what it changed."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.conv = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        y = F.relu(x, inplace=True)
        return x + self.conv(y)


def test_a_graph_without_merges_of_the_language_is_refused() -> None:
    with pytest.raises(ModelError, match="does not fit into the language's merges"):
        import_model(Tangled(), input_shape=(8, 8, 3))


def test_what_bodies_cannot_tell_is_told_in_branches() -> None:
    found = import_model(Branched(), input_shape=(8, 8, 3))
    text = found.network.to_text()
    assert "[concat conv(" in text
    assert " | Empty | " in text
    assert text.count("[add ( conv(") == 2
    assert found.difference <= 1e-6


@pytest.mark.parametrize(
    "text",
    [
        "[concat conv | conv conv | max_pooling(stride=1, padding=same) ]",
        "[concat Empty | [add conv | Empty | conv ] conv ]",
        "[add [add conv | Empty ] | [add (conv, Empty) ] | conv ] dropout",
        "[concat conv | [concat Empty | Empty | conv ] | Empty ]",
    ],
)
def test_branches_come_back_from_onnx(text: str) -> None:
    network = cnngen.resolve(f"input(9x9x3) conv {text} conv flatten dense output(4)", seed=1)
    found = import_model(network.build("onnx"))
    assert found.network == network
    assert found.difference <= 1e-6


def test_an_operator_in_place_changes_what_is_read_behind_it() -> None:
    found = import_model(Preactivated(), input_shape=(8, 8, 3))
    assert "activation=relu" in found.network.to_text()
    assert found.difference <= 1e-6


def plain(*layers: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return shaken(nn.Sequential(*layers))


FOREIGN = {
    "activations": plain(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.SiLU(), nn.Conv2d(8, 8, 1), nn.GELU(),
        nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4), nn.Hardswish(), nn.BatchNorm2d(8),
        nn.Conv2d(8, 4, 1, bias=False), nn.Mish(), nn.MaxPool2d(3, 2, 1), nn.LeakyReLU(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(16, 9), nn.ReLU6(),
        nn.Linear(9, 5, bias=False),
    ),
    # Flattened with the channels running slowest.
    "flattened": plain(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(),
                       nn.Linear(45, 4)),
    "backbone": plain(nn.Conv2d(3, 4, 3, padding=1), nn.Sigmoid()),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_what_pytorch_exports_as_onnx_is_the_sentence_of_the_module(name: str) -> None:
    module, file = FOREIGN[name], io.BytesIO()
    torch.onnx.export(module, (torch.randn(1, 3, 17, 17),), file, dynamo=False)
    from_onnx = import_model(onnx.load_from_string(file.getvalue()))
    from_torch = import_model(module, input_shape=(17, 17, 3))
    images = torch.randn(4, 3, 17, 17)
    theirs = module(images).detach().numpy()
    for found in (from_onnx, from_torch):
        ours = found.build("torch")(images).detach().numpy()
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ((nn.Conv2d(3, 3, 3), nn.Softmax(1)), "logits, without softmax"),
        ((nn.Conv2d(3, 3, 3), nn.GELU("tanh")), "approximated by tanh"),
        ((nn.Conv2d(3, 3, 3), nn.LeakyReLU(0.2)), "negative_slope is 0.2"),
        ((nn.Conv2d(3, 3, 3), nn.AvgPool2d(3, 1, 1)), "padding counts for the mean"),
        ((nn.Conv2d(3, 3, 3, padding_mode="circular"),), "pads with other values"),
        ((nn.MaxPool2d(2), nn.Conv2d(3, 3, 3)), "'0' .* cannot stand where it does"),
        ((nn.Conv2d(3, 3, 3), nn.LayerNorm(6)), "no word for it"),
        ((nn.ConvTranspose2d(3, 3, 3),), "no word for it"),
    ],
)
def test_the_reason_of_a_refusal_says_what_is_missing(layers, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        import_model(nn.Sequential(*layers).eval(), input_shape=(8, 8, 3))


def test_a_network_that_computes_something_else_is_never_given(monkeypatch) -> None:
    """Were a matcher wrong, here one that takes SELU for ELU, the comparison would tell."""
    from cnngen.importing import torch_reader
    from cnngen.importing.foreign import Activated

    monkeypatch.setitem(torch_reader.OPERATORS, "selu", lambda given: Activated("elu"))
    module = plain(nn.Conv2d(3, 4, 3), nn.SELU())
    with pytest.raises(ModelError, match="differ by"):
        import_model(module, input_shape=(8, 8, 3))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert run(["generate", str(ROOT / "examples/lenet.cnn"), "-o", "lenet.onnx"]) == 0
    return tmp_path


def test_the_command_writes_a_description_and_weights(here: Path, capsys) -> None:
    assert run(["import", "lenet.onnx", "--out", "net.cnn", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    network = cnngen.resolve(cnngen.read(here / "net.cnn"))
    assert told["id"] == network.id == cnngen.resolve(cnngen.read(ROOT / "examples/lenet.cnn")).id
    weights = read_weights(here / told["weights"], network)
    given = onnx.load("lenet.onnx").graph.initializer
    (kernel,) = (onnx.numpy_helper.to_array(t) for t in given if t.name == "conv1_kernel")
    assert np.array_equal(weights["conv1"]["kernel"], kernel.transpose(2, 3, 1, 0))


def broken(path: Path, how: str) -> None:
    model = onnx.load(path)
    content = model.SerializeToString()
    match how:
        case "cut":
            content = content[:200]
        case "text":
            content = b"not a model"
        case "empty":
            content = b""
        case "short weight":
            model.graph.initializer[0].raw_data = b"1234"
            content = model.SerializeToString()
        case "huge weight":
            model.graph.initializer[0].dims[:] = [2**40, 2**20]
            content = model.SerializeToString()
        case "weights outside":
            tensor = model.graph.initializer[0]
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="../secret")
            content = model.SerializeToString()
        case "unknown":
            model.graph.node[1].op_type = "Erf"
            content = model.SerializeToString()
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("cut", "is not an ONNX file"),
        ("text", "is not an ONNX file"),
        ("empty", "is not a valid ONNX model"),
        ("short weight", "conv1_kernel"),
        ("huge weight", "conv1_kernel"),
        ("weights outside", "outside the model's folder"),
        ("unknown", "'conv1' (Erf) is not in the language"),
    ],
)
def test_a_bad_file_is_refused_and_nothing_written(
    here: Path, how: str, message: str, capsys
) -> None:
    broken(here / "lenet.onnx", how)
    assert run(["import", "lenet.onnx", "-o", "net.cnn"]) == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in here.iterdir()) == ["lenet.onnx"]


def test_a_damaged_file_is_read_or_refused_but_never_fails_otherwise(tmp_path: Path) -> None:
    """Law: whatever bytes are changed, there is a network or a `CnnGenError`."""
    text = "input(6x6x2) conv(filters=3) [concat (convbn, Empty)] flatten dense output(2)"
    whole = cnngen.resolve(text, seed=1).build("onnx").SerializeToString()
    random = np.random.default_rng(0)
    path = tmp_path / "damaged.onnx"
    refused = 0
    for _ in range(200):
        content = bytearray(whole)
        for place in random.integers(len(content), size=3):
            content[place] = random.integers(256)
        path.write_bytes(content)
        try:
            import_model(path)
        except cnngen.CnnGenError:
            refused += 1
    assert refused > 0


def test_files_that_may_run_code_are_not_opened(here: Path, capsys) -> None:
    (here / "model.pt2").write_bytes(b"")
    assert run(["import", "model.pt2"]) == 2
    assert "may run code" in capsys.readouterr().err


LOADS = {
    "torch": "import numpy, torch\nwith torch.no_grad(): y = net.load()(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()",
    "flax": "y = net.load()(x)",
    "keras": "y = net.load()(x, training=False)",
    "onnx": "import onnxruntime as ort\ny = ort.InferenceSession(net.load().SerializeToString()).run(None, {'images': x.transpose(0, 3, 1, 2)})[0]",
}  # fmt: skip

SENTENCES = (
    "input(9x9x3) convbn(kernel=3, order=conv_norm_act) max_pooling [add (conv bnconv, conv)] flatten dense dense output(4)",
    "input(8x8x1) conv(groups=depthwise, filters=4) [concat (convbn, Empty)] global_max_pooling dense output(3)",
)


@pytest.mark.parametrize("backend", LOADS)
@pytest.mark.parametrize("text", SENTENCES)
def test_a_module_of_pytorch_becomes_a_file_of_each_framework(
    text: str, backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module, a description and its weights, a source with the weights beside it: one network."""
    monkeypatch.chdir(tmp_path)
    network = cnngen.resolve(text, seed=2)
    module = model_of(network, "torch", random_weights(network))
    import_model(module, input_shape=network.input_shape).save("net.cnn")
    images = np.random.default_rng(0).normal(size=(5, *network.input_shape)).astype(np.float32)
    np.save("x.npy", images)
    line = ["generate", "net.cnn", "--weights", "net.safetensors", "-b", backend, "-o", "net.py"]
    # In a process of its own: PyTorch and TensorFlow don't share one.
    commands = (
        [sys.executable, "-m", "cnngen", *line],
        [sys.executable, "-c",
         "import sys; sys.path.insert(0, '.')\nimport numpy as np, net\nx = np.load('x.npy')\n"
         f"{LOADS[backend]}\nnp.save('y.npy', np.asarray(y))"],
    )  # fmt: skip
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    with torch.no_grad():
        wanted = module(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(np.load("y.npy"), wanted, atol=1e-5 * max(1, abs(wanted).max()))


def test_an_onnx_file_has_the_weights_inside(here: Path) -> None:
    assert run(["import", "lenet.onnx", "-o", "net.cnn"]) == 0
    line = ["generate", "net.cnn", "--weights", "net.safetensors", "-o", "again.onnx"]
    assert run(line) == 0
    assert same_weights(import_model("again.onnx").weights, import_model("lenet.onnx").weights)


def test_weights_of_another_network_are_refused_by_name(here: Path, capsys) -> None:
    assert run(["import", "lenet.onnx", "-o", "net.cnn"]) == 0
    text = (here / "net.cnn").read_text().replace("units=84", "units=85")
    (here / "other.cnn").write_text(text)
    line = ["generate", "other.cnn", "--weights", "net.safetensors", "-o", "other.py"]
    assert run(line) == 2
    assert "dense2.kernel is (120, 84) in the weights, (120, 85)" in capsys.readouterr().err
    assert not (here / "other.py").exists()
    assert not (here / "other.pt").exists()
    assert run([*line[:-2]]) == 2
    assert "--out" in capsys.readouterr().err


def test_the_name_of_a_weights_file_stays_a_name_in_the_source() -> None:
    network = cnngen.resolve("input(8x8x3) conv(filters=4) flatten dense output")
    name = 'a"); print("b\\'
    tree = ast.parse(get_backend("torch").emit_loading(network, name))
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert name in texts
