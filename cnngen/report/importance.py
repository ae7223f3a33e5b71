"""Permutation importance: which features of a network the `trees` predictor relies on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnngen.predict import Example, Target, kendall, split
from cnngen.predict.predictor import with_target

REPEATS = 5


@dataclass(frozen=True, slots=True)
class Importance:
    """The decrease of tau on test networks when one feature is shuffled among them.

    `fall` is the mean and `spread` the standard deviation over shuffles.
    """

    feature: str
    fall: float
    spread: float


def importance(
    examples: Sequence[Example], target: Target, seed: int = 0, repeats: int = REPEATS
) -> list[Importance]:
    """Return the permutation importance (Breiman 2001) of the trees' features, largest first.

    Nearly redundant features each appear unimportant, since the others replace them.
    """
    from cnngen.predict.trees import Trees

    known = [example for example in examples if example.targets.get(target) is not None]
    parts = split(known, seed)
    trees = Trees(seed=seed).fit(parts.train, target, parts.validation)
    networks, measured = with_target(parts.test, target)
    rows = trees.rows(networks)
    whole = kendall(trees.predict_rows(rows).mean, measured)
    random = np.random.default_rng(seed)
    found = []
    for at, feature in enumerate(trees.columns()):
        falls = []
        for _ in range(repeats):
            shuffled = rows.copy()
            shuffled[:, at] = random.permutation(shuffled[:, at])
            falls.append(whole - kendall(trees.predict_rows(shuffled).mean, measured))
        found.append(Importance(feature, float(np.mean(falls)), float(np.std(falls))))
    return sorted(found, key=lambda one: -one.fall)
