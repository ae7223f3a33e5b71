"""Draw the plots of a study as SVG; equal figures give equal bytes.

Colours are Paul Tol's bright scheme (https://personal.sron.nl/~pault/), which is safe for
colour-blind readers; whatever differs in colour also differs in line style or position.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from cnngen.predict.predictor import Floats
from cnngen.system import markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, RED, GREEN, YELLOW, CYAN, PURPLE, GREY = COLOURS = (
    *("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb"),
)
WIDTH = 6.4
MOST_POINTS = 3_000


class Picture:
    """A plot; `svg` is set when it is finished."""

    svg = b""


@contextmanager
def axes(x: str, y: str, height: float = 3.0) -> Iterator[tuple[Axes, Picture]]:
    """Yield axes to draw on and the picture, which receives its SVG at the end."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    picture = Picture()
    with mpl.rc_context({"svg.hashsalt": "cnngen", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        drawn = figure.subplots()
        drawn.set_xlabel(markup.matplotlib_text(x))
        drawn.set_ylabel(markup.matplotlib_text(y))
        for side in ("top", "right"):
            drawn.spines[side].set_visible(False)
        yield drawn, picture
        out = BytesIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    picture.svg = out.getvalue()


def histogram(
    groups: Mapping[str, Floats],
    x: str,
    *,
    log: bool = False,
    ends: tuple[float, float] | None = None,
) -> bytes:
    """Plot histograms with forty bins; the first group is filled, others are outlines."""
    whole = np.concatenate(list(groups.values()))
    low, high = ends or (float(whole.min()), float(whole.max()))
    if low == high:
        low, high = low - 0.5, high + 0.5
    steps = (np.geomspace(low, high, 41) if log else np.linspace(low, high, 41)).tolist()
    with axes(x, "share of networks (%)") as (drawn, picture):
        for number, (name, values) in enumerate(groups.items()):
            weights = np.full(len(values), 100 / len(values))
            label = markup.matplotlib_text(f"{name} ({len(values):,})")
            if number:
                drawn.hist(
                    values, steps, weights=weights, histtype="step", color=RED, lw=1.6, label=label
                )
            else:
                drawn.hist(values, steps, weights=weights, color=BLUE, label=label)
        if log:
            drawn.set_xscale("log")
        if len(groups) > 1:
            drawn.legend(frameon=False)
    return picture.svg


def scatter(x: Floats, y: Floats, labels: tuple[str, str], front: Sequence[int]) -> bytes:
    """Plot networks as points, with x on a logarithmic scale and a line through a front.

    Of more than `MOST_POINTS` networks, a random sample of that size is drawn.
    """
    shown = np.arange(len(x))
    if len(x) > MOST_POINTS:
        shown = np.random.default_rng(0).choice(shown, MOST_POINTS, replace=False)
    with axes(*labels, height=3.4) as (drawn, picture):
        drawn.plot(x[shown], y[shown], "o", color=BLUE, ms=4, mew=0, alpha=0.6, label="networks")
        drawn.step(
            x[front], y[front], where="post", color=RED, lw=1.0, marker="o", markersize=5,
            fillstyle="none", label="Pareto front",
        )  # fmt: skip
        drawn.set_xscale("log")
        drawn.legend(frameon=False, loc="lower right")
    return picture.svg


def boxes(groups: Mapping[str, Floats], y: str) -> bytes:
    """Draw a box plot per group, whiskers at 1.5 times the quartile distance, and all points."""
    random = np.random.default_rng(0)
    with axes("", y, height=2.8) as (drawn, picture):
        positions = range(1, len(groups) + 1)
        drawn.boxplot(
            list(groups.values()),
            positions=list(positions),
            widths=0.5,
            showfliers=False,
            medianprops={"color": RED, "linewidth": 1.6},
        )
        for at, values in zip(positions, groups.values(), strict=True):
            beside = at + random.uniform(-0.12, 0.12, len(values))
            drawn.plot(beside, values, ".", color=BLUE, markersize=4, alpha=0.7)
        drawn.set_xticks(list(positions), [markup.matplotlib_text(name) for name in groups])
        drawn.grid(axis="y", alpha=0.3)
    return picture.svg


def bars(values: Mapping[str, tuple[float, float]], x: str) -> bytes:
    """Draw horizontal bars of (mean, deviation), the first one on top."""
    with axes(x, "", height=0.7 + 0.22 * len(values)) as (drawn, picture):
        names = [markup.matplotlib_text(name) for name in values]
        means, spreads = zip(*values.values(), strict=True)
        drawn.barh(range(len(names)), means, xerr=spreads, color=BLUE, ecolor=GREY)
        drawn.set_yticks(range(len(names)), names)
        drawn.invert_yaxis()
        drawn.grid(axis="x", alpha=0.3)
    return picture.svg


def curves(lines: Mapping[str, Mapping[int, Floats]], labels: tuple[str, str]) -> bytes:
    """Draw a line through the means at each x, and all points, with x on a logarithmic scale."""
    with axes(*labels, height=2.8) as (drawn, picture):
        looks = zip(cycle(COLOURS), cycle("os^vDP"), cycle(("-", "--", "-.", ":")))
        for (name, groups), (colour, marker, dash) in zip(lines.items(), looks, strict=False):
            means = [float(own.mean()) for own in groups.values()]
            drawn.plot(
                list(groups), means, dash, color=colour, lw=1.4, label=markup.matplotlib_text(name)
            )
            xs = [x for x, own in groups.items() for _ in own]
            figures = np.concatenate(list(groups.values()))
            drawn.plot(xs, figures, marker, color=colour, markersize=3.5, alpha=0.7)
        ticks = sorted({x for groups in lines.values() for x in groups})
        drawn.set_xscale("log")
        drawn.set_xticks(ticks, [f"{x:,}" for x in ticks])
        drawn.minorticks_off()
        drawn.grid(axis="y", alpha=0.3)
        if len(lines) > 1:
            drawn.legend(frameon=False)
    return picture.svg


def progress(
    points: Sequence[tuple[int, float]],
    best: Sequence[tuple[int, float]],
    lineages: Sequence[Sequence[tuple[int, float]]],
    y: str,
) -> bytes:
    """Draw the figure of each training by its number, the best so far as steps, and lines from
    ancestors to winners."""
    with axes("training", y, height=3.2) as (drawn, picture):
        drawn.plot(*zip(*points, strict=True), ".", color=GREY, markersize=4, label="trainings")
        drawn.step(*zip(*best, strict=True), where="post", color=BLUE, lw=1.4, label="best so far")
        looks = zip(cycle((RED, GREEN, PURPLE)), cycle("os^"), cycle(("-", "--", "-.")))
        for line, (colour, marker, dash) in zip(lineages, looks, strict=False):
            label = f"ancestors of {line[-1][0]}"
            drawn.plot(
                *zip(*line, strict=True),
                f"{dash}{marker}",
                color=colour,
                lw=1,
                markersize=4,
                label=label,
            )
        drawn.grid(axis="y", alpha=0.3)
        drawn.legend(frameon=False, loc="best")
    return picture.svg
