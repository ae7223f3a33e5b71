"""Training by Flax: what is learnt, from which images, and what stops it."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pytest
import torch
from flax_programs import compiled_once
from torch.nn import functional as F

from cnngen import Dataset, Network, Protocol, load_data, parse, resolve
from cnngen.backend import get_backend
from cnngen.backend.definitions import random_weights
from cnngen.backend.model_access import Weights
from cnngen.errors import BackendFault, DataError
from cnngen.training.data import splits
from cnngen.training.protocol import PROTOCOLS, WEIGHT_DECAY, Epoch, TrainingResult
from cnngen_flax.batches import flip_crop
from cnngen_flax.learner import Learner
from cnngen_flax.train import key_of, load

SMALL = """input(8x8x1)
    convbn(filters=16, kernel=3, stride=1, padding=same, activation=relu, bias=true, epsilon=1e-3)
    max_pooling(size=2, stride=2, padding=valid)
    flatten dropout(rate=0.2) dense output"""
EXACT = SMALL.replace("dropout(rate=0.2)", "")
FEW = 420  # of which 268 train: 4 batches of 64, and one of 12
EVERYTHING = Protocol(epochs=2, seed=5, augmentation="flip_crop", schedule="cosine", warmup=0.5)
DEAD = ("self.dense1(x)", "self.dense1(x * 0)")


def network(text: str) -> Network:
    return resolve(parse(text), space="compact", classes=10, seed=0)


@cache
def few() -> Dataset:
    """Images of digits in memory that cannot be written, as processes share it."""
    digits = load_data("digits")
    data = replace(digits, images=digits.images[:FEW], labels=digits.labels[:FEW])
    data.images.flags.writeable = False
    return data


def run(
    protocol: Protocol,
    data: Dataset | None = None,
    text: str = SMALL,
    *,
    change: tuple[str, str] = ("", ""),
    weights: Weights | None = None,
    seen: list[Epoch] | None = None,
) -> TrainingResult:
    net = network(text)
    source = net.to_source("flax")
    assert change[0] in source
    changed = source.replace(*change) if change[0] else source
    told = None if seen is None else seen.append
    return get_backend("flax").train(changed, net, data or few(), protocol, told, weights)


def figures(result: TrainingResult) -> list[float | None]:
    """All that must be equal where the training was."""
    kept = [(e.train_loss, e.train_accuracy, e.validation_loss) for e in result.epochs]
    return [*(x for epoch in kept for x in epoch), result.test_loss, result.test_accuracy]


__all__ = ["compiled_once"]


def test_a_small_network_learns_the_digits_and_its_epochs_are_told() -> None:
    seen: list[Epoch] = []
    result = run(Protocol(epochs=30), seen=seen)
    assert (result.status, result.cause, result.device) == ("ok", None, "cpu")
    assert result.test_accuracy is not None
    assert result.test_accuracy > 0.8
    assert result.epochs[-1].train_loss < result.epochs[0].train_loss / 4
    assert tuple(seen) == result.epochs
    assert [epoch.number for epoch in seen] == list(range(1, 31))
    assert sum(epoch.seconds for epoch in seen) <= result.train_seconds


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_training_is_what_a_textbook_loop_does(optimizer: str) -> None:
    """Law: PyTorch, with the same first weights, batches and formulas, has the same losses."""
    data, net = few(), network(EXACT)
    protocol = Protocol(epochs=2, batch=32)
    if optimizer == "sgd":
        protocol = replace(protocol, optimizer="sgd", schedule="cosine", warmup=1.0)
    weights = random_weights(net)
    result = run(protocol, text=EXACT, weights=weights)

    parts = splits(data, protocol)
    runner = get_backend("torch").runner()
    model = runner.build(net.to_source("torch"))
    runner.set_weights(model, weights)
    x = torch.tensor(data.images.transpose(0, 3, 1, 2) / 255.0, dtype=torch.float32)
    y = torch.tensor(data.labels)
    chosen = (
        torch.optim.Adam(model.parameters(), eps=1e-7)
        if optimizer == "adam"
        else torch.optim.SGD(model.parameters(), momentum=0.9)
    )
    rise = [(step + 1) / 9 for step in range(9)]
    fall = [(1 + math.cos(math.pi * step / 9)) / 2 for step in range(9)]
    shares = iter([*rise, *fall] if optimizer == "sgd" else [1.0] * 18)
    for epoch in result.epochs:
        order = np.random.default_rng((protocol.seed, epoch.number)).permutation(parts.train)
        total, hits = 0.0, 0
        model.train()
        for rows in np.split(order, range(32, len(order), 32)):
            chosen.param_groups[0]["lr"] = 1e-3 * next(shares)
            chosen.zero_grad()
            logits = model(x[rows])
            loss = F.cross_entropy(logits, y[rows])
            loss.backward()
            chosen.step()
            total += loss.item() * len(rows)
            hits += int((logits.argmax(1) == y[rows]).sum())
        assert epoch.train_loss == pytest.approx(total / len(order), rel=1e-4)
        assert epoch.train_accuracy == pytest.approx(hits / len(order), abs=0.005)
        model.eval()
        with torch.no_grad():
            judged = F.cross_entropy(model(x[parts.validation]), y[parts.validation])
        # Flax keeps the biased variance of a batch, PyTorch the unbiased one.
        assert epoch.validation_loss == pytest.approx(judged.item(), rel=2e-3)


def test_adamw_takes_its_share_off_all_weights() -> None:
    model = load(network(EXACT).to_source("flax"), 3)
    images = jax.numpy.linspace(0, 1, 4 * 64).reshape(4, 8, 8, 1)
    labels = jax.numpy.arange(4)
    after = {}
    for optimizer in ("adam", "adamw"):
        learner = Learner(model, optimizer)
        state, _ = learner.step(learner.start, images, labels, 0.5)
        after[optimizer] = state.weights
    for before, plain, decayed in zip(learner.start.weights, *after.values(), strict=True):
        np.testing.assert_allclose(decayed, plain - 0.5 * WEIGHT_DECAY * before, atol=1e-6)


def test_the_same_seed_reaches_the_same_bits_and_another_does_not() -> None:
    """Law: seed and protocol decide the history, with dropout, augmentation and schedule."""
    once, again = run(EVERYTHING), run(EVERYTHING)
    assert once.status == "ok"
    assert figures(once) == figures(again)
    assert figures(run(replace(EVERYTHING, seed=6))) != figures(once)


def test_a_seed_of_64_bits_is_not_cut_to_32() -> None:
    keys = [jax.random.key_data(key_of(seed)) for seed in (1, 1 + 2**32, 2**63 - 1)]
    assert len({tuple(key.tolist()) for key in keys}) == 3


def test_images_for_validation_and_test_teach_nothing_and_have_their_own_figures() -> None:
    protocol = Protocol(epochs=2)
    parts = splits(few(), protocol)
    clean = run(protocol)
    for name, rows in (("validation", parts.validation), ("test", parts.test)):
        images, labels = few().images.copy(), few().labels.copy()
        images[rows] = 255 - images[rows]
        labels[rows] = (labels[rows] + 1) % 10
        other = run(protocol, replace(few(), images=images, labels=labels))
        for one, two in zip(clean.epochs, other.epochs, strict=True):
            assert (one.train_loss, one.train_accuracy) == (two.train_loss, two.train_accuracy)
            assert (one.validation_loss != two.validation_loss) is (name == "validation")
        assert (clean.test_loss != other.test_loss) is (name == "test")


def test_a_loss_that_is_no_number_is_a_status_with_its_epoch() -> None:
    result = run(Protocol(epochs=5, optimizer="sgd", learning_rate=1e30))
    assert (result.status, result.cause_epoch, len(result.epochs)) == ("nan", 1, 1)
    assert "loss became nan in epoch 1" in str(result.cause)
    assert result.test_accuracy is None


@pytest.mark.parametrize("batch", [64, 1000])
def test_an_exhausted_time_budget_is_a_status_and_what_was_reached_is_tested(batch: int) -> None:
    result = run(Protocol(epochs=100_000, batch=batch, time_budget=2.0))
    assert result.status == "time_budget"
    # The epoch under way, or the one at whose end the budget was found to be spent.
    assert result.cause_epoch is not None
    assert result.cause_epoch - len(result.epochs) in (0, 1)
    assert "2 s" in str(result.cause)
    assert result.test_accuracy is not None
    assert result.train_seconds >= 2.0


@pytest.mark.parametrize(
    ("abort", "share", "epochs", "since"), [(None, 0.2, 4, 1), (2, 0.2, 2, 1), (1, 0.0, 2, 2)]
)
def test_a_network_that_gives_one_class_is_dead_and_stops_only_if_asked(
    abort: int | None, share: float, epochs: int, since: int
) -> None:
    # No gradient passes a factor of zero: the logits are the last biases. Without validation
    # images the guesses in training count, and the first of those come before any step.
    protocol = Protocol(epochs=4, abort_dead=abort, validation_share=share)
    result = run(protocol, change=DEAD)
    assert (result.status, result.cause_epoch, len(result.epochs)) == ("dead", epochs, epochs)
    assert f"one class for all images since epoch {since}" in str(result.cause)
    assert result.test_accuracy == pytest.approx(0.1, abs=0.05)
    assert math.isnan(result.epochs[0].validation_loss) is (share == 0)


def test_what_the_emitted_source_does_wrong_is_a_status_with_its_cause() -> None:
    fault = run(Protocol(), change=("reshape", "reshapen"))
    assert (fault.status, fault.epochs) == ("error", ())
    assert "reshapen" in str(fault.cause)
    raising = "glorot = print(*(_ for _ in ()).throw(MemoryError('all gone')))\n        glorot ="
    memory = run(Protocol(), change=("glorot =", raising))
    assert (memory.status, memory.cause) == ("out_of_memory", "all gone")


def test_memory_that_xla_cannot_get_is_a_status() -> None:
    huge = "x = x + jax.random.normal(jax.random.key(0), (2**44,)).sort()[0]\n        x = self.norm1(x)"
    result = run(Protocol(epochs=1), change=("x = self.norm1(x)", huge))
    assert (result.status, result.epochs) == ("out_of_memory", ())
    assert "memory" in str(result.cause)


def test_what_a_callback_raises_is_no_fault_of_the_network() -> None:
    def stop(_: Epoch) -> None:
        raise ValueError("the window was closed")

    net = network(SMALL)
    with pytest.raises(ValueError, match="the window was closed"):
        get_backend("flax").train(net.to_source("flax"), net, few(), Protocol(), stop)
    with pytest.raises(DataError, match="has no test images of its own"):
        run(PROTOCOLS["standard"])


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_half_precision_is_near_float32_and_not_equal(precision) -> None:
    full, half = run(Protocol(epochs=2)), run(Protocol(epochs=2, precision=precision))
    assert figures(full) != figures(half)
    assert (full.precision, half.precision) == ("float32", precision)
    assert (full.skipped_steps, half.skipped_steps is None) == (None, precision == "bfloat16")
    # Of these few steps, loss scaling leaves out the first ones.
    near = 0.2 if precision == "float16" else 0.05
    assert half.epochs[-1].train_loss == pytest.approx(full.epochs[-1].train_loss, rel=near)


def test_augmentation_flips_and_moves_whole_images() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 24, 3), dtype=np.uint8)
    chosen = np.arange(5).repeat(40)
    moved = np.asarray(flip_crop(jax.numpy.asarray(images), chosen, jax.random.key(0)))
    seen = set()
    for number, made in zip(chosen, moved, strict=True):
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


def test_settings_around_a_training_change_nothing_and_are_kept() -> None:
    """Law: the same figures, whatever JAX has been set to."""
    protocol = Protocol(epochs=1, seed=5)
    expected = figures(run(protocol))
    with (
        jax.enable_x64(True),
        jax.default_prng_impl("rbg"),
        jax.threefry_partitionable(False),
        jax.default_matmul_precision("bfloat16"),
        jax.debug_nans(True),
        jax.numpy_dtype_promotion("strict"),
    ):
        assert figures(run(protocol)) == expected
        assert jax.numpy.arange(1.0).dtype == "float64"


def test_a_model_of_another_size_than_its_network_is_not_trained() -> None:
    with pytest.raises(BackendFault, match="weights, its network"):
        run(Protocol(), change=("16, (3, 3)", "16, (2, 2)"))
