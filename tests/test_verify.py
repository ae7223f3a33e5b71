"""`cnngen verify`: equal networks are found equal, and differences are located."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numeric
import numpy as np
import pytest
import torch

from cnngen.backend import get_backend
from cnngen.backend.definitions import cross_entropy, evaluate
from cnngen.backend.mode_process import parse_mode
from cnngen.backend.model_access import Weights
from cnngen.backend.testing.networks import by_hand, fixed, graph
from cnngen.backend.testing.random_networks import random_network
from cnngen.cli.app import run
from cnngen.comparison.equality import Verification, Verifier
from cnngen.comparison.equality.answers import Figures, here
from cnngen.comparison.equality.first_difference import cut
from cnngen.comparison.equality.inputs import ask, defined, without_dropout
from cnngen.comparison.equality.tolerances import differences, relative
from cnngen.language import parse
from cnngen.network import Network
from cnngen.operations import Conv2d, Dense, Dropout, Flatten
from cnngen.space.resolution import resolve
from cnngen.space.sampling import sample
from cnngen.system import plugins
from cnngen.training.data import load_data
from cnngen.training.protocol import Protocol

TEXT = """// on the second line
tiny -> input(4x4x1)
  convbn(filters=2, kernel=3, stride=1, padding=same, activation=tanh, bias=true, epsilon=1e-3)
  [add (conv(filters=2, kernel=1, stride=1, padding=same, activation=gelu, bias=true), Empty)]
  flatten dropout(rate=0.5) dense(units=2, activation=linear) output(2)
"""


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(numeric.install(tmp_path_factory.mktemp("numeric") / "site"))
        plugins._declared.cache_clear()
        yield
    plugins._declared.cache_clear()
    plugins._made.cache_clear()


def tiny() -> Network:
    return resolve(parse(TEXT, "tiny.cnn"))


def figures(backend: str, network: Network, steps: int = 0) -> Figures:
    """What a backend computes in float64, in this process."""
    return here(backend, ask(network, steps=steps))["float64"]


# ---- The question


def test_the_definitions_train_as_numpy_says() -> None:
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(5, 3)) * 30, random.integers(0, 3, 5)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    by_hand = -sum(math.log(share[label]) for share, label in zip(shares, labels, strict=True)) / 5
    assert cross_entropy(logits, labels) == pytest.approx(by_hand, rel=1e-12)
    question = ask(tiny())
    values = evaluate(question.network, question.weights, question.batches[0].images, training=True)
    scaled = question.weights["norm1"]
    normal = (values[2] - scaled["shift"]) / scaled["scale"]
    assert np.abs(normal.mean((0, 1, 2))).max() < 1e-12
    before = values[1].var((0, 1, 2))
    assert normal.var((0, 1, 2)) == pytest.approx(before / (before + 1e-3), rel=1e-9)


def test_a_question_is_the_same_for_a_seed_and_its_numbers_fit_into_float32() -> None:
    one, same, other = ask(tiny(), seed=1), ask(tiny(), seed=1), ask(tiny(), seed=2)
    wide = one.in_precision("float64")
    for name, own in one.weights.items():
        for weight, array in own.items():
            assert np.array_equal(array, same.weights[name][weight])
            assert np.array_equal(array, wide.weights[name][weight])
            assert wide.weights[name][weight].dtype == np.float64
    assert not np.array_equal(one.batches[0].images, other.batches[0].images)
    assert len(one.training()) == 20


def test_running_statistics_are_near_those_of_the_images() -> None:
    network = sample("paper", seed=5, input_shape=(12, 12, 3))
    question = ask(network)
    known = defined(question)
    assert known is not None
    trained = evaluate(
        question.network, question.weights, question.batches[0].images, training=True
    )
    # Else the outputs of deep networks would vanish or grow by orders of magnitude.
    assert 0.2 < np.abs(known.outputs).max() / np.abs(trained[-1]).max() < 5


def test_dropout_has_no_rate_in_what_is_compared_and_all_else_stays() -> None:
    network = without_dropout(tiny())
    rates = [n.operation.rate for n in network.nodes if isinstance(n.operation, Dropout)]
    assert rates == [0.0]
    assert [n.name for n in network.nodes] == [n.name for n in tiny().nodes]


# ---- PyTorch against the definitions, in this process


@pytest.mark.parametrize("network", [tiny(), graph(), random_network(3, (5, 4, 2))])
def test_gradients_of_torch_are_small_differences_of_the_definitions(network: Network) -> None:
    """Law: each gradient is what the loss by definition changes by, for each weight."""
    one, other = figures("torch", network), figures("numeric", network)
    assert one.loss == pytest.approx(other.loss, rel=1e-12)
    assert one.gradients.keys() == other.gradients.keys()
    largest = max(np.abs(g).max() for g in other.gradients.values())
    for name, gradient in one.gradients.items():
        assert np.abs(gradient - other.gradients[name]).max() < 1e-7 * largest, name


def test_training_steps_of_torch_follow_the_gradients_of_the_definitions() -> None:
    network = by_hand((3, 3, 1), Conv2d(2, (2, 2), activation="tanh"), Flatten(), Dense(2))
    curve = figures("torch", network, steps=3).curve
    question = ask(network, steps=3).in_precision("float64")
    runner = numeric.NumericRunner()
    model = runner.build(get_backend("numeric").emit(question.network))
    weights = {n: {w: a.copy() for w, a in own.items()} for n, own in question.weights.items()}
    speeds = {n: {w: np.zeros_like(a) for w, a in own.items()} for n, own in weights.items()}
    for step, batch in enumerate(question.training()):
        runner.set_weights(model, weights)
        loss, gradients = runner.gradients(model, batch)
        assert curve[step] == pytest.approx(loss, rel=1e-8)
        for name, own in gradients.items():  # momentum of 0.9 and a rate of 0.01
            for weight, gradient in own.items():
                speeds[name][weight] = 0.9 * speeds[name][weight] + gradient
                weights[name][weight] -= 0.01 * speeds[name][weight]


def test_training_may_start_from_given_weights() -> None:
    """Law: the first weights of a seed, given outright, train as the seed does; others do not."""
    data = load_data("digits")
    text = TEXT.replace("4x4x1", "8x8x1").replace("units=2", "units=10")
    network = resolve(parse(text.replace("output(2)", "output(10)")))
    source = network.to_source("torch")
    with torch.random.fork_rng():
        torch.manual_seed(7)
        runner = get_backend("torch").runner()
        first = runner.weights(runner.build(source))
    protocol = Protocol(epochs=1, seed=7)

    def trained(**start: Weights) -> float:
        result = get_backend("torch").train(source, network, data, protocol, **start)
        return result.epochs[0].train_loss

    assert trained(weights=first) == trained()
    assert trained(weights=ask(network).weights) != trained()


# ---- Differences and where they start


def test_a_difference_is_of_the_largest_number_and_what_is_no_number_is_far_from_all() -> None:
    assert relative(np.array([1.0, -100.0]), np.array([1.5, -100.0])) == 0.005
    assert relative(np.zeros(3), np.zeros(3)) == 0
    assert relative(np.array([1.0, np.nan]), np.array([1.0, np.nan])) == math.inf
    assert relative(np.array([np.inf]), np.array([np.inf])) == math.inf


def test_float32_may_differ_by_what_rounding_changes_and_no_more() -> None:
    def answer(off: float) -> dict[str, Figures]:
        exact = Figures(np.ones(2), 1.0, {"a.kernel": np.ones(2)}, np.zeros(0))
        rounded = Figures(np.ones(2) + off, 1.0, {"a.kernel": np.ones(2) + off}, np.zeros(0))
        return {"float64": exact, "float32": rounded}

    assert all(d.is_small for d in differences(answer(0), answer(1e-2)))
    off = {"float32": answer(4e-2)["float32"], "float64": answer(1e-2)["float32"]}
    small = {(d.what, d.precision): d.is_small for d in differences(answer(0), off)}
    assert small["loss", "float32"]
    assert not small["outputs", "float64"]
    # Without float64, nobody knows whether it is rounding.
    alone = {"float32": answer(1e-2)["float32"]}
    small = {(d.what, d.precision): d.is_small for d in differences(answer(0), alone)}
    assert not small["gradients", "float32"]


def test_a_network_can_be_cut_behind_every_operation() -> None:
    """Law: the part that ends with an operation gives what that operation gives in the whole."""
    for network in [*fixed().values(), *(random_network(seed) for seed in range(5))]:
        question = ask(network, steps=0)
        images = question.batches[0].images[:1]
        whole = evaluate(network, question.weights, images)
        for index in range(1, len(network)):
            part = cut(network, index)
            assert part.nodes[-1].name == network.nodes[index].name
            assert np.array_equal(evaluate(part, question.weights, images)[-1], whole[index])
            if index % 5 == 1:
                assert get_backend("torch").emit(part)


# ---- Backends that do wrong


SAID = {
    "raises": "ZeroDivisionError: nothing to emit",
    "quits": "SystemExit: bye",
    "hangs": "no sign of life for 2 s",
    "dies": "its worker ended with code 3",
    "crooked": "returns outputs of 8x1, not 8x2",
    "objects": "ValueError: Object arrays cannot be saved",
    "half": "returns outputs in float16, not float32",
    "unnamed": "returns no gradient for conv2.kernel",
    "missing": "its framework is not installed",
}


@pytest.fixture(scope="module")
def verified() -> Iterator[tuple[Verifier, Verification]]:
    modes = ["numeric", "numeric:wrong", "numeric:uphill", "numeric:prints"]
    modes += [f"numeric:{name}" for name in SAID]
    with Verifier([parse_mode(mode) for mode in modes], patience=120) as verifier:
        for process in verifier._processes:
            if process.mode.name == "hangs":
                process.patience = 2
        yield verifier, verifier.verify(tiny(), steps=0)


def test_every_fault_of_a_backend_is_told_with_its_name_and_others_are_compared(
    verified: tuple[Verifier, Verification],
) -> None:
    verifier, verification = verified
    faults = {fault.mode: fault for fault in (*verifier.faults, *verification.faults)}
    assert faults.keys() == {f"numeric:{name}" for name in SAID}
    for name, said in SAID.items():
        assert f"numeric:{name}" in faults[f"numeric:{name}"].message
        assert said in faults[f"numeric:{name}"].message
    assert "libnumeric: heap is corrupt" in str(faults["numeric:dies"].hint)
    assert "\x1b" not in str(faults["numeric:dies"].hint)
    assert "thinking about it" in str(faults["numeric:hangs"].hint)
    assert not verification.is_equal


def test_what_a_backend_prints_does_not_spoil_its_answer(
    verified: tuple[Verifier, Verification],
) -> None:
    pairs = {(pair.one, pair.other): pair for pair in verified[1].pairs}
    assert pairs["numeric", "numeric:prints"].is_equal
    assert pairs["numeric:prints", "definitions"].is_equal


def test_the_operation_and_the_gradient_where_two_part_are_named(
    verified: tuple[Verifier, Verification],
) -> None:
    pairs = {(pair.one, pair.other): pair for pair in verified[1].pairs}
    location = "first at conv2 (Conv2d) at line 4, column 9"
    assert pairs["numeric", "numeric:wrong"].location == location
    assert pairs["numeric:wrong", "definitions"].location == location
    assert not pairs["numeric:wrong", "definitions"].is_equal
    uphill = pairs["numeric", "numeric:uphill"]
    assert str(uphill.location).startswith(
        "in gradients, from that of conv2.kernel backwards at line 4"
    )
    assert {d.what for d in uphill.differences if not d.is_small} == {"gradients"}


def test_a_mode_that_hangs_again_is_asked_no_more() -> None:
    with Verifier([parse_mode("numeric:hangs")], patience=3) as verifier:
        for _ in range(2):
            (fault,) = verifier.verify(tiny(), steps=0).faults
            assert "no sign of life" in fault.message
        assert verifier.verify(tiny(), steps=0).faults == ()


# ---- The command


def test_the_command_ends_with_1_where_frameworks_differ_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tiny.cnn"
    file.write_text(TEXT)
    command = ["verify", str(file), "--steps", "0", "--backends"]
    assert run([*command, "numeric"]) == 0
    assert "definitions" in capsys.readouterr().out
    assert run([*command, "numeric,numeric:wrong", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    (network,) = told["networks"]
    pairs = {(pair["one"], pair["other"]): pair for pair in network["pairs"]}
    assert pairs["numeric", "definitions"]["equal"]
    assert "conv2" in pairs["numeric", "numeric:wrong"]["place"]
    assert not network["equal"]
    assert run([*command, "numeric:wrong"]) == 1
    assert "tiny: numeric:wrong and definitions differ, first at conv2" in capsys.readouterr().out


def test_a_network_that_was_held_against_nothing_is_not_called_equal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One mode, and a network too large for the definitions."""
    monkeypatch.setattr("cnngen.comparison.equality.inputs.DEFINITIONS", 0)
    (tmp_path / "tiny.cnn").write_text(TEXT)
    arguments = ["verify", str(tmp_path / "tiny.cnn"), "--steps", "0", "--backends", "numeric"]
    assert run(arguments) == 1
    assert "tiny: was compared with nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--backends", "caffe"], "no backend 'caffe'"),
        (["--backends", "numeric:caffe"], "no mode 'caffe'"),
        (["tiny.cnn", "-n", "3", "--backends", "numeric"], "--count samples networks"),
        (["nowhere.cnn", "--backends", "numeric"], "nowhere.cnn"),
    ],
)
def test_a_users_mistake_ends_with_2_and_a_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", *arguments]) == 2
    assert message in capsys.readouterr().err
