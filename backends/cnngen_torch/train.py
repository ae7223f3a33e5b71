"""Training of an emitted file: a loop over bytes that stay on the device.

`docs/training.md` tells what each choice gains, and which path has not been run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from math import isfinite, nan
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnngen.data import Dataset, Splits, splits
from cnngen.errors import CnnGenError
from cnngen.network import Network
from cnngen.protocol import Epoch, Protocol, Status, TrainingResult, batch_sizes, chance
from cnngen.runner import Weights
from cnngen_torch import compiles
from cnngen_torch.batches import flip_crop, on_device, pixels, taken
from cnngen_torch.optimizers import OPTIMIZERS
from cnngen_torch.weights import set_weights

MULTIPLY_ADDS_A_THREAD = 10_000_000
"""Multiply-adds of a step, forwards alone, that make one more thread pay. In smaller steps,
threads wait for each other longer than they compute."""

EVALUATION_NUMBERS = {"cpu": 2**23, "cuda": 2**28}
"""Numbers that all operations together put out for one batch of evaluation. More would leave
the caches of a CPU; fewer would not fill a GPU."""

CUDA_GRAPHS = os.environ.get("CNNGEN_CUDA_GRAPHS") == "1"

WARM_STEPS = 3
"""Steps in which CUDA's libraries set themselves up, before one can be captured."""

NO_MEMORY = ("allocate memory", "out of memory", "bad_alloc", "could not create a memory")
"""How the parts of PyTorch that raise a plain RuntimeError say it."""

Step = Callable[[Tensor, Tensor, float | Tensor], tuple[Tensor, Tensor]]
"""Positions and labels of a batch, and the learning rate, to the mean loss and the classes
guessed."""


def train(
    source: str,
    network: Network,
    data: Dataset,
    protocol: Protocol,
    on_epoch: Callable[[Epoch], None] | None = None,
    weights: Weights | None = None,
) -> TrainingResult:
    """Train the `Net` of an emitted file and evaluate it once on the test images.

    It starts from `weights`, or from the protocol's seed. Whatever stops the training becomes the status of the result. PyTorch's random numbers and
    threads are afterwards as they were. Raises `DataError` where the protocol does not fit the
    data.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    cards = [device] if device.type == "cuda" else []
    parts = splits(data, protocol)
    reached = _Reached()
    epochs = _train(source, network, data, parts, protocol, device, reached, weights)
    with _threads(network, protocol) as threads, torch.random.fork_rng(cards):
        for epoch in _caught(epochs, reached):
            reached.epochs.append(epoch)
            if on_epoch is not None:
                on_epoch(epoch)
    return TrainingResult(
        status=reached.status,
        cause=reached.cause,
        epochs=tuple(reached.epochs),
        train_seconds=reached.seconds,
        test_loss=reached.test_loss,
        test_accuracy=reached.test_accuracy,
        device=device.type,
        threads=threads,
        gpu=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        cause_epoch=reached.cause_epoch,
    )


def load(source: str, name: str = "emitted") -> nn.Module:
    """The untrained `Net` of an emitted file."""
    module = ModuleType(name)
    exec(compile(source, f"<{name}>", "exec"), module.__dict__)
    model = module.Net()
    assert isinstance(model, nn.Module)
    return model


def as_run(model: nn.Module) -> nn.Module:
    """The model as it is run here: itself, or compiled, with the same weights."""
    if not compiles():
        return model
    compiled = torch.compile(model)
    assert isinstance(compiled, nn.Module)
    return compiled


@dataclass(slots=True)
class _Reached:
    """What a training has reached, whatever stops it. `number` is that of the epoch under way."""

    status: Status = "ok"
    cause: str | None = None
    cause_epoch: int | None = None
    number: int = 0
    epochs: list[Epoch] = field(default_factory=list)
    seconds: float = 0.0
    test_loss: float | None = None
    test_accuracy: float | None = None

    def stop(self, status: Status, cause: str) -> None:
        """Keep why the training stops, and in which epoch."""
        self.status, self.cause, self.cause_epoch = status, cause, self.number or None


def _train(
    source: str,
    network: Network,
    data: Dataset,
    parts: Splits,
    protocol: Protocol,
    device: torch.device,
    reached: _Reached,
    weights: Weights | None,
) -> Iterator[Epoch]:
    """The training from the first weights to the test, an epoch at a time."""
    began = time.perf_counter()
    torch.manual_seed(protocol.seed)
    shuffle = torch.Generator().manual_seed(protocol.seed)
    # Channels last: 1.0 to 1.4 times as fast on a CPU, and what tensor cores want.
    model = load(source, network.id)
    if weights is not None:
        set_weights(model, weights)
    model = as_run(model.to(device).to(memory_format=torch.channels_last))
    optimizer = OPTIMIZERS[protocol.optimizer](model.parameters())
    images, labels = on_device(data, device)
    train, validation, test = (
        torch.from_numpy(part).to(device) for part in (parts.train, parts.validation, parts.test)
    )
    sizes = batch_sizes(len(train), protocol.batch)
    room = max(64, min(4096, EVALUATION_NUMBERS[device.type] // network.cost.activations))
    take = flip_crop if protocol.augmentation == "flip_crop" else taken
    half = protocol.precision == "bfloat16"
    precision = torch.autocast(device.type, torch.bfloat16) if half else nullcontext()

    def step(chosen: Tensor, right: Tensor, rate: float | Tensor) -> tuple[Tensor, Tensor]:
        with precision:
            logits = model(pixels(take(images, chosen)))
            loss = F.cross_entropy(logits, right)
        torch.autograd.backward(loss)
        optimizer.step(rate)
        return loss.detach(), logits.argmax(1)

    @torch.inference_mode()
    def evaluate(rows: Tensor) -> _Score:
        model.eval()
        right = labels[rows]
        losses, guesses = [], []
        for chosen, answers in _split(rows, right, room):
            with precision:
                logits = model(pixels(taken(images, chosen)))
                losses.append(F.cross_entropy(logits, answers))
            guesses.append(logits.argmax(1))
        return _score(losses, guesses, right)

    def is_late() -> bool:
        budget = protocol.time_budget
        return budget is not None and time.perf_counter() - began > budget

    def stop_late() -> None:
        reached.seconds = time.perf_counter() - began
        budget = protocol.time_budget
        reached.stop("time_budget", f"{budget:g} s were over in epoch {reached.number}")

    by_chance = chance(labels[train].bincount().tolist())
    replay: Step | None = None
    done = dead = 0
    for number in range(1, protocol.epochs + 1):
        reached.number = number
        epoch_began = time.perf_counter()
        model.train()
        order = train[torch.randperm(len(train), generator=shuffle).to(device)]
        right = labels[order]
        # These stay on the device: to look at one would be to wait for its step.
        losses, guesses = [], []
        for chosen, answers in _split(order, right, sizes):
            whole = len(chosen) == protocol.batch
            if CUDA_GRAPHS and device.type == "cuda" and replay is None and done >= WARM_STEPS:
                replay = captured(step, chosen, answers) if whole else None
            run = replay if replay is not None and whole else step
            loss, guess = run(chosen, answers, protocol.learning_rate_at(done, len(sizes)))
            losses.append(loss)
            guesses.append(guess)
            done += 1
            if is_late():
                break
        if len(losses) < len(sizes):
            stop_late()
            break
        trained, validated = _score(losses, guesses, right), evaluate(validation)
        ended = time.perf_counter()
        reached.seconds = ended - began
        yield Epoch(
            number,
            ended - epoch_began,
            trained.loss,
            trained.accuracy,
            validated.loss,
            validated.accuracy,
        )
        if not isfinite(trained.loss):
            # Weights that are no numbers stay so.
            reached.stop("nan", f"the training loss became {trained.loss} in epoch {number}")
            return
        constant = validated.constant if len(validation) else trained.constant
        dead = dead + 1 if constant and trained.accuracy <= by_chance else 0
        if dead == protocol.abort_dead:
            break
        if number < protocol.epochs and is_late():
            stop_late()
            break
    if dead and reached.status == "ok":
        reached.stop("dead", f"it gives one class for all images since epoch {number - dead + 1}")
    tested = evaluate(test)
    reached.test_loss, reached.test_accuracy = tested.loss, tested.accuracy
    if not isfinite(tested.loss):
        reached.stop("nan", f"the test loss after epoch {number} is {tested.loss}")


@dataclass(frozen=True, slots=True)
class _Score:
    """Mean loss, share of right guesses, and whether all guesses are one class."""

    loss: float
    accuracy: float
    constant: bool


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


def captured(step: Step, chosen: Tensor, right: Tensor) -> Step:
    """A step as one CUDA graph, for batches of this size. Capturing does not run it."""
    chosen, right = chosen.clone(), right.clone()
    rate = torch.zeros((), device=chosen.device)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss, guess = step(chosen, right, rate)

    def replay(now: Tensor, answers: Tensor, speed: float | Tensor) -> tuple[Tensor, Tensor]:
        chosen.copy_(now)
        right.copy_(answers)
        rate.fill_(speed)
        graph.replay()
        return loss.clone(), guess.clone()

    return replay


@contextmanager
def _threads(network: Network, protocol: Protocol) -> Iterator[int]:
    """As many threads as pay for the network, of those PyTorch may use."""
    before = torch.get_num_threads()
    work = network.cost.multiply_adds * protocol.batch
    threads = max(1, min(before, work // MULTIPLY_ADDS_A_THREAD))
    torch.set_num_threads(threads)
    try:
        yield threads
    finally:
        torch.set_num_threads(before)


def _caught(epochs: Iterator[Epoch], reached: _Reached) -> Iterator[Epoch]:
    """The epochs, until they end or what stops them has become the status."""
    try:
        yield from epochs
    except CnnGenError:
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        reached.stop("out_of_memory", _first_line(error))
    except Exception as error:
        # Whatever it is that a network cannot be trained for, is a result to keep.
        no_memory = any(text in str(error) for text in NO_MEMORY)
        reached.stop("out_of_memory" if no_memory else "error", _first_line(error))


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
