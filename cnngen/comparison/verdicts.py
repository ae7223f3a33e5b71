"""Which mode needs less, said only where the measures allow it."""

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
"""What a verdict is about: one network; the compared networks, each weighing the same; or,
where they were drawn from a space, the networks of that space at large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Two modes compared by a figure. `interval` is of what `second` needs over what `first`
    needs, None where there were no pairs to tell it from.

    `p` is adjusted for all comparisons by this figure in this scope. `networks` were compared,
    by `pairs` in all, and `unequal` left out since the modes' accuracies differ. `open` is why
    the two are not told apart; None where they are.
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
    """Compare each two modes by each figure: over all networks, for the space they are drawn
    from where `space` says so, and for each network.

    Two modes are told apart where the 95 % interval of their ratio excludes 1 and the p of the
    paired test, adjusted after Holm, is below `alpha`. Only pairs of trainings that ended well
    count, and only networks that both modes train to the same accuracy. With one mode there is
    nothing to say.
    """
    if len(modes) < 2:
        return []
    table = _Table(measures)
    found: list[Verdict] = []
    for figure in FIGURES:
        if not any(FIGURES[figure].of(measure) is not None for measure in table.cells.values()):
            continue
        scopes: list[list[_Question]] = [
            [_Question(pair, table.networks, "networks") for pair in combinations(modes, 2)],
            [
                _Question(pair, (network,), "network")
                for network in table.networks
                for pair in combinations(modes, 2)
            ],
        ]
        if space:
            scopes.insert(
                1, [_Question(pair, table.networks, "space") for pair in combinations(modes, 2)]
            )
        for questions in scopes:
            found += _decided([table.answer(question, figure) for question in questions], alpha)
    return found


@dataclass(frozen=True, slots=True)
class _Question:
    modes: tuple[str, str]
    networks: tuple[str, ...]
    scope: Scope


class _Table:
    """Measures by mode, network and repeat; what went wrong is left out."""

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
        """The measures of two modes for the seeds with which both trained a network well."""
        rows = (
            [self.cells.get((mode, network, repeat)) for mode in modes] for repeat in self.repeats
        )
        return [(a, b) for a, b in rows if a is not None and b is not None]

    def agreement(self, modes: tuple[str, str], network: str) -> Agreement | None:
        """Of the accuracies of two modes; None for fewer than two seeds."""
        both = self.both(modes, network)
        if len(both) < 2:
            return None
        first, second = ([pair[i].accuracy or 0.0 for pair in both] for i in (0, 1))
        return agreement(first, second, both[0][0].test_images)

    def answer(self, question: _Question, figure: str) -> Verdict:
        """A verdict whose `p` is not adjusted yet, open where it cannot be told."""
        of = FIGURES[figure].of
        groups: dict[str, Pairs] = {}
        unequal: list[str] = []
        noise = False
        for network in question.networks:
            agreed = self.agreement(question.modes, network)
            if agreed is None:
                continue
            if not agreed.agrees:
                unequal.append(network)
                continue
            values = [
                (a, b)
                for pair in self.both(question.modes, network)
                if (a := of(pair[0])) is not None and (b := of(pair[1])) is not None
            ]
            if any(a <= 0 or b <= 0 for a, b in values):
                noise = True
            elif len(values) > 1:
                groups[network] = np.array([math.log(b / a) for a, b in values])
        verdict = Verdict(
            figure=figure,
            scope=question.scope,
            network=question.networks[0] if question.scope == "network" else None,
            first=question.modes[0],
            second=question.modes[1],
            interval=None,
            p=None,
            pairs=sum(map(len, groups.values())),
            networks=tuple(groups),
            unequal=tuple(unequal),
            open=None,
        )
        if noise:
            return replace(verdict, open="it is lost in the noise of the idle power")
        if not groups:
            why = (
                "their accuracies differ by more than seeds do" if unequal else "too few trainings"
            )
            return replace(verdict, open=why)
        compared = list(groups.values())
        if question.scope == "space":
            compared = [np.array([group.mean() for group in compared])]
            verdict = replace(verdict, pairs=len(groups))
            if len(groups) < 2:
                return replace(verdict, open="too few networks")
        return replace(verdict, interval=interval(compared), p=p_value(compared))


def _decided(answers: Sequence[Verdict], alpha: float) -> Iterator[Verdict]:
    """The answers of a family, with p adjusted and open ones told. Those that could not be
    tested yet count, too: to look early must not make a verdict easier."""
    least = fewest_pairs(len(answers), alpha)
    adjusted = holm([1.0 if verdict.p is None else verdict.p for verdict in answers])
    for verdict, p in zip(answers, adjusted, strict=True):
        if verdict.interval is None:
            yield verdict
            continue
        reason: str | None = None
        if verdict.pairs < least:
            reason = f"{verdict.pairs} pairs, and the test needs {least}"
        elif not (p < alpha and verdict.interval.excludes_one):
            reason = f"p = {p:.2g}"
        yield replace(verdict, p=p, open=reason)


def agreements(
    measures: Iterable[Measure], modes: Sequence[str]
) -> Mapping[tuple[str, str, str], Agreement]:
    """How the accuracies agree: by network and two modes, where two seeds were trained well."""
    table = _Table(measures)
    found = {
        (network, *pair): table.agreement(pair, network)
        for network in table.networks
        for pair in combinations(modes, 2)
    }
    return {which: agreed for which, agreed in found.items() if agreed is not None}
