"""How the steps of a training run on a GPU: one launch a kernel, or one a step, as a CUDA graph.

A small network's kernels end sooner than the next one is launched, so the GPU waits. A graph
is launched as a whole. Which one a training takes is decided by trying both on its own batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Literal

import torch
from torch import Tensor

from cnngen_torch.resume import TrainingState

Step = Callable[[Tensor, Tensor, float | Tensor], tuple[Tensor, Tensor]]
"""Positions and labels of a batch, and the learning rate, to the mean loss and the classes
guessed."""

Execution = Literal["eager", "graph"]

WARM_STEPS = 3
"""Steps in which CUDA's libraries set themselves up, before one can be captured."""

TRIED_STEPS = 5
"""Steps tried each way. They are taken back."""

LEAST_STEPS = 10 * TRIED_STEPS
"""A training with fewer steps left gains less than the trial costs."""

TOLERANCE = {"float32": 1e-4, "tf32": 1e-3, "bfloat16": 2e-2, "float16": 5e-3}
"""How far, relatively, the losses of a graph may be from the loop's: some kernels add in an order
that differs from run to run, and training magnifies that. A graph that misses an update, a random
number or a statistic is further off."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How steps are run, and why."""

    execution: Execution
    cause: str


def way_of(
    step: Step,
    state: TrainingState,
    precision: str,
    chosen: Tensor,
    right: Tensor,
    rate: float,
    *,
    left: int,
    asked: Execution | None,
) -> tuple[Step, Choice]:
    """How a training with so many steps left runs those of whole batches: as asked, else the better."""
    if asked == "graph":
        return captured(step, chosen, right), Choice("graph", "as asked for")
    if left < LEAST_STEPS:
        return step, Choice("eager", "too few steps for a trial")
    return as_graph_if_better(step, state, precision, chosen, right, rate)


def as_graph_if_better(
    step: Step,
    state: TrainingState,
    precision: str,
    chosen: Tensor,
    right: Tensor,
    rate: float,
) -> tuple[Step, Choice]:
    """The step as a CUDA graph for batches of this size, if it then gives the same losses, and sooner.

    Tries both ways on the batch. Afterwards all is as it was, random numbers included.
    """
    device = state.device
    try:
        before = state.snapshot()
    except torch.OutOfMemoryError:
        return step, Choice("eager", "no memory for a trial")
    stream = torch.cuda.current_stream(device) if device.type == "cuda" else None
    try:
        loop, loop_seconds = _tried(step, chosen, right, rate, device)
        before.restore()
        try:
            replay = captured(step, chosen, right)
            graph, graph_seconds = _tried(replay, chosen, right, rate, device)
        except RuntimeError as error:  # torch.OutOfMemoryError, too
            if stream is not None:  # capturing left its own behind
                torch.cuda.set_stream(stream)
            return step, Choice("eager", f"a step cannot be captured: {_first_cause(error)}")
    finally:
        before.restore()
    took = f"{1e3 * graph_seconds:.3g} ms a step against {1e3 * loop_seconds:.3g} ms"
    furthest = TOLERANCE[precision]
    if not torch.allclose(graph, loop, rtol=furthest, atol=furthest, equal_nan=True):
        off = (graph - loop).abs().max().item()
        return step, Choice("eager", f"a graph's losses are up to {off:.2g} from the loop's")
    if graph_seconds >= loop_seconds:
        return step, Choice("eager", f"a graph is not faster: {took}")
    return replay, Choice("graph", took)


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


def _first_cause(error: BaseException) -> str:
    """What went wrong first: the end of a capture that has failed raises an error of its own."""
    while error.__context__ is not None:
        error = error.__context__
    told = (str(error).splitlines() or [type(error).__name__])[0]
    return told.partition(". GPU ")[0][:200]


def _tried(
    step: Step, chosen: Tensor, right: Tensor, rate: float, device: torch.device
) -> tuple[Tensor, float]:
    """The losses of a few steps on one batch, in float64, and the median of their seconds."""
    losses, seconds = [], []
    for _ in range(TRIED_STEPS):
        began = time.perf_counter()
        loss, _ = step(chosen, right, rate)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - began)
        losses.append(loss)
    return torch.stack(losses).double(), median(seconds)
