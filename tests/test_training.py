"""Training with PyTorch: what is learnt, from which images, and what stops it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from cnngen import Dataset, Network, Protocol, load_data, parse, resolve
from cnngen.errors import BackendFault, CnnGenError, DataError
from cnngen.training.data import splits
from cnngen.training.progress import TrainingProgress
from cnngen.training.protocol import (
    PROTOCOLS,
    WEIGHT_DECAY,
    Epoch,
    TrainingResult,
    batch_sizes,
    precision_on,
)
from cnngen_torch import TorchBackend
from cnngen_torch import train as trainer
from cnngen_torch.batches import flip_crop, on_device, pixels
from cnngen_torch.optimizers import OPTIMIZERS
from cnngen_torch.precision import Descent
from cnngen_torch.train import load

LENET = """input
    conv(filters=6, kernel=5, stride=1, padding=same, activation=relu)
    max_pooling(size=2, stride=2, padding=valid)
    convbn(filters=16, kernel=3, stride=1, padding=same, activation=relu)
    max_pooling(size=2, stride=2, padding=valid)
    flatten dense(units=64, activation=relu) dense output"""
DEAD = "input conv(filters=2, kernel=1) flatten dropout(rate=0.9) dense output"
ON_1X1 = "input bnconv(filters=4, kernel=8, stride=1, padding=valid) bnconv(kernel=1) flatten dense output"


def network(text: str = LENET, shape: tuple[int, int, int] = (8, 8, 1)) -> Network:
    return resolve(parse(text), space="compact", input_shape=shape, classes=10, seed=0)


def run(
    protocol: Protocol, data: Dataset | None = None, text: str = LENET, source: str | None = None
) -> TrainingResult:
    data = data or load_data("digits")
    net = network(text, data.input_shape)
    return trainer.train(source or net.to_source("torch"), net, data, protocol)


def figures(result: TrainingResult) -> list[float | None]:
    """All that must be equal where the training was."""
    kept = [(e.train_loss, e.train_accuracy, e.validation_loss) for e in result.epochs]
    return [*(x for epoch in kept for x in epoch), result.test_loss, result.test_accuracy]


def random_data(images: int, shape: tuple[int, int, int] = (8, 8, 1), seed: int = 0) -> Dataset:
    random = np.random.default_rng(seed)
    return Dataset(
        "random",
        random.integers(0, 256, (images, *shape), dtype=np.uint8),
        random.integers(0, 10, images),
        tuple("abcdefghij"),
    )


def test_a_small_network_learns_the_digits() -> None:
    result = run(Protocol(epochs=12))
    assert (result.status, result.cause, len(result.epochs)) == ("ok", None, 12)
    assert result.test_accuracy is not None
    assert result.test_accuracy > 0.95
    assert result.epochs[-1].train_loss < result.epochs[0].train_loss / 4


HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@pytest.mark.parametrize(
    ("optimizer", "precision"),
    [("adam", "float32"), ("sgd", "float32"), ("adam", "float16"), ("sgd", "bfloat16")],
)
def test_training_is_what_a_textbook_loop_does(optimizer: str, precision: str) -> None:
    data, net = load_data("digits"), network()
    protocol = replace(
        Protocol(epochs=2, schedule="cosine", warmup=0.5), optimizer=optimizer, precision=precision
    )
    result = run(protocol)
    half = torch.autocast("cpu", HALF.get(precision), enabled=precision in HALF)
    scaler = torch.amp.GradScaler("cpu", enabled=precision == "float16")
    assert result.precision == precision

    parts = splits(data, protocol)
    torch.manual_seed(0)
    model = load(net.to_source("torch"))
    order = torch.Generator().manual_seed(0)
    chosen = (
        torch.optim.Adam(model.parameters(), eps=1e-7)
        if optimizer == "adam"
        else torch.optim.SGD(model.parameters(), momentum=0.9)
    )
    criterion = nn.CrossEntropyLoss()
    steps, done = math.ceil(len(parts.train) / 64), 0
    for epoch in result.epochs:
        model.train()
        total, hits = 0.0, 0
        shuffled = parts.train[torch.randperm(len(parts.train), generator=order).numpy()]
        for start in range(0, len(shuffled), 64):
            rows = shuffled[start : start + 64]
            x = torch.tensor(data.images[rows].transpose(0, 3, 1, 2) / 255.0, dtype=torch.float32)
            y = torch.tensor(data.labels[rows])
            warm = steps / 2
            after = (1 + math.cos(math.pi * (done - warm) / (2 * steps - warm))) / 2
            share = (done + 1) / warm if done < warm - 1 else after if done >= warm else 1.0
            chosen.param_groups[0]["lr"] = 1e-3 * share
            chosen.zero_grad()
            with half:
                logits = model(x)
                loss = criterion(logits, y)
            scaler.scale(loss).backward()
            scaler.step(chosen)
            scaler.update()
            total += loss.item() * len(rows)
            hits += int((logits.argmax(1) == y).sum())
            done += 1
        rough = 1e-4 if precision == "float32" else 5e-3
        assert epoch.train_loss == pytest.approx(total / len(shuffled), rel=rough)
        assert epoch.train_accuracy == pytest.approx(
            hits / len(shuffled), abs=2e-3 if precision == "float32" else 0.02
        )
    model.eval()
    with torch.no_grad(), half:
        x = torch.tensor(data.images[parts.test].transpose(0, 3, 1, 2) / 255.0, dtype=torch.float32)
        loss = criterion(model(x), torch.tensor(data.labels[parts.test]))
    assert result.test_loss == pytest.approx(loss.item(), rel=rough)


def test_images_for_validation_and_test_teach_nothing() -> None:
    data, protocol = load_data("digits"), Protocol(epochs=2)
    parts = splits(data, protocol)
    images, labels = data.images.copy(), data.labels.copy()
    for rows in (parts.validation, parts.test):
        images[rows] = 255 - images[rows]
        labels[rows] = (labels[rows] + 1) % 10
    clean, poisoned = run(protocol), run(protocol, replace(data, images=images, labels=labels))
    for one, other in zip(clean.epochs, poisoned.epochs, strict=True):
        assert (one.train_loss, one.train_accuracy) == (other.train_loss, other.train_accuracy)
        assert one.validation_loss != other.validation_loss
    assert clean.test_loss != poisoned.test_loss


def test_validation_and_test_figures_are_of_their_own_images() -> None:
    data, protocol = load_data("digits"), Protocol(epochs=1)
    clean = run(protocol)
    for name, changed in (("validation", True), ("test", False)):
        labels = data.labels.copy()
        rows = getattr(splits(data, protocol), name)
        labels[rows] = (labels[rows] + 1) % 10
        other = run(protocol, replace(data, labels=labels))
        assert (clean.epochs[0].validation_loss != other.epochs[0].validation_loss) is changed
        assert (clean.test_loss != other.test_loss) is not changed


EVERYTHING = Protocol(epochs=2, seed=5, augmentation="flip_crop", schedule="cosine")


def test_two_processes_reach_the_same_bits() -> None:
    program = (
        "import json, test_training as t;"
        "print(json.dumps(t.figures(t.run(t.EVERYTHING, text=t.DEAD))))"
    )
    told = [
        subprocess.run(
            [sys.executable, "-c", program], cwd="tests", capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert told[0] == told[1]
    assert json.loads(told[0]) == figures(run(EVERYTHING, text=DEAD))


def test_each_seed_trains_its_own_way_and_leaves_pytorch_as_it_was() -> None:
    torch.manual_seed(1)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    one, other = run(Protocol(epochs=1, seed=1)), run(Protocol(epochs=1, seed=2))
    assert figures(one) != figures(other)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert one.threads == 1


def test_the_emitted_source_is_what_trains() -> None:
    source = network().to_source("torch")
    slower = source.replace("return self.dense2(x)", "return self.dense2(x) * 0.5")
    assert slower != source
    assert figures(run(Protocol(epochs=1), source=slower)) != figures(run(Protocol(epochs=1)))


def test_the_data_set_is_read_where_it_lies_even_if_it_cannot_be_written() -> None:
    data = load_data("digits")
    images = data.images.copy()
    images.flags.writeable = False
    shared = replace(data, images=images)
    assert on_device(shared, torch.device("cpu"))[0].data_ptr() == images.ctypes.data
    assert figures(run(Protocol(epochs=1), shared)) == figures(run(Protocol(epochs=1)))


def test_a_loss_that_is_no_number_is_a_status_with_its_epoch() -> None:
    result = run(Protocol(epochs=5, optimizer="sgd", learning_rate=1e30))
    assert (result.status, result.cause_epoch, len(result.epochs)) == ("nan", 1, 1)
    assert "loss became nan in epoch 1" in str(result.cause)
    assert result.test_accuracy is None


def test_a_loss_that_runs_over_in_float16_alone_is_told_apart() -> None:
    net = network(
        "input conv(filters=4, kernel=3, activation=relu) flatten dense(units=8) dense output"
    )
    source = net.to_source("torch").replace("return self.dense2(x)", "return self.dense2(x) * 1e6")
    half = run(Protocol(epochs=3, precision="float16"), source=source, text=str(net.description))
    assert (half.status, half.cause_epoch) == ("nan", 1)
    assert str(half.cause).endswith("computed in float16; in float32 it is finite")
    whole = run(Protocol(epochs=1), source=source, text=str(net.description))
    assert whole.status != "nan"


def test_adamw_is_that_of_pytorch() -> None:
    own, other = (nn.Parameter(torch.tensor([[1.0, -2.0], [3.0, 0.5]])) for _ in range(2))
    reference = torch.optim.AdamW([other], lr=0.1, eps=1e-7, weight_decay=WEIGHT_DECAY)
    ours = OPTIMIZERS["adamw"]([own])
    for step in range(5):
        for weight in (own, other):
            weight.grad = torch.sin(weight.detach() + step)
        ours.step(0.1)
        reference.step()
        torch.testing.assert_close(own, other)


def test_a_scaled_step_that_runs_over_changes_nothing_and_is_counted() -> None:
    for kind in OPTIMIZERS.values():
        weight = nn.Parameter(torch.tensor([1.0, 2.0]))
        reference = nn.Parameter(weight.detach().clone())
        scaled = Descent(kind([weight]), "float16", torch.device("cpu"))
        plain = Descent(kind([reference]), "float32", torch.device("cpu"))
        for step in range(4):
            spoiled = step == 1
            scaled.step((weight * (float("inf") if spoiled else 3.0)).sum(), 0.1)
            if not spoiled:
                plain.step((reference * 3.0).sum(), 0.1)
            torch.testing.assert_close(weight, reference)
        assert (scaled.skipped_steps, plain.skipped_steps) == (1, None)


@pytest.mark.parametrize(
    ("asked", "capability", "taken"),
    [
        ("auto", None, "float32"),
        ("auto", (7, 5), "float16"),
        ("auto", (8, 0), "bfloat16"),
        ("tf32", None, "float32"),
        ("tf32", (7, 0), "float32"),
        ("tf32", (9, 0), "tf32"),
        ("float16", None, "float16"),
        ("float32", (9, 0), "float32"),
    ],
)
def test_each_device_has_its_precision(asked, capability, taken) -> None:
    assert precision_on(asked, capability) == taken


def test_a_test_loss_that_is_no_number_leaves_no_accuracy() -> None:
    progress = TrainingProgress(Protocol(epochs=1), np.arange(10), None)
    progress.begin()
    progress.end((1.0, 0.9), (1.0, 0.9))
    progress.test(lambda: (math.inf, 0.1))
    result = progress.result("cpu", 1, None)
    assert (result.status, result.test_loss, result.test_accuracy) == ("nan", None, None)


def test_a_time_budget_holds_where_an_epoch_is_one_step() -> None:
    result = run(Protocol(epochs=100_000, batch=10_000, time_budget=0.4))
    assert result.status == "time_budget"
    assert 1 <= len(result.epochs) < 10_000


def test_an_exhausted_time_budget_is_a_status_and_what_was_reached_is_tested() -> None:
    result = run(Protocol(epochs=100_000, time_budget=0.4))
    assert result.status == "time_budget"
    assert result.cause_epoch in (len(result.epochs), len(result.epochs) + 1)
    assert "0.4 s" in str(result.cause)
    assert result.test_accuracy is not None
    assert result.train_seconds >= 0.4


@pytest.mark.parametrize(("abort", "epochs"), [(None, 5), (2, 2)])
def test_a_network_that_gives_one_class_is_dead_and_stops_only_if_asked(
    abort: int | None, epochs: int
) -> None:
    net = network()
    # No gradient passes a factor of zero: the logits are the last biases.
    source = net.to_source("torch").replace("return self.dense2(x)", "return self.dense2(x * 0)")
    result = run(Protocol(epochs=5, abort_dead=abort), source=source)
    assert (result.status, result.cause_epoch, len(result.epochs)) == ("dead", epochs, epochs)
    assert "one class for all images since epoch 1" in str(result.cause)
    assert result.test_accuracy == pytest.approx(0.1, abs=0.05)


@pytest.mark.parametrize(
    ("losses", "patience", "epochs"),
    [
        ([3, 2, 2.5, 2.4, 1, 1, 1], 2, 4),
        ([3, 2, 2.5, 2.4, 1, 1, 1], 3, 7),
        ([3, 2, 2, 2, 2], 2, 4),  # as low is not lower
        ([math.nan, math.nan, 1, 0.5], 2, 2),
        ([math.inf, 3, 2, 1], 1, 1),
        ([3, 4, 5, 6], None, 4),
    ],
)
def test_patience_ends_with_the_epochs_that_bring_no_lower_validation_loss(
    losses: list[float], patience: int | None, epochs: int
) -> None:
    protocol = Protocol(epochs=len(losses), patience=patience)
    progress = TrainingProgress(protocol, np.arange(10), None)
    for loss in losses:
        progress.begin()
        progress.end((0.5, 0.9), (loss, 0.5))
        if not progress.goes_on(lambda: False):
            break
    assert (progress.number, progress.status) == (epochs, "ok")


def test_a_training_stops_when_its_patience_ends() -> None:
    result = run(Protocol(epochs=60, learning_rate=0.02, patience=2))
    assert result.status == "ok"
    losses = [epoch.validation_loss for epoch in result.epochs]
    assert len(losses) < 60
    assert losses.index(min(losses)) == len(losses) - 3
    assert result.test_accuracy is not None


def test_a_fault_in_the_network_is_an_error_with_its_cause() -> None:
    source = network().to_source("torch").replace("flatten(1)", "flatten(2)")
    result = run(Protocol(epochs=2), source=source)
    assert (result.status, result.cause_epoch, result.epochs) == ("error", 1, ())
    assert "mat1 and mat2" in str(result.cause)


def test_a_network_too_large_for_memory_is_a_status() -> None:
    program = """
import json, resource, test_training as t
from cnngen import Protocol
t.run(Protocol(epochs=1))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**27, used + 2**27))
text = "input conv(filters=4096, kernel=7, stride=1, padding=same) flatten dense output"
result = t.run(Protocol(epochs=1), text=text)
print(json.dumps([result.status, result.cause, result.epochs]))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd="tests", capture_output=True, text=True, check=True
    )
    status, cause, epochs = json.loads(ran.stdout)
    assert (status, epochs) == ("out_of_memory", [])
    assert "memory" in cause or "bad_alloc" in cause


def test_what_a_callback_raises_is_no_fault_of_the_network() -> None:
    def stop(_: Epoch) -> None:
        raise ValueError("the window was closed")

    net = network()
    with pytest.raises(ValueError, match="the window was closed"):
        TorchBackend().train(net.to_source("torch"), net, load_data("digits"), Protocol(), stop)
    with pytest.raises(DataError, match="has no test images of its own"):
        run(PROTOCOLS["standard"])


@given(images=st.integers(1, 1000), batch=st.integers(1, 100))
def test_batches_hold_every_image_and_never_one_alone(images: int, batch: int) -> None:
    """Law: sizes add up to the images; all are the batch's but the last, which is 1 only where
    the batch or the whole is."""
    sizes = batch_sizes(images, batch)
    assert sum(sizes) == images
    assert all(size == batch for size in sizes[:-1])
    assert sizes[-1] <= batch + 1
    assert sizes[-1] > 1 or batch == 1 or images == 1


def test_an_image_left_over_trains_through_batch_norm_on_a_map_of_one_pixel() -> None:
    data = random_data(100 + 1 + 26)
    protocol = Protocol(epochs=1, batch=10, validation_share=0.0)
    assert len(splits(data, protocol).train) % 10 == 1
    result = run(protocol, data, ON_1X1)
    assert (result.status, result.cause) == ("ok", None)
    assert math.isnan(result.epochs[0].validation_loss)
    alone = run(replace(protocol, batch=1), data, ON_1X1)
    assert alone.status == "error"
    assert "more than 1 value per channel" in str(alone.cause)


def test_bfloat16_is_near_float32_and_recorded() -> None:
    full, half = run(Protocol(epochs=2)), run(Protocol(epochs=2, precision="bfloat16"))
    assert figures(full) != figures(half)
    assert half.epochs[-1].train_loss == pytest.approx(full.epochs[-1].train_loss, rel=0.05)


def test_augmentation_flips_and_moves_whole_images() -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (5, 16, 24, 3), dtype=torch.uint8)
    chosen = torch.arange(5).repeat(40)
    seen = set()
    for number, made in zip(chosen.tolist(), flip_crop(images, chosen), strict=True):
        mirrored = np.pad(images[number].numpy(), ((2, 2), (3, 3), (0, 0)), mode="reflect")
        found = [
            (flip, down, right)
            for flip in (False, True)
            for down in range(5)
            for right in range(7)
            if np.array_equal(
                made.numpy(),
                mirrored[down : down + 16, right : right + 24][:, :: -1 if flip else 1],
            )
        ]
        assert found
        seen.add(found[0])
    assert {flip for flip, _, _ in seen} == {False, True}
    assert {down for _, down, _ in seen} == set(range(5))
    assert {right for _, _, right in seen} == set(range(7))


def test_pixels_are_channels_last_floats() -> None:
    images = random_data(3, (4, 5, 3)).images
    made = pixels(torch.from_numpy(images))
    assert made.is_contiguous(memory_format=torch.channels_last)
    assert np.allclose(made.numpy(), images.transpose(0, 3, 1, 2) / 255)


def test_a_schedule_warms_up_in_a_line_and_falls_as_a_cosine() -> None:
    flat = Protocol(epochs=10, learning_rate=2.0, warmup=2.0)
    assert [flat.learning_rate_at(step, 2) for step in range(6)] == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    curve = replace(flat, schedule="cosine")
    assert curve.learning_rate_at(3, 2) == curve.learning_rate_at(4, 2) == 2.0
    assert curve.learning_rate_at(12, 2) == pytest.approx(1.0)
    assert 0 < curve.learning_rate_at(19, 2) < 0.05
    assert Protocol().learning_rate_at(12_345, 7) == 1e-3


@pytest.mark.parametrize(
    "wrong",
    [
        {"schedule": "step"},
        {"warmup": -1.0},
        {"warmup": 10.0},
        {"warmup": math.nan},
        {"augmentation": "mixup"},
        {"abort_dead": 0},
        {"patience": 0},
        {"patience": 3, "validation_share": 0.0},
        {"precision": "float8"},
    ],
)
def test_a_protocol_that_cannot_be_followed_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(CnnGenError, match="is not valid"):
        Protocol(**wrong)  # type: ignore[arg-type]


def test_the_papers_protocol_is_the_papers() -> None:
    paper = PROTOCOLS["paper"]
    assert (paper.split, paper.test_share, paper.validation_share) == ("pooled", 0.2, 0.2)
    assert (paper.epochs, paper.batch, paper.optimizer) == (36, 64, "adam")
    assert (paper.precision, paper.schedule, paper.augmentation) == ("float32", "constant", "none")
    assert PROTOCOLS["standard"].split == "official"


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    yield
    torch.set_default_dtype(before)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(False)


def test_settings_around_a_training_change_nothing_and_are_kept() -> None:
    """Law: the same figures, whatever the process has set PyTorch to."""
    protocol = Protocol(epochs=1, seed=5)
    data = random_data(200)
    expected = figures(run(protocol, data))
    settings = [
        torch.autocast("cpu", torch.bfloat16),
        torch.no_grad(),
        torch.inference_mode(),
        torch.device("meta"),
        default_dtype(torch.float16),
        default_dtype(torch.float64),
        deterministic(),
        torch.autograd.set_detect_anomaly(True),
    ]
    for setting in settings:
        with setting:
            assert figures(run(protocol, data)) == expected, setting


def test_signals_do_not_depend_on_settings_either() -> None:
    data, net = random_data(8), network()
    backend = TorchBackend()
    expected = backend.signals(net, data.images, data.labels)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad(), default_dtype(torch.float64):
        found = backend.signals(net, data.images, data.labels)
    np.testing.assert_array_equal(found.features, expected.features)
    np.testing.assert_array_equal(found.flows, expected.flows)


def test_a_model_of_another_size_than_its_network_is_not_trained() -> None:
    with pytest.raises(BackendFault, match=r"weights, its network"):
        run(Protocol(epochs=1), random_data(200), source=network(DEAD).to_source("torch"))
