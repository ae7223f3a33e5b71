"""The chapter of a report about each search among its folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnngen.report import plots
from cnngen.report.page import Block, Heading, Image, Paragraph, Table
from cnngen.report.search_history import PlottedTraining, SearchHistory
from cnngen.search.problem import Objective

MOST_WINNERS = 10
NEAR = 0.01
"""How much less accuracy counts as about the same."""


def search_chapters(histories: Sequence[SearchHistory]) -> Iterator[Block]:
    """The blocks of all searches."""
    for history in histories:
        yield from _search(history)


def _search(history: SearchHistory) -> Iterator[Block]:
    objectives = history.objectives
    names = " and ".join(one.name for one in objectives)
    yield Heading(f"The search {history.name}: {history.method} for {names}")
    failed = {name: count for name, count in history.statuses.items() if name != "ok"}
    lost = "".join(f", {name} {count:,}" for name, count in failed.items())
    yield Paragraph(
        f"{history.trainings:,} trainings{lost}, in {history.seconds / 3600:.2f} hours, with "
        f"{history.energy * 1000:.3g} Wh; the method's seed was {history.seed}."
    )
    if not history.winners:
        yield Paragraph("No training reached its figures.")
        return
    yield from _progress(history)
    heads = ("trainings", "hours", "Wh", *(f"best {one.name}" for one in objectives), "hypervolume")
    yield Table(
        heads,
        [
            [
                f"{one.trainings:,}",
                f"{one.seconds / 3600:.3f}",
                f"{one.energy * 1000:.3g}",
                *(o.text(figure) for o, figure in zip(objectives, one.best, strict=True)),
                "-" if one.hypervolume is None else f"{one.hypervolume:.3f}",
            ]
            for one in history.milestones
        ],
        texts=0,
    )
    yield Paragraph(
        "The hypervolume is the share that the front had of the box between the best and the worst "
        "figures of the whole search."
    )
    yield Table(
        ("winner", "by", *(one.name for one in objectives), "in training"),
        [_winner(one, objectives) for one in history.winners[:MOST_WINNERS]],
        texts=2,
    )
    yield from _operators(history)
    yield from _foresights(history)
    yield Paragraph(_worth(history))


def _progress(history: SearchHistory) -> Iterator[Block]:
    objective = history.objectives[0]
    scale = 100.0 if objective.unit == "share" else 1000.0 if objective.unit == "kWh" else 1.0
    unit = {"share": "%", "kWh": "Wh"}.get(objective.unit, objective.unit)
    points = [(one.number, one.figures[0] * scale) for one in history.points]
    best: list[tuple[int, float]] = []
    for number, figure in sorted(points):
        better = not best or objective.loss(figure) < objective.loss(best[-1][1])
        best.append((number, figure if better else best[-1][1]))
    lineages = [[(one.number, one.figures[0] * scale) for one in line] for line in history.lineages]
    yield Image(
        f"search {history.name}",
        f"Each training's {objective.name}, the best so far, and how the first winners came about.",
        plots.progress(
            points, best, lineages, f"{objective.name} ({unit})" if unit else objective.name
        ),
    )
    lines = [
        " → ".join(f"{one.operator} ({one.number})" for one in line) for line in history.lineages
    ]
    yield Paragraph("Their families, each by operator and training: " + "; ".join(lines) + ".")


def _winner(one: PlottedTraining, objectives: Sequence[Objective]) -> list[str]:
    figures = [o.text(figure) for o, figure in zip(objectives, one.figures, strict=True)]
    return [one.id, one.operator, *figures, f"{one.number:,}"]


def _operators(history: SearchHistory) -> Iterator[Block]:
    yield Table(
        ("operator", "used", "reached figures", "better than its parents", "in the front"),
        [
            [
                one.operator,
                f"{one.used:,}",
                f"{one.reached / one.used:.0%}",
                "-" if one.improved is None else f"{one.improved / one.used:.0%}",
                f"{one.in_front:,}",
            ]
            for one in history.operators
        ],
    )


def _foresights(history: SearchHistory) -> Iterator[Block]:
    units = {one.name: one for one in history.objectives}
    for one in history.foresights:
        tau = "unknown" if one.tau is None else f"{one.tau:.2f}"
        objective = units[one.objective]
        off = (
            f"{one.off * 100:.1f} points" if objective.unit == "share" else objective.text(one.off)
        )
        yield Paragraph(
            f"Before {one.count:,} trainings the method said what {one.objective} it expected: tau "
            f"with what came {tau}, {off} off on average."
        )


def _worth(history: SearchHistory) -> str:
    """The energy that the search cost beside what its network saves."""
    names = [one.name for one in history.objectives]
    cost = history.energy * 1000
    if "energy" not in names or not cost:
        return f"The energy of all its trainings was {cost:.3g} Wh."
    at = names.index("energy")
    first = history.objectives[0]
    best = min(history.points, key=lambda one: first.loss(one.figures[0]))
    near = [
        one
        for one in history.points
        if first.loss(one.figures[0]) <= first.loss(best.figures[0]) + NEAR
    ]
    if first.unit != "share" or len(near) < 2:
        return f"The energy of all its trainings was {cost:.3g} Wh."
    energies = [one.figures[at] * 1000 for one in near]
    saved = max(energies) - min(energies)
    after = f", which pays for the search after {cost / saved:,.0f} trainings" if saved else ""
    return (
        f"The energy of all its trainings was {cost:.3g} Wh. {len(near):,} networks are within one "
        f"point of the best accuracy; a training of the thriftiest of them needs "
        f"{min(energies):.3g} Wh, of the dearest {max(energies):.3g} Wh. Choosing the one over the "
        f"other saves {saved:.3g} Wh a training{after}."
    )
