"""Evaluate predictors on repeated splits, and keep each fit so that it is made only once."""

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
"""Numbers of training networks at the points of a learning curve."""

MAX_FIT = 2**16
"""Largest file of a fit that is read, in bytes."""

FEWEST = 10
"""Fewest trainings on a data set that is held out as a whole."""

LARGEST = "the largest networks"


@dataclass(frozen=True, slots=True)
class Fit:
    """The scores of a predictor fitted on `train` networks and tested on `test` others.

    The split has the seed `seed`. Its test part is random, unless `unlike` names what its
    networks have in common. `tau` is NaN if all predictions are equal; `mae` is in the target's
    unit. Times are CPU seconds of this process; `predict_seconds` is per thousand networks.
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
    """A fit to make, on `size` training networks or, with None, on the whole training part.

    It is tested on a random fifth of the networks; with `largest`, on the fifth with the most
    layers; with `held_out`, on all trainings on that data set and fitted on none of them.
    """

    predictor: str
    target: Target
    seed: int
    size: int | None = None
    largest: bool = False
    held_out: str | None = None

    @property
    def unlike(self) -> str:
        """How the test networks differ from the training networks; "" if they do not."""
        return LARGEST if self.largest else self.held_out or ""

    def parts(self, examples: Sequence[Example]) -> Split:
        """Split the examples into training, validation and test parts."""
        if self.held_out is not None:
            return by_data(examples, self.held_out, self.seed)
        whole = (by_size if self.largest else split)(examples, self.seed)
        return whole if self.size is None else cut(whole, self.size)


def tasks(predictors: Sequence[str], targets: Sequence[Target], repeats: int) -> list[Task]:
    """Return tasks for every predictor and target, on the splits of the seeds 0, 1, 2 …"""
    return [
        Task(predictor, target, seed)
        for predictor in predictors
        for target in targets
        for seed in range(repeats)
    ]


def curve_tasks(
    predictors: Sequence[str], target: Target, repeats: int, available: int
) -> list[Task]:
    """Return tasks for the points of learning curves that `available` networks allow."""
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
    """Return tasks that test on the largest networks, and on each data set held out as a whole."""
    return [
        Task(predictor, target, 0, largest=name is None, held_out=name)
        for target in targets
        for predictor in predictors
        for name in (None, *_separable_data(known(examples, target)))
    ]


def _separable_data(examples: Sequence[Example]) -> list[str]:
    """Return the data sets with enough trainings to test on, and enough others to train on."""
    count = Counter(example.data for example in examples)
    return [name for name in sorted(count) if FEWEST <= count[name] <= len(examples) - 2 * FEWEST]


def known(examples: Sequence[Example], target: Target) -> list[Example]:
    """Return the examples whose trainings reached a target."""
    return [example for example in examples if example.targets.get(target) is not None]


def fit_all(
    examples: Sequence[Example],
    todo: Sequence[Task],
    folder: Path,
    on_fit: Callable[[Task], None] | None = None,
) -> list[Fit]:
    """Make the fits that are missing in a folder, and return all of them in order.

    Each fit is saved as soon as it is made, so that an interrupted study continues. `on_fit` is
    called before each fit. Raises `CnnGenError` if a predictor is unknown, lacks its framework,
    or has too few examples.
    """
    digest = _digest(examples)
    made = []
    for task in todo:
        if on_fit is not None:
            on_fit(task)
        predictor = _predictor(task)
        params = {name: repr(value) for name, value in predictor.get_params().items()}
        identity = [cnngen.__version__, digest, asdict(task), params]
        key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:20]
        path = folder / FOLDER / f"{key}.json"
        fit = _read(path)
        if fit is None:
            fit = _fit(predictor, task, examples)
            write_file(folder, f"{FOLDER}/{path.name}", (json.dumps(asdict(fit)) + "\n").encode())
        made.append(fit)
    return made


def cut(parts: Split, size: int) -> Split:
    """Reduce a split to `size` networks for training, a tenth of them for validation."""
    held_out = size // 10
    return Split(parts.train[: size - held_out], parts.validation[:held_out], parts.test)


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
    """Read a saved fit; None if the file is missing or not valid."""
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
    """Return a digest of the networks and their figures, in order."""

    def lines() -> Iterator[str]:
        for example in examples:
            yield f"{example.network.id} {sorted(example.targets.items())}"

    return hashlib.sha256("\n".join(lines()).encode()).hexdigest()
