"""The trial of a CUDA graph against the loop, with stand-ins for the capture and the clock.

What a real GPU does is in `benchmarks/gpu.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cnngen.training.progress import TrainingProgress
from cnngen.training.protocol import Protocol
from cnngen_torch import stepping
from cnngen_torch.optimizers import OPTIMIZERS
from cnngen_torch.precision import Descent
from cnngen_torch.resume import TrainingState
from cnngen_torch.stepping import Choice, Step, as_graph_if_better

CHOSEN, RIGHT, RATE = torch.arange(8), torch.arange(8) % 3, 0.1


class Bench:
    """A small training on the CPU whose clock runs a second a step, a tenth in a replay."""

    def __init__(self, precision: str = "float32", optimizer: str = "adam") -> None:
        torch.manual_seed(0)
        self.precision = precision
        self.images = torch.randn(8, 5)
        self.model = nn.Sequential(
            nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Dropout(0.3), nn.Linear(7, 3)
        )
        device = torch.device("cpu")
        self.descent = Descent(OPTIMIZERS[optimizer](self.model.parameters()), precision, device)
        progress = TrainingProgress(Protocol(), RIGHT.numpy(), None)
        self.state = TrainingState("", self.model, self.descent, torch.Generator(), progress)
        self.now = 0.0
        self.fails: Exception | None = None

    def step(self, chosen: Tensor, right: Tensor, rate: float | Tensor) -> tuple[Tensor, Tensor]:
        self.now += 1.0
        logits = self.model(self.images[chosen])
        loss = F.cross_entropy(logits, right)
        if self.fails is not None:
            loss.backward()  # gradients are left behind
            raise self.fails
        self.descent.step(loss, rate)
        return loss.detach(), logits.argmax(1)

    def tried(self) -> tuple[Step, Choice]:
        return as_graph_if_better(self.step, self.state, self.precision, CHOSEN, RIGHT, RATE)

    def all_of_it(self) -> list[Tensor]:
        scaler = self.descent.scaler
        scale = [torch.tensor(scaler.state_dict()["scale"])] if scaler else []
        return [*(one.clone() for one in self.state.tensors), torch.get_rng_state(), *scale]


Bend = Callable[[Bench, Step], Step]


def faithful(bench: Bench, step: Step) -> Step:
    def replay(chosen: Tensor, right: Tensor, rate: float | Tensor) -> tuple[Tensor, Tensor]:
        answer = step(chosen, right, torch.as_tensor(rate))
        bench.now -= 0.9
        return answer

    return replay


def slow(bench: Bench, step: Step) -> Step:
    def replay(chosen: Tensor, right: Tensor, rate: float | Tensor) -> tuple[Tensor, Tensor]:
        bench.now += 1.0
        return step(chosen, right, rate)

    return replay


def still(bench: Bench, step: Step) -> Step:
    return lambda chosen, right, rate: step(chosen, right, 0.0)


def other_dropout(bench: Bench, step: Step) -> Step:
    def replay(chosen: Tensor, right: Tensor, rate: float | Tensor) -> tuple[Tensor, Tensor]:
        torch.rand(1)
        return step(chosen, right, rate)

    return replay


def broken(bench: Bench, step: Step) -> Step:
    bench.fails = RuntimeError("operation not permitted when stream is capturing\nmore")
    try:
        step(CHOSEN, RIGHT, 0.0)
    except RuntimeError:
        bench.fails = None
        raise RuntimeError("operation failed due to a previous error during capture")  # noqa: B904
    raise AssertionError


def full(bench: Bench, step: Step) -> Step:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB. GPU 0 has a total")


def test_without_memory_for_a_trial_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()

    def full(state: TrainingState) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(TrainingState, "snapshot", full)
    assert bench.tried() == (bench.step, Choice("eager", "no memory for a trial"))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize(
    ("bend", "execution", "cause"),
    [
        (faithful, "graph", "100 ms a step against 1e+03 ms"),
        (slow, "eager", "a graph is not faster: 2e+03 ms"),
        (still, "eager", "a graph's losses are up to"),
        (other_dropout, "eager", "a graph's losses are up to"),
        (broken, "eager", "cannot be captured: operation not permitted when stream is capturing"),
        (full, "eager", "cannot be captured: CUDA out of memory. Tried to allocate 2 GiB"),
    ],
)
def test_a_trial_decides_and_is_taken_back(
    monkeypatch: pytest.MonkeyPatch,
    bend: Bend,
    execution: str,
    cause: str,
    precision: str,
    optimizer: str,
) -> None:
    bench, untried = Bench(precision, optimizer), Bench(precision, optimizer)
    monkeypatch.setattr(stepping, "time", SimpleNamespace(perf_counter=lambda: bench.now))
    monkeypatch.setattr(stepping, "captured", lambda step, chosen, right: bend(bench, step))
    torch.manual_seed(1)
    bench.step(CHOSEN, RIGHT, RATE)
    before = bench.all_of_it()
    run, choice = bench.tried()
    assert choice.execution == execution
    assert cause in choice.cause
    assert "\n" not in choice.cause
    for now, then in zip(bench.all_of_it(), before, strict=True):
        torch.testing.assert_close(now, then, rtol=0, atol=0)

    taken = [run(CHOSEN, RIGHT, RATE)[0] for _ in range(3)]
    torch.manual_seed(1)
    expected = [untried.step(CHOSEN, RIGHT, RATE)[0] for _ in range(4)][1:]
    torch.testing.assert_close(taken, expected, rtol=0, atol=0)
