"""Trained weights that are kept: they predict what the training measured, in every framework."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

import cnngen
from cnngen.cli.app import run
from cnngen.errors import BackendError, StoreError
from cnngen.runs.kept_weights import WEIGHTS, read_weights, trained_model, weights_file
from cnngen.runs.store import load, save
from cnngen.training.data import load_data, splits
from cnngen.training.protocol import Protocol

TEXT = """input(8x8x1)
    convbn(filters=6, kernel=3, stride=1, padding=same, activation=relu) max_pooling(size=2)
    [concat (bnconv(filters=4, kernel=3, stride=1, padding=same, activation=gelu), Empty)]
    flatten dense(units=16, activation=relu) dense output(10)"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory):
    """A network trained for three epochs and kept: its training and the folder."""
    network = cnngen.resolve(cnngen.parse(TEXT), seed=0)
    trained = cnngen.train(network, load_data("digits"), Protocol(epochs=3))
    folder = tmp_path_factory.mktemp("runs")
    save(folder, trained.record, network, trained.source, weights=trained.weights)
    return trained, folder


def accuracy(model, images: np.ndarray, labels: np.ndarray) -> float:
    with torch.no_grad():
        logits = model(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float() / 255)
    return float((logits.argmax(1).numpy() == labels).mean())


def test_two_lines_lead_from_a_sentence_to_a_module() -> None:
    network = cnngen.resolve(cnngen.parse(TEXT), seed=0)
    model = network.build("torch")
    assert isinstance(model, torch.nn.Module)
    assert model(torch.rand(2, 1, 8, 8)).shape == (2, 10)


def test_a_kept_model_has_the_accuracy_of_its_record(kept) -> None:
    trained, folder = kept
    data = load_data("digits")
    rows = splits(data, Protocol(epochs=3)).test
    found = load(folder)[trained.record.key[:8]]
    assert found.record == trained.record
    model = found.model()
    assert not model.training
    measured = accuracy(model, data.images[rows], data.labels[rows])
    assert measured == pytest.approx(trained.record.test_accuracy, abs=1e-6)
    untrained = accuracy(found.network.build().eval(), data.images[rows], data.labels[rows])
    assert untrained < measured - 0.2


def test_other_frameworks_compute_the_same_with_the_kept_weights(kept) -> None:
    import onnxruntime

    trained, folder = kept
    found = load(folder)[trained.record.key]
    images = load_data("digits").images[:5].astype(np.float32) / 255
    here = found.model("torch")(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))
    session = onnxruntime.InferenceSession(found.model("onnx").SerializeToString())
    (there,) = session.run(None, {"images": images.transpose(0, 3, 1, 2)})
    np.testing.assert_allclose(here.detach().numpy(), there, atol=1e-5)
    flax = np.asarray(found.model("flax")(images))
    np.testing.assert_allclose(here.detach().numpy(), flax, atol=1e-5)


def test_weights_come_back_as_they_were(kept) -> None:
    trained, folder = kept
    network = cnngen.resolve(cnngen.parse(TEXT), seed=0)
    path = folder / trained.record.key / WEIGHTS
    again = read_weights(path, network)
    assert trained.weights is not None
    assert again.keys() == trained.weights.keys()
    for name, own in trained.weights.items():
        for part, array in own.items():
            np.testing.assert_array_equal(again[name][part], array)
    assert path.read_bytes() == weights_file(again, network)


def test_weights_are_kept_unless_told_otherwise(tmp_path: Path, capsys) -> None:
    (tmp_path / "net.cnn").write_text(TEXT)
    options = ["--epochs", "1", "-o", str(tmp_path / "runs")]
    assert run(["train", str(tmp_path / "net.cnn"), *options, "--no-weights"]) == 0
    [folder] = [path for path in (tmp_path / "runs").iterdir() if len(path.name) > 20]
    assert not (folder / WEIGHTS).exists()
    with pytest.raises(StoreError, match="no weights were kept") as refused:
        load(tmp_path / "runs")[folder.name].model()
    assert "--no-weights" in str(refused.value.hint)
    assert run(["train", str(tmp_path / "net.cnn"), *options, "--again"]) == 0
    assert (folder / WEIGHTS).stat().st_size > 4 * 1000
    capsys.readouterr()
    assert (
        cnngen.train(
            cnngen.resolve(cnngen.parse(TEXT), seed=0),
            load_data("digits"),
            Protocol(epochs=1),
            keep_weights=False,
        ).weights
        is None
    )


def header(**tensors: object) -> bytes:
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text


FLOATS = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a safetensors file"),
        (b"\x00" * 7, "is not a safetensors file"),
        (struct.pack("<Q", 2**62) + b"{}", "is not a safetensors file"),
        (header(x=FLOATS), "is not a safetensors file"),
        (header(x=FLOATS) + bytes(8), "'x' .* is not a weight of a network"),
        (
            header(**{"conv1.kernel": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]}})
            + bytes(8),
            r"'conv1.kernel' \(int64\) is not a weight",
        ),
        (b"\x80\x04\x95" + b"x" * 100, "is not a safetensors file"),
        (b"x" * 2**25, "has more than"),
    ],
)
def test_a_strangers_weights_are_refused_with_the_reason(tmp_path, content, message) -> None:
    network = cnngen.resolve(cnngen.parse(TEXT), seed=0)
    (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(StoreError, match=message):
        read_weights(tmp_path / WEIGHTS, network)


def test_weights_of_another_network_are_refused(kept) -> None:
    trained, _ = kept
    assert trained.weights is not None
    network = cnngen.resolve(cnngen.parse(TEXT), seed=0)
    wide = cnngen.resolve(cnngen.parse(TEXT.replace("units=16", "units=17")), seed=0)
    with pytest.raises(
        BackendError, match=r"dense1.kernel is \(160, 16\) in the weights, \(160, 17\)"
    ):
        trained_model(wide, "torch", trained.weights)
    first, *others = trained.weights
    with pytest.raises(BackendError, match=f"the weights lack {first}"):
        trained_model(network, "torch", {name: trained.weights[name] for name in others})
    more = {**trained.weights, "conv9": trained.weights[first]}
    with pytest.raises(BackendError, match=r"has no weight conv9\."):
        trained_model(network, "torch", more)


def test_the_source_of_an_older_run_is_found(kept) -> None:
    from cnngen.runs.run_folder import source_path

    trained, folder = kept
    path = folder / trained.record.key
    assert source_path(path, trained.record).name == "model_torch.py"
    (path / "model_torch.py").rename(path / "torch.py")
    assert source_path(path, trained.record).name == "torch.py"
    (path / "torch.py").rename(path / "model_torch.py")


@pytest.mark.parametrize("backend", ["torch", "keras", "flax"])
def test_the_best_epoch_by_validation_is_kept_beside_the_last(tmp_path: Path, backend: str) -> None:
    network = cnngen.resolve(cnngen.parse(TEXT), seed=0)
    data = load_data("digits")
    for seed in range(8):  # at such a learning rate, the last epoch is the best of few trainings
        protocol = Protocol(epochs=4, learning_rate=0.05, seed=seed, keep="best")
        trained = cnngen.train(network, data, protocol, backend=backend)
        record = trained.record
        curve = [epoch.validation_accuracy for epoch in record.history]
        if max(curve) > curve[-1]:
            break
    assert max(curve) > curve[-1]
    save(
        tmp_path,
        record,
        network,
        trained.source,
        weights=trained.weights,
        best_weights=trained.best_weights,
    )
    rows = splits(data, protocol).validation
    kept = load(tmp_path)[record.key]
    for best, wanted in ((False, curve[-1]), (True, max(curve))):
        model = kept.model("torch", best=best)
        measured = accuracy(model, data.images[rows], data.labels[rows])
        assert measured == pytest.approx(wanted, abs=1.5 / len(rows))


def test_without_a_best_epoch_the_message_says_how_to_keep_it(kept) -> None:
    trained, folder = kept
    with pytest.raises(StoreError, match="no weights were kept") as refused:
        load(folder)[trained.record.key].model(best=True)
    assert "--keep best" in (refused.value.hint or "")
