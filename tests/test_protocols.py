"""Protocols as files and settings, and names where values are expected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cnngen
from cnngen.cli.app import run
from cnngen.errors import CnnGenError, DataError
from cnngen.training.protocol import PROTOCOLS, Protocol, read_protocol, with_settings

NET = "input conv(filters=4, kernel=3) max_pooling(size=2) flatten dense output"


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_a_file_changes_fields_of_its_base(tmp_path) -> None:
    path = written(tmp_path, 'base = "paper"\noptimizer = "adamw"\nbatch = 128\ntime_budget = 60')
    found = read_protocol(path)
    assert found == Protocol("mine", epochs=36, optimizer="adamw", batch=128, time_budget=60.0)
    assert read_protocol(written(tmp_path, "")) == Protocol("mine")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = ", "not valid TOML"),
        ("epoch = 3", "a protocol has no 'epoch'"),
        ("epochs = 2.5", "'2.5' is not a value of epochs"),
        ("epochs = true", "'True' is not a value of epochs"),
        ("epochs = 0", "at least 1 is needed"),
        ('optimizer = "lion"', "unknown optimizer 'lion'; one of: adam, adamw, sgd"),
        ('base = "mine"', "unknown protocol 'mine'"),
        ("base = 3", "'base' is 3"),
        ("batch = [1, 2]", r"'\[1, 2\]' is not a value of batch"),
        ("[epochs]\na = 1", "is not a value of epochs"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(tmp_path, text, message) -> None:
    with pytest.raises(CnnGenError, match=f"mine.toml: .*{message}"):
        read_protocol(written(tmp_path, text))


def test_a_slip_in_a_name_has_a_hint() -> None:
    with pytest.raises(CnnGenError) as refused:
        with_settings(Protocol(), {"learningrate": "0.1"})
    assert "Did you mean learning_rate?" in str(refused.value.hint)


def test_texts_are_read_as_the_fields_type() -> None:
    given = {"batch": "128", "learning_rate": "0.05", "abort_dead": "none", "schedule": "cosine"}
    assert with_settings(PROTOCOLS["quick"], given) == Protocol(
        batch=128, learning_rate=0.05, schedule="cosine"
    )


def test_the_commands_take_files_and_settings(tmp_path, capsys) -> None:
    (tmp_path / "net.cnn").write_text(NET)
    path = written(tmp_path, 'optimizer = "sgd"')
    options = ["-p", str(path), "--set", "learning_rate=0.05", "--train-seed", "3", "--epochs", "1"]
    arguments = [
        "train",
        str(tmp_path / "net.cnn"),
        *options,
        "-o",
        str(tmp_path / "runs"),
        "--json",
    ]
    assert run(arguments) == 0
    [record] = json.loads(capsys.readouterr().out)
    protocol = record["protocol"]
    assert (protocol["optimizer"], protocol["learning_rate"], protocol["seed"]) == ("sgd", 0.05, 3)
    assert protocol["name"] == "mine learning_rate=0.05-1-epochs"
    for wrong, message in (
        (["--set", "epochs"], "'epochs' is not a setting"),
        (["--set", "batch=many"], "'many' is not a value of batch"),
        (["-p", "nowhere.toml"], "nowhere.toml: cannot be read"),
    ):
        assert run(["train", str(tmp_path / "net.cnn"), *wrong]) == 2
        assert message in capsys.readouterr().err


def test_names_are_accepted_where_values_are() -> None:
    network = cnngen.resolve(NET, input_shape=(8, 8, 1), seed=2)
    assert network == cnngen.resolve(cnngen.parse(NET), input_shape=(8, 8, 1), seed=2)
    short = cnngen.train(network, "Digits", Protocol(epochs=1)).record
    assert short.data.name == "digits"
    with pytest.raises(CnnGenError, match="unknown protocol 'slow'"):
        cnngen.train(network, "digits", "slow")
    with pytest.raises(DataError, match="unknown data set 'CIFAR11'") as refused:
        cnngen.load_data("CIFAR11")
    assert "cifar10" in str(refused.value.hint)


def test_a_record_knows_how_its_network_was_sampled() -> None:
    network = cnngen.sample("compact", input_shape=(8, 8, 1), seed=5)
    record = cnngen.train(network, "digits", Protocol(epochs=1)).record
    assert (record.space, record.seed) == ("compact", 5)
    [other] = cnngen.sample_many(1, "compact", input_shape=(8, 8, 1), seed=5)
    drawn = cnngen.train(other, "digits", Protocol(epochs=1)).record
    assert drawn.space == "compact"
    assert cnngen.sample("compact", input_shape=(8, 8, 1), seed=drawn.seed or 0) == other


def test_networks_for_other_images_say_which_option_helps(tmp_path, capsys) -> None:
    assert run(["sample", "-n", "1", "-o", str(tmp_path / "nets")]) == 0
    [file] = (tmp_path / "nets").glob("*.cnn")
    assert run(["train", str(file)]) == 2
    said = capsys.readouterr().err
    assert "is for images of 32x32x3, those of 'digits' are 8x8x1" in said
    assert "--data cifar10" in said
    assert "cnngen sample --input 8x8x1 --classes 10" in said


def test_an_onnx_file_is_a_model(tmp_path, capsys) -> None:
    import onnxruntime

    (tmp_path / "net.cnn").write_text(NET)
    out = tmp_path / "net.onnx"
    assert run(["generate", str(tmp_path / "net.cnn"), "-i", "8x8x1", "-o", str(out)]) == 0
    session = onnxruntime.InferenceSession(str(out))
    assert session.get_inputs()[0].name == "images"
    wrong = ["generate", str(tmp_path / "net.cnn"), "-o", str(out), "--backend", "keras"]
    assert run(wrong) == 2
    assert "would be a model" in capsys.readouterr().err
