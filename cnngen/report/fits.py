"""Predictors judged on repeated random splits; what was fitted once is not fitted again."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from math import isfinite, nan
from pathlib import Path
from typing import get_type_hints

import cnngen
from cnngen.predict import Example, Predictor, Split, Target, by_data, by_size, split
from cnngen.predict.registry import get_predictor
from cnngen.predict.scores import judge_fitted
from cnngen.system.files import write_file
from cnngen.system.untrusted import read_text

FOLDER = "fits"
SIZES = (50, 100, 200, 400, 800)
"""Training networks at the points of a learning curve."""

MAX_FIT = 2**16
"""Most bytes of a fit that are read."""

FEWEST = 10
"""Trainings on a data set that predictors are judged by when they have not seen it."""

LARGEST = "the largest networks"


@dataclass(frozen=True, slots=True)
class Fit:
    """A predictor fitted on `train` networks of the split of a seed, judged on its test part,
    which is random unless `unlike` says what the networks in it have in common.

    Times are CPU seconds of this process; `predict_seconds` is for a thousand networks. `tau`
    is NaN where all predictions are equal.
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
    unlike: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """A fit to be made; without `size`, all of the split's training part is used.

    It is judged by a random fifth of the networks, or by the fifth with the most layers, or by
    all trainings on the data set `held_out`, of which none is learnt from.
    """

    predictor: str
    target: Target
    seed: int
    size: int | None = None
    largest: bool = False
    held_out: str | None = None

    @property
    def unlike(self) -> str:
        """What the networks that it is judged by have in common, and those learnt from not."""
        return LARGEST if self.largest else self.held_out or ""

    def parts(self, examples: Sequence[Example]) -> Split:
        """The examples to learn from, to watch and to judge by."""
        if self.held_out is not None:
            return by_data(examples, self.held_out, self.seed)
        whole = (by_size if self.largest else split)(examples, self.seed)
        return whole if self.size is None else cut(whole, self.size)


def tasks(predictors: Sequence[str], targets: Sequence[Target], repeats: int) -> list[Task]:
    """Every predictor for every target on the splits of the seeds 0, 1, 2 …"""
    return [
        Task(predictor, target, seed)
        for predictor in predictors
        for target in targets
        for seed in range(repeats)
    ]


def curve_tasks(
    predictors: Sequence[str], target: Target, repeats: int, available: int
) -> list[Task]:
    """The points of learning curves for as many networks as there are."""
    return [
        Task(predictor, target, seed, size)
        for predictor in predictors
        for size in SIZES
        if size < 0.72 * available
        for seed in range(repeats)
    ]


def unlike_tasks(
    predictors: Sequence[str], targets: Sequence[Target], examples: Sequence[Example]
) -> list[Task]:
    """Every predictor judged by networks larger than any it learnt from, and by each data set
    that it did not see, if there are several."""
    return [
        Task(predictor, target, 0, largest=name is None, held_out=name)
        for target in targets
        for predictor in predictors
        for name in (None, *_apart(known(examples, target)))
    ]


def _apart(examples: Sequence[Example]) -> list[str]:
    """The data sets with enough trainings to judge by, and enough others to learn from."""
    count = Counter(example.data for example in examples)
    return [name for name in sorted(count) if FEWEST <= count[name] <= len(examples) - 2 * FEWEST]


def known(examples: Sequence[Example], target: Target) -> list[Example]:
    """The examples whose trainings reached a target."""
    return [example for example in examples if example.targets.get(target) is not None]


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


def cut(parts: Split, size: int) -> Split:
    """The split with only `size` networks to learn from, a tenth of them to watch."""
    watched = size // 10
    return Split(parts.train[: size - watched], parts.validation[:watched], parts.test)


def _predictor(task: Task) -> Predictor:
    predictor = get_predictor(task.predictor)()
    if "seed" in predictor.get_params():
        predictor.set_params(seed=task.seed)
    return predictor


def _fit(predictor: Predictor, task: Task, examples: Sequence[Example]) -> Fit:
    parts = task.parts(known(examples, task.target))
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
        task.unlike,
    )


def _read(path: Path) -> Fit | None:
    """A fit that was kept; None where there is none, or none that is whole."""
    hints = get_type_hints(Fit)
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        read = json.loads(read_text(path, MAX_FIT, root=path.parent.parent))
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
