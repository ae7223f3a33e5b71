"""Parts of a set of examples: to learn from, to watch, and to judge by."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cnngen.predict.examples import Example


@dataclass(frozen=True, slots=True)
class Split:
    """Examples to learn from, to watch while learning, and to judge by."""

    train: list[Example]
    validation: list[Example]
    test: list[Example]


def split(
    examples: Sequence[Example], seed: int, train: float = 0.8, validation: float = 0.1
) -> Split:
    """A random split. `train` is the share that is not for the test, `validation` the share of
    those that is set aside: the paper's 80/20 with 10 % of 80.

    Examples of equal networks come into the same part.
    """
    order = _groups(examples)
    random.Random(seed).shuffle(order)
    learnt, test = _cut(order, len(examples) * train)
    watched, learnt = _cut(learnt, _size(learnt) * validation)
    return Split(_flat(learnt), _flat(watched), _flat(test))


def repeats(
    examples: Sequence[Example], count: int = 10, train: float = 0.8, validation: float = 0.1
) -> Iterator[Split]:
    """The paper's ten random splits: seeds 0, 1, 2 …"""
    for seed in range(count):
        yield split(examples, seed, train, validation)


def by_size(
    examples: Sequence[Example], seed: int, train: float = 0.8, validation: float = 0.1
) -> Split:
    """Learn from the networks with the fewest layers, be judged by those with the most."""
    order = sorted(_groups(examples), key=lambda group: len(group[0].network))
    learnt, test = _cut(order, len(examples) * train)
    random.Random(seed).shuffle(learnt)
    watched, learnt = _cut(learnt, _size(learnt) * validation)
    return Split(_flat(learnt), _flat(watched), _flat(test))


def by_data(examples: Sequence[Example], test: str, seed: int, validation: float = 0.1) -> Split:
    """Learn from all data sets but one, be judged by that one."""
    order = _groups([example for example in examples if example.data != test])
    random.Random(seed).shuffle(order)
    watched, learnt = _cut(order, _size(order) * validation)
    return Split(
        _flat(learnt), _flat(watched), [example for example in examples if example.data == test]
    )


Groups = list[list[Example]]


def _groups(examples: Sequence[Example]) -> Groups:
    """Examples of one network together, in the order in which the networks come."""
    groups: dict[str, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.network.id, []).append(example)
    return list(groups.values())


def _cut(groups: Groups, size: float) -> tuple[Groups, Groups]:
    """The first groups that together have at least `size` examples, and the others."""
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
