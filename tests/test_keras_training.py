"""Training by Keras, under each of its engines in a process of its own."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from keras_trainings import EXACT, FEW, few, network
from torch.nn import functional as F

from cnngen import Protocol
from cnngen.training.data import splits
from cnngen_keras.rows import flip_crop
from cnngen_torch.train import load

TESTS = Path(__file__).parent
ENGINES = ("tensorflow", "torch", "jax")

Ran = dict[str, Any]


@cache
def trained(engine: str) -> Ran:
    command = [sys.executable, str(TESTS / "keras_trainings.py"), engine]
    # JAX compiles every training anew; at this level it takes half the time.
    fast = {"OMP_NUM_THREADS": "1", "XLA_FLAGS": "--xla_backend_optimization_level=0"}
    done = subprocess.run(command, env=os.environ | fast, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    results: Ran = json.loads(done.stdout)
    return results


def figures(result: Ran) -> list[float | None]:
    """All that must be equal where the training was."""
    kept = [
        epoch[name]
        for epoch in result["epochs"]
        for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    ]
    return [*kept, result["test_loss"], result["test_accuracy"]]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_small_network_learns_the_digits_and_its_epochs_are_told(engine: str) -> None:
    ran = trained(engine)
    result = ran["learns"]
    assert (result["status"], result["cause"], result["device"]) == ("ok", None, "cpu")
    assert result["test_accuracy"] > 0.9
    assert result["epochs"][-1]["train_loss"] < result["epochs"][0]["train_loss"] / 4
    assert [epoch["number"] for epoch in ran["seen"]] == list(range(1, 9))
    assert ran["seen"] == result["epochs"]
    assert sum(epoch["seconds"] for epoch in ran["seen"]) <= result["train_seconds"]
    assert result["threads"] >= 1
    assert f", {engine} " in ran["version"]


@pytest.mark.parametrize(
    ("engine", "loaded"), [("tensorflow", ["tensorflow"]), ("torch", ["torch"]), ("jax", [])]
)
def test_no_engine_brings_another_with_it(engine: str, loaded: list[str]) -> None:
    assert trained(engine)["loaded"] == loaded


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_seed_reaches_the_same_bits(engine: str) -> None:
    """Law: seed and protocol decide the history, with dropout, augmentation and schedule."""
    ran = trained(engine)
    assert ran["once"]["status"] == "ok"
    assert figures(ran["once"]) == figures(ran["again"])


def test_first_weights_that_are_handed_over_train_as_their_seed_does() -> None:
    ran = trained("torch")
    assert figures(ran["started"]) == figures(ran["adam"]["result"])


@pytest.mark.parametrize(
    ("engine", "optimizer"),
    [*((engine, "adam") for engine in ENGINES), ("tensorflow", "sgd"), ("torch", "sgd")],
)
def test_training_is_what_a_textbook_loop_does(engine: str, optimizer: str) -> None:
    """Law: PyTorch, with the same first weights, batches and formulas, has the same losses."""
    ran = trained(engine)[optimizer]
    rates: Iterator[float] = repeat(1e-3)
    if optimizer == "sgd":  # the rate rises for an epoch, and falls for one
        rise = [(step + 1) / 8 for step in range(8)]
        fall = [(1 + math.cos(math.pi * step / 8)) / 2 for step in range(8)]
        rates = (1e-3 * share for share in [*rise, *fall])
    expected = textbook(ran["weights"], optimizer, rates)
    for epoch, (loss, accuracy, judged) in zip(ran["result"]["epochs"], expected, strict=True):
        assert epoch["train_loss"] == pytest.approx(loss, rel=1e-4)
        assert epoch["train_accuracy"] == pytest.approx(accuracy, abs=0.005)
        # Keras keeps the biased variance of a batch, PyTorch the unbiased one.
        assert epoch["validation_loss"] == pytest.approx(judged, rel=2e-3)


def textbook(
    weights: dict[str, list[Any]], optimizer: str, rates: Iterator[float]
) -> Iterator[tuple[float, float, float]]:
    """Training loss and accuracy, and the loss for validation, of each epoch."""
    data, protocol = few(), Protocol(epochs=2, batch=32)
    model = load(network(EXACT).to_source("torch"))
    with torch.no_grad():
        model.conv1.weight.copy_(torch.tensor(weights["conv1"][0]).permute(3, 2, 0, 1))
        model.dense1.weight.copy_(torch.tensor(weights["dense1"][0]).T)
    parts = splits(data, protocol)
    assert len(data) == FEW
    assert len(parts.train) == 256
    x = torch.tensor(data.images.transpose(0, 3, 1, 2) / 255.0, dtype=torch.float32)
    y = torch.tensor(data.labels)
    means = [torch.zeros_like(p) for p in model.parameters()]
    squares = [torch.zeros_like(p) for p in model.parameters()]
    done = 0
    for epoch in range(1, protocol.epochs + 1):
        order = np.random.default_rng((protocol.seed, epoch)).permutation(parts.train)
        total, hits = 0.0, 0
        model.train()
        for rows in np.split(order, len(order) // protocol.batch):
            logits = model(x[rows])
            loss = F.cross_entropy(logits, y[rows])
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            done, rate = done + 1, next(rates)
            with torch.no_grad():
                for w, g, m, v in zip(model.parameters(), gradients, means, squares, strict=True):
                    if optimizer == "sgd":  # https://keras.io/api/optimizers/sgd
                        m.mul_(0.9).sub_(rate * g)
                        w.add_(m)
                    else:  # "epsilon hat" of Kingma and Ba (2014), section 2
                        m.mul_(0.9).add_(0.1 * g)
                        v.mul_(0.999).add_(0.001 * g * g)
                        corrected = rate * math.sqrt(1 - 0.999**done) / (1 - 0.9**done)
                        w.sub_(corrected * m / (v.sqrt() + 1e-7))
            total += loss.item() * len(rows)
            hits += int((logits.argmax(1) == y[rows]).sum())
        with torch.no_grad():
            model.eval()
            judged = F.cross_entropy(model(x[parts.validation]), y[parts.validation])
        yield total / len(order), hits / len(order), judged.item()


@pytest.mark.parametrize("engine", ENGINES)
def test_an_exhausted_time_budget_is_a_status_and_what_was_reached_is_tested(engine: str) -> None:
    result = trained(engine)["late"]
    assert result["status"] == "time_budget"
    # The epoch under way, or the one at whose end the budget was found to be spent.
    assert result["cause_epoch"] - len(result["epochs"]) in (0, 1)
    assert "0.4 s" in result["cause"]
    assert result["test_accuracy"] is not None
    assert result["train_seconds"] >= 0.4


def test_a_time_budget_holds_where_an_epoch_is_one_step() -> None:
    result = trained("torch")["one step"]
    assert (result["status"], result["cause_epoch"]) == ("time_budget", len(result["epochs"]))
    assert result["test_accuracy"] is not None


@pytest.mark.parametrize("engine", ["tensorflow", "torch"])
def test_a_loss_that_is_no_number_is_a_status_with_its_epoch(engine: str) -> None:
    result = trained(engine)["nan"]
    assert (result["status"], result["cause_epoch"], len(result["epochs"])) == ("nan", 1, 1)
    assert "loss became nan in epoch 1" in result["cause"]
    assert result["test_accuracy"] is None


@pytest.mark.parametrize(
    ("name", "epochs"), [("dead", 4), ("dead, stopped", 2), ("unvalidated", 1)]
)
def test_a_network_that_gives_one_class_is_dead_and_stops_only_if_asked(
    name: str, epochs: int
) -> None:
    # No gradient passes a factor of zero: the logits are the last biases.
    result = trained("torch")[name]
    assert (result["status"], result["cause_epoch"], len(result["epochs"])) == (
        "dead",
        epochs,
        epochs,
    )
    assert "one class for all images since epoch 1" in result["cause"]
    assert result["test_accuracy"] == pytest.approx(0.1, abs=0.05)
    assert math.isnan(result["epochs"][0]["validation_loss"]) is (name == "unvalidated")


def test_what_the_emitted_source_does_wrong_is_a_status_with_its_cause() -> None:
    ran = trained("torch")
    assert (ran["memory"]["status"], ran["memory"]["cause"]) == ("out_of_memory", "all gone")
    assert (ran["fault"]["status"], ran["fault"]["epochs"]) == ("error", [])
    assert "Flotten" in ran["fault"]["cause"]


@pytest.mark.parametrize("engine", ["tensorflow", "torch"])
def test_what_a_callback_raises_is_no_fault_of_the_network(engine: str) -> None:
    assert trained(engine)["raised"] == "the window was closed"


def test_another_seed_and_another_precision_train_another_way() -> None:
    ran = trained("torch")
    assert len({tuple(figures(ran[name])) for name in ("once", "other", "half", "scaled")}) == 4
    loss = ran["once"]["epochs"][-1]["train_loss"]
    for name, precision in (("half", "bfloat16"), ("scaled", "float16")):
        assert ran[name]["epochs"][-1]["train_loss"] == pytest.approx(loss, rel=0.05)
        assert ran[name]["precision"] == precision
    assert ran["half"]["skipped_steps"] is None
    assert 0 <= ran["scaled"]["skipped_steps"] < 20


def test_adamw_takes_its_share_off_a_weight() -> None:
    found, right = trained("torch")["decayed"]
    assert found == pytest.approx(right, abs=1e-6)


def test_two_engines_that_cannot_live_together_are_refused_with_a_way_out() -> None:
    program = """
import os, sys, types
sys.modules["torch"] = types.ModuleType("torch")
from cnngen.backend import get_backend
from cnngen.errors import BackendError
backend = get_backend("keras")
print(backend.version().split(", ")[1].split()[0])
os.environ["KERAS_BACKEND"] = "tensorflow"
try:
    backend.train("", None, None, None)
except BackendError as error:
    print(error.message, "|", error.hint)
print("keras" in sys.modules, "tensorflow" in sys.modules)
"""
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    chosen, refusal, loaded = done.stdout.splitlines()
    assert chosen in ("jax", "torch")
    assert "Keras cannot run on tensorflow in a process that has loaded torch" in refusal
    assert "KERAS_BACKEND=jax" in refusal
    assert loaded == "False False"


def test_augmentation_flips_and_moves_whole_images() -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (5, 16, 24, 3), dtype=np.uint8)
    chosen = np.arange(5).repeat(40)
    seen = set()
    for number, made in zip(chosen, flip_crop(images, chosen, random), strict=True):
        mirrored = np.pad(images[number], ((2, 2), (3, 3), (0, 0)), mode="reflect")
        found = [
            (flip, down, right)
            for flip in (1, -1)
            for down in range(5)
            for right in range(7)
            if (made == mirrored[down : down + 16, right : right + 24][:, ::flip]).all()
        ]
        assert found
        seen.add(found[0])
    assert {flip for flip, _, _ in seen} == {1, -1}
    assert {down for _, down, _ in seen} == set(range(5))
    assert {right for _, _, right in seen} == set(range(7))


def test_settings_of_the_process_change_nothing_and_are_kept() -> None:
    ran = trained("torch")
    assert ran["foreign"]["status"] == "ok"
    assert figures(ran["foreign"]) == figures(ran["once"])
    assert ran["foreign"]["kept"] == ["channels_first", "float16", 1]


def test_a_model_of_another_size_than_its_network_is_not_trained() -> None:
    assert "weights, its network" in trained("torch")["lost"]


def test_a_keras_file_that_keras_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text('{"floatx": "bfloat16"}')
    code = "from cnngen import get_backend\ntry: get_backend('keras').prepare()\n"
    code += "except Exception as error: print(type(error).__name__, error)"
    environment = {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "torch"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True
    )
    assert done.stdout.startswith("BackendError Keras does not start: Invalid `floatx`"), done
    assert "keras.json" in done.stdout
