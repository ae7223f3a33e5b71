"""Repeats: trainings of one network that differ in nothing but the protocol's seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from statistics import fmean, stdev

from cnngen.runs.record import Record, record_id


@dataclass(frozen=True, slots=True)
class RepeatSpread:
    """The mean of the repeats' figures, and their standard deviation; None for a single one."""

    count: int
    mean: float
    deviation: float | None

    @classmethod
    def of(cls, figures: Sequence[float]) -> RepeatSpread:
        """The spread of at least one figure."""
        deviation = stdev(figures) if len(figures) > 1 else None
        return cls(len(figures), fmean(figures), deviation)


def grouped(records: Iterable[Record]) -> list[list[Record]]:
    """Group records by all that was trained but the seed, in the order of their first ones."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        same = record_id(record.id, record.backend, replace(record.protocol, seed=0), record.data)
        groups.setdefault(f"{same} {record.protocol.name}", []).append(record)
    return list(groups.values())


def pooled_deviation(spreads: Iterable[RepeatSpread]) -> float | None:
    """The standard deviation within groups, over all of them; None without repeats."""
    known = [(one.count - 1, one.deviation) for one in spreads if one.deviation is not None]
    freedom = sum(count for count, _ in known)
    if not freedom:
        return None
    return sqrt(sum(count * deviation**2 for count, deviation in known) / freedom)
