"""Decide which of two modes needs less, where the measurements support a decision."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np

from cnngen.comparison.accuracy_agreement import Agreement, agreement
from cnngen.comparison.measures import FIGURES, Measure
from cnngen.comparison.statistics import Interval, Pairs, fewest_pairs, holm, interval, p_value

ALPHA = 0.05

Scope = Literal["network", "networks", "space"]
"""The scope of a verdict: one network; the compared networks, equally weighted; or, if they
were drawn from a space, all networks of that space."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Two modes compared by a figure.

    `interval` is the ratio of the second mode's figure to the first's; None without pairs.
    `p` is adjusted for all comparisons by this figure in this scope. `networks` were compared,
    with `pairs` pairs in total; `unequal` are the networks left out because the accuracies of
    the modes differ. `open` is the reason why no difference was found; None if one was.
    """

    figure: str
    scope: Scope
    network: str | None
    first: str
    second: str
    interval: Interval | None
    p: float | None
    pairs: int
    networks: tuple[str, ...]
    unequal: tuple[str, ...]
    open: str | None

    @property
    def told_apart(self) -> bool:
        """Whether a significant difference was found."""
        return self.open is None

    def __str__(self) -> str:
        needs = FIGURES[self.figure].needs
        if self.interval is None or self.open is not None:
            return f"{self.first} and {self.second} are not told apart by {needs}: {self.open}"
        ratio, low, high = self.interval.ratio, self.interval.low, self.interval.high
        better, worse = self.first, self.second
        if ratio < 1:
            better, worse, ratio, low, high = worse, better, 1 / ratio, 1 / high, 1 / low
        return (
            f"{better} needs {ratio:.3g} ({low:.3g} to {high:.3g}) times less {needs} than {worse}"
        )


def verdicts(
    measures: Iterable[Measure],
    modes: Sequence[str],
    *,
    space: bool = False,
    alpha: float = ALPHA,
) -> list[Verdict]:
    """Compare every pair of modes by every figure: over all networks and for each network.

    With `space`, also compare them for the space that the networks were drawn from.

    Two modes are told apart if the 95 % interval of their ratio excludes 1 and the p value of
    the paired test, adjusted by Holm's method, is below `alpha`. Only pairs of successful
    trainings count, and only networks that both modes train to the same accuracy. For fewer
    than two modes the result is empty.
    """
    if len(modes) < 2:
        return []
    table = _MeasureTable(measures)
    found: list[Verdict] = []
    for figure in FIGURES:
        if not any(FIGURES[figure].of(measure) is not None for measure in table.cells.values()):
            continue
        scopes: list[list[_Contrast]] = [
            [_Contrast(pair, table.networks, "networks") for pair in combinations(modes, 2)],
            [
                _Contrast(pair, (network,), "network")
                for network in table.networks
                for pair in combinations(modes, 2)
            ],
        ]
        if space:
            scopes.insert(
                1, [_Contrast(pair, table.networks, "space") for pair in combinations(modes, 2)]
            )
        for contrasts in scopes:
            found += _decided([table.verdict(contrast, figure) for contrast in contrasts], alpha)
    return found


@dataclass(frozen=True, slots=True)
class _Contrast:
    """Two modes to compare on some networks."""

    modes: tuple[str, str]
    networks: tuple[str, ...]
    scope: Scope


class _MeasureTable:
    """Measures of successful trainings, by mode, network and repeat."""

    def __init__(self, measures: Iterable[Measure]) -> None:
        every = list(measures)
        self.networks = tuple(dict.fromkeys(measure.network for measure in every))
        self.cells = {
            (m.mode, m.network, m.repeat): m
            for m in every
            if m.status == "ok" and m.accuracy is not None
        }
        self.repeats = sorted({measure.repeat for measure in every})

    def both(self, modes: tuple[str, str], network: str) -> list[tuple[Measure, Measure]]:
        """Return the measures of two modes for the seeds with which both trained successfully."""
        rows = (
            [self.cells.get((mode, network, repeat)) for mode in modes] for repeat in self.repeats
        )
        return [(a, b) for a, b in rows if a is not None and b is not None]

    def agreement(self, modes: tuple[str, str], network: str) -> Agreement | None:
        """Return the agreement of two modes' accuracies; None for fewer than two seeds."""
        both = self.both(modes, network)
        if len(both) < 2:
            return None
        first, second = ([pair[i].accuracy or 0.0 for pair in both] for i in (0, 1))
        return agreement(first, second, both[0][0].test_images)

    def verdict(self, contrast: _Contrast, figure: str) -> Verdict:
        """Return a verdict whose `p` is not yet adjusted; open if it cannot be decided."""
        of = FIGURES[figure].of
        groups: dict[str, Pairs] = {}
        unequal: list[str] = []
        noise = False
        for network in contrast.networks:
            agreed = self.agreement(contrast.modes, network)
            if agreed is None:
                continue
            if not agreed.agrees:
                unequal.append(network)
                continue
            values = [
                (a, b)
                for pair in self.both(contrast.modes, network)
                if (a := of(pair[0])) is not None and (b := of(pair[1])) is not None
            ]
            if any(a <= 0 or b <= 0 for a, b in values):
                noise = True
            elif len(values) > 1:
                groups[network] = np.array([math.log(b / a) for a, b in values])
        verdict = Verdict(
            figure=figure,
            scope=contrast.scope,
            network=contrast.networks[0] if contrast.scope == "network" else None,
            first=contrast.modes[0],
            second=contrast.modes[1],
            interval=None,
            p=None,
            pairs=sum(map(len, groups.values())),
            networks=tuple(groups),
            unequal=tuple(unequal),
            open=None,
        )
        if noise:
            return replace(verdict, open="the noise of the idle power hides it")
        if not groups:
            why = (
                "their accuracies differ by more than seeds do" if unequal else "too few trainings"
            )
            return replace(verdict, open=why)
        compared = list(groups.values())
        if contrast.scope == "space":
            compared = [np.array([group.mean() for group in compared])]
            verdict = replace(verdict, pairs=len(groups))
            if len(groups) < 2:
                return replace(verdict, open="too few networks")
        return replace(verdict, interval=interval(compared), p=p_value(compared))


def _decided(family: Sequence[Verdict], alpha: float) -> Iterator[Verdict]:
    """Adjust the p values of a family and mark the verdicts that stay open.

    Verdicts that cannot be tested yet count as part of the family: looking early must not make
    a decision easier.
    """
    least = fewest_pairs(len(family), alpha)
    adjusted = holm([1.0 if verdict.p is None else verdict.p for verdict in family])
    for verdict, p in zip(family, adjusted, strict=True):
        if verdict.interval is None:
            yield verdict
            continue
        reason: str | None = None
        if verdict.pairs < least:
            reason = f"the test needs {least} pairs, there are {verdict.pairs}"
        elif not (p < alpha and verdict.interval.excludes_one):
            reason = f"p = {p:.2g}"
        yield replace(verdict, p=p, open=reason)


def agreements(
    measures: Iterable[Measure], modes: Sequence[str]
) -> Mapping[tuple[str, str, str], Agreement]:
    """Compare accuracies by network and pair of modes, given at least two successful seeds."""
    table = _MeasureTable(measures)
    found = {
        (network, *pair): table.agreement(pair, network)
        for network in table.networks
        for pair in combinations(modes, 2)
    }
    return {which: agreed for which, agreed in found.items() if agreed is not None}
