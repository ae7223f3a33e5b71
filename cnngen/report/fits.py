"""Predictors judged on repeated random splits; what was fitted once is not fitted again."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from math import isfinite, nan
from pathlib import Path
from typing import get_type_hints

import cnngen
from cnngen.atomic import write_file
from cnngen.predict import Example, Predictor, Split, Target, split
from cnngen.predict.registry import get_predictor
from cnngen.predict.scores import judge_fitted

FOLDER = "fits"
SIZES = (50, 100, 200, 400, 800)
"""Training networks at the points of a learning curve."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A predictor fitted on `train` networks of the split of a seed, judged on its test part.

    Times are CPU seconds of this process; `predict_seconds` is for a thousand networks. `tau` is NaN where all
    predictions are equal.
    """

    predictor: str
    target: Target
    seed: int
    train: int
    test: int
    tau: float
    mae: float
    coverage: float
    fit_seconds: float
    predict_seconds: float


@dataclass(frozen=True, slots=True)
class Task:
    """A fit to be made; without `size`, all of the split's training part is used."""

    predictor: str
    target: Target
    seed: int
    size: int | None = None


def tasks(predictors: Sequence[str], targets: Sequence[Target], repeats: int) -> list[Task]:
    """Every predictor for every target on the splits of the seeds 0, 1, 2 …"""
    return [
        Task(predictor, target, seed)
        for predictor in predictors
        for target in targets
        for seed in range(repeats)
    ]


def curve_tasks(predictor: str, target: Target, repeats: int, available: int) -> list[Task]:
    """The points of a learning curve for as many networks as there are."""
    return [
        Task(predictor, target, seed, size)
        for size in SIZES
        if size < 0.72 * available
        for seed in range(repeats)
    ]


def fit_all(
    examples: Sequence[Example],
    todo: Sequence[Task],
    folder: Path,
    on_fit: Callable[[Task], None] | None = None,
) -> list[Fit]:
    """Make the fits that the folder does not have yet, and give all of them in order.

    Each is written as soon as it is made, so that a study that was stopped goes on. `on_fit`
    is told before each fit. Raises `CnnGenError` where a predictor is unknown, lacks its
    framework, or has too few examples.
    """
    digest = _digest(examples)
    made = []
    for task in todo:
        if on_fit is not None:
            on_fit(task)
        predictor = _predictor(task)
        params = {name: repr(value) for name, value in predictor.get_params().items()}
        said = [cnngen.__version__, digest, asdict(task), params]
        key = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:20]
        path = folder / FOLDER / f"{key}.json"
        fit = _read(path)
        if fit is None:
            fit = _fit(predictor, task, examples)
            write_file(path.parent, path.name, (json.dumps(asdict(fit)) + "\n").encode())
        made.append(fit)
    return made


def cut(parts: Split, size: int | None) -> Split:
    """The split with only `size` networks to learn from, a tenth of them to watch."""
    if size is None:
        return parts
    watched = size // 10
    return Split(parts.train[: size - watched], parts.validation[:watched], parts.test)


def _predictor(task: Task) -> Predictor:
    predictor = get_predictor(task.predictor)()
    if "seed" in predictor.get_params():
        predictor.set_params(seed=task.seed)
    return predictor


def _fit(predictor: Predictor, task: Task, examples: Sequence[Example]) -> Fit:
    known = [example for example in examples if example.targets.get(task.target) is not None]
    parts = cut(split(known, task.seed), task.size)
    began = time.process_time()
    predictor.fit(parts.train, task.target, parts.validation)
    fitted = time.process_time()
    score = judge_fitted(predictor, parts.test)
    judged = time.process_time()
    return Fit(
        task.predictor,
        task.target,
        task.seed,
        len(parts.train) + len(parts.validation),
        score.count,
        score.tau if isfinite(score.tau) else nan,
        score.mae,
        score.coverage,
        fitted - began,
        (judged - fitted) / max(1, score.count) * 1000,
    )


def _read(path: Path) -> Fit | None:
    """A fit that was kept; None where there is none, or none that is whole."""
    hints = get_type_hints(Fit)
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        read = json.loads(path.read_text(encoding="utf-8"))
        given = {field.name: read[field.name] for field in fields(Fit)}
        if all(
            isinstance(value, (int, float) if hints[name] is float else (int, str))
            for name, value in given.items()
        ):
            return Fit(**given)
    return None


def _digest(examples: Sequence[Example]) -> str:
    """Of the networks and their figures, in their order."""

    def lines() -> Iterator[str]:
        for example in examples:
            yield f"{example.network.id} {sorted(example.targets.items())}"

    return hashlib.sha256("\n".join(lines()).encode()).hexdigest()
