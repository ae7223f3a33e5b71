"""Split examples into training, validation and test parts."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cnngen.predict.examples import Example


@dataclass(frozen=True, slots=True)
class Split:
    """Examples for training, validation and test."""

    train: list[Example]
    validation: list[Example]
    test: list[Example]


def split(
    examples: Sequence[Example], seed: int, train: float = 0.8, validation: float = 0.1
) -> Split:
    """Split examples at random; those of equal networks go into the same part.

    `train` is the fraction not used for the test, and `validation` the fraction of that which
    is set aside. The defaults are the paper's: 80/20, with 10 % of the 80 for validation.
    """
    order = _groups(examples)
    random.Random(seed).shuffle(order)
    learnt, test = _cut(order, len(examples) * train)
    held_out, learnt = _cut(learnt, _size(learnt) * validation)
    return Split(_flat(learnt), _flat(held_out), _flat(test))


def repeats(
    examples: Sequence[Example], count: int = 10, train: float = 0.8, validation: float = 0.1
) -> Iterator[Split]:
    """Yield `count` random splits with the seeds 0, 1, 2 …; the paper uses ten."""
    for seed in range(count):
        yield split(examples, seed, train, validation)


def by_size(
    examples: Sequence[Example], seed: int, train: float = 0.8, validation: float = 0.1
) -> Split:
    """Split by size: train on the networks with the fewest layers, test on those with the most."""
    order = sorted(_groups(examples), key=lambda group: len(group[0].network))
    learnt, test = _cut(order, len(examples) * train)
    random.Random(seed).shuffle(learnt)
    held_out, learnt = _cut(learnt, _size(learnt) * validation)
    return Split(_flat(learnt), _flat(held_out), _flat(test))


def by_data(examples: Sequence[Example], test: str, seed: int, validation: float = 0.1) -> Split:
    """Split by data set: train on all data sets except `test`, and test on that one."""
    order = _groups([example for example in examples if example.data != test])
    random.Random(seed).shuffle(order)
    held_out, learnt = _cut(order, _size(order) * validation)
    return Split(
        _flat(learnt), _flat(held_out), [example for example in examples if example.data == test]
    )


Groups = list[list[Example]]


def _groups(examples: Sequence[Example]) -> Groups:
    """Group examples by network, in order of first appearance."""
    groups: dict[str, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.network.id, []).append(example)
    return list(groups.values())


def _cut(groups: Groups, size: float) -> tuple[Groups, Groups]:
    """Cut off the first groups that together have at least `size` examples."""
    reached = 0
    for at, group in enumerate(groups):
        if reached >= round(size):
            return groups[:at], groups[at:]
        reached += len(group)
    return groups, []


def _size(groups: Groups) -> int:
    return sum(map(len, groups))


def _flat(groups: Groups) -> list[Example]:
    return [example for group in groups for example in group]
