"""Training of an emitted file: a loop over bytes that stay on the device.

`docs/training.md` tells what each choice gains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite, nan
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnngen.backend.model_access import Weights
from cnngen.network import Network
from cnngen.training.checkpoint import Checkpoint, identity
from cnngen.training.data import Dataset, Splits, splits
from cnngen.training.progress import TrainingProgress, check_parameters
from cnngen.training.protocol import (
    Epoch,
    Protocol,
    TrainingResult,
    batch_sizes,
    evaluation_batch,
    precision_on,
)
from cnngen_torch import compiles
from cnngen_torch.answering import check_alive
from cnngen_torch.batches import flip_crop, on_device, pixels, taken
from cnngen_torch.optimizers import OPTIMIZERS
from cnngen_torch.precision import Descent, autocast, capability, tf32
from cnngen_torch.resume import TrainingState
from cnngen_torch.settings import own_settings
from cnngen_torch.stepping import WARM_STEPS, Choice, Execution, Step, way_of
from cnngen_torch.weights import set_weights
from cnngen_torch.weights import weights as get_weights

MULTIPLY_ADDS_A_THREAD = 10_000_000
"""Multiply-adds of a step, forwards alone, that make one more thread pay. In smaller steps,
threads wait for each other longer than they compute."""

EVALUATION_NUMBERS = {"cpu": 2**23, "cuda": 2**28}
"""The size of a batch of evaluation, in numbers that all operations together put out. More would leave
the caches of a CPU; fewer would not fill a GPU."""

NO_MEMORY = ("allocate memory", "out of memory", "bad_alloc", "could not create a memory")
"""The messages of those parts of PyTorch that raise a plain RuntimeError."""


@own_settings()
def train(
    source: str,
    network: Network,
    data: Dataset,
    protocol: Protocol,
    on_epoch: Callable[[Epoch], None] | None = None,
    weights: Weights | None = None,
    checkpoint: Checkpoint | None = None,
    execution: Execution | None = None,
) -> TrainingResult:
    """Train the `Net` of an emitted file and evaluate it once on the test images.

    It starts from `weights`, or from the protocol's seed, or goes on from a checkpoint. On a GPU, steps
    run as the loop or as a CUDA graph: as `execution` says, else whichever is faster. Whatever
    stops the training becomes the status of the result. PyTorch's random numbers, threads and settings are afterwards as
    they were. Raises `DataError` where the protocol does not fit the data.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cards = [device] if device.type == "cuda" else []
    parts = splits(data, protocol)
    precision = precision_on(protocol.precision, capability(device))
    skipped: int | None = None
    choice: Choice | None = None
    with (
        _threads(network, protocol) as threads,
        torch.random.fork_rng(cards),
        tf32(precision == "tf32"),
    ):
        progress = TrainingProgress(protocol, data.labels[parts.train], on_epoch)
        with progress.kept(NO_MEMORY, torch.OutOfMemoryError):
            skipped, choice = _train(
                source,
                network,
                data,
                parts,
                protocol,
                device,
                precision,
                progress,
                weights,
                checkpoint,
                execution,
            )
    if device.type == "cuda" and progress.status == "error":
        check_alive(device)
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return progress.result(
        device.type,
        threads,
        gpu,
        precision,
        skipped,
        execution=choice.execution if choice else None,
        execution_cause=choice.cause if choice else None,
    )


def load(source: str, name: str = "emitted") -> nn.Module:
    """The untrained `Net` of an emitted file."""
    module = ModuleType(name)
    exec(compile(source, f"<{name}>", "exec"), module.__dict__)
    model = module.Net()
    assert isinstance(model, nn.Module)
    return model


def as_run(model: nn.Module) -> nn.Module:
    """The model itself, or compiled, with the same weights."""
    if not compiles():
        return model
    compiled = torch.compile(model)
    assert isinstance(compiled, nn.Module)
    return compiled


def _train(
    source: str,
    network: Network,
    data: Dataset,
    parts: Splits,
    protocol: Protocol,
    device: torch.device,
    precision: str,
    progress: TrainingProgress,
    weights: Weights | None,
    checkpoint: Checkpoint | None,
    execution: Execution | None,
) -> tuple[int | None, Choice | None]:
    """The training from the first weights to the test. Returns the steps left out by loss scaling, and
    how they ran on a GPU."""
    torch.manual_seed(protocol.seed)
    shuffle = torch.Generator().manual_seed(protocol.seed)
    # Channels last: 1.0 to 1.4 times as fast on a CPU, and the layout of tensor cores.
    model = load(source, network.id)
    check_parameters(network, sum(weight.numel() for weight in model.parameters()))
    if weights is not None:
        set_weights(model, weights)
    bare = model
    progress.weights = lambda: get_weights(bare)
    model = as_run(model.to(device).to(memory_format=torch.channels_last))
    descent = Descent(OPTIMIZERS[protocol.optimizer](model.parameters()), precision, device)
    images, labels = on_device(data, device)
    train, validation, test = (
        torch.from_numpy(part).to(device) for part in (parts.train, parts.validation, parts.test)
    )
    sizes = batch_sizes(len(train), protocol.batch)
    room = evaluation_batch(EVALUATION_NUMBERS[device.type], network.cost.activations)
    take = flip_crop if protocol.augmentation == "flip_crop" else taken

    def step(chosen: Tensor, right: Tensor, rate: float | Tensor) -> tuple[Tensor, Tensor]:
        with autocast(precision, device):
            logits = model(pixels(take(images, chosen)))
            loss = F.cross_entropy(logits, right)
        descent.step(loss, rate)
        return loss.detach(), logits.argmax(1)

    @torch.inference_mode()
    def evaluate(rows: Tensor, precision: str = precision) -> _Score:
        model.eval()
        right = labels[rows]
        losses, guesses = [], []
        for chosen, answers in _split(rows, right, room):
            with autocast(precision, device):
                logits = model(pixels(taken(images, chosen)))
                losses.append(F.cross_entropy(logits, answers))
            guesses.append(logits.argmax(1))
        return _score(losses, guesses, right)

    run_whole: Step = step
    choice: Choice | None = None
    if device.type == "cuda" and execution == "eager":
        choice = Choice("eager", "as asked for")
    kept = TrainingState(identity(source, data, protocol), bare, descent, shuffle, progress)
    if checkpoint is not None and (state := checkpoint.read(kept.most_bytes)) is not None:
        kept.restore(state, protocol.epochs)
    begun = done = progress.number * len(sizes)
    for _ in range(protocol.epochs - progress.number):
        progress.begin()
        model.train()
        order = train[torch.randperm(len(train), generator=shuffle).to(device)]
        right = labels[order]
        # These stay on the device: reading one would wait for its step.
        losses, guesses = [], []
        for chosen, answers in _split(order, right, sizes):
            whole = len(chosen) == protocol.batch
            rate = protocol.learning_rate_at(done, len(sizes))
            if whole and choice is None and device.type == "cuda" and done - begun >= WARM_STEPS:
                left = protocol.epochs * len(sizes) - done
                run_whole, choice = way_of(
                    step, kept, precision, chosen, answers, rate, left=left, asked=execution
                )
            loss, guess = (run_whole if whole else step)(chosen, answers, rate)
            losses.append(loss)
            guesses.append(guess)
            done += 1
            if len(losses) < len(sizes) and progress.is_over():
                break
        if len(losses) < len(sizes):
            break
        trained, validated = _score(losses, guesses, right), evaluate(validation)
        progress.end(trained.figures, validated.figures)
        if descent.scaler is not None and not isfinite(trained.loss):
            progress.in_float32(evaluate(train, "float32").loss, precision)
        judged = validated if len(validation) else trained
        goes_on = progress.goes_on(judged.is_constant)
        if (
            checkpoint is not None
            and progress.status == "ok"
            and checkpoint.is_due(last=not goes_on)
        ):
            checkpoint.write(kept.to_bytes())
        if not goes_on:
            break
    progress.test(lambda: evaluate(test).figures)
    return descent.skipped_steps, choice


@dataclass(frozen=True, slots=True)
class _Score:
    """Mean loss, share of right guesses, and whether all guesses are one class."""

    loss: float
    accuracy: float
    constant: bool

    @property
    def figures(self) -> tuple[float, float]:
        return self.loss, self.accuracy

    def is_constant(self) -> bool:
        return self.constant


def _score(losses: list[Tensor], guesses: list[Tensor], right: Tensor) -> _Score:
    """The score over batches, of which `losses` are the means."""
    if not len(right):
        return _Score(nan, nan, False)
    guessed = torch.cat(guesses)
    sizes = torch.tensor([len(guess) for guess in guesses], device=right.device)
    loss = (torch.stack(losses).double() * sizes).sum()
    figures = torch.stack((loss, (guessed == right).sum(), (guessed == guessed[0]).all()))
    total, hits, constant = figures.tolist()
    return _Score(total / len(right), hits / len(right), bool(constant))


def _split(rows: Tensor, labels: Tensor, sizes: int | list[int]) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(torch.split(rows, sizes), torch.split(labels, sizes), strict=True)


@contextmanager
def _threads(network: Network, protocol: Protocol) -> Iterator[int]:
    """The number of threads that pays for the network, of those PyTorch may use."""
    before = torch.get_num_threads()
    work = network.cost.multiply_adds * protocol.batch
    threads = max(1, min(before, work // MULTIPLY_ADDS_A_THREAD))
    torch.set_num_threads(threads)
    try:
        yield threads
    finally:
        torch.set_num_threads(before)
