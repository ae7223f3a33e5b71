"""Plot a comparison as SVG, with notes on how its figures were measured."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cnngen.comparison.comparison import Comparison
from cnngen.comparison.measures import FIGURES, Figure, Measure
from cnngen.errors import counted
from cnngen.system import markup
from cnngen.system.files import write_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")
"""Paul Tol's bright scheme, which is safe for colour-blind readers."""

WIDTH = 7.0
ACCURACY = Figure("test accuracy", "%", "accuracy", lambda m: m.accuracy and 100 * m.accuracy)


def write_plots(comparison: Comparison, folder: str | Path) -> list[Path]:
    """Plot time, energy, accuracy and energy per correct image as SVG; return the files written.

    A figure that was not measured is left out. Raises `StoreError` if the folder cannot be
    written.
    """
    net = any(measure.net_energy is not None for measure in comparison.measures)
    figures = {
        "time": FIGURES["seconds"],
        "energy": FIGURES["net_energy" if net else "energy"],
        "accuracy": ACCURACY,
        "energy-per-correct": FIGURES["energy_per_correct"],
    }
    return [
        write_file(folder, f"{name}.svg", picture)
        for name, figure in figures.items()
        if (picture := plot(comparison, figure)) is not None
    ]


def plot(comparison: Comparison, figure: Figure) -> bytes | None:
    """Plot a figure by mode as SVG; None if no training has it.

    Each dot is a training, each colour a network, each line the mean of a network. Equal runs
    give equal bytes.
    """
    from io import BytesIO

    import matplotlib as mpl
    from matplotlib.figure import Figure as Picture
    from matplotlib.ticker import LogFormatter

    drawn = [m for m in comparison.measures if m.status == "ok" and figure.of(m) is not None]
    if not drawn:
        return None
    modes, networks = comparison.modes, comparison.design.networks
    counts = f"{counted(len(networks), 'network')}, {counted(comparison.design.repeats, 'seed')}"
    setting = markup.matplotlib_text(f"{comparison.design.data.name}, {counts}")
    caption = [
        line
        for text in comparison.provenance
        for line in textwrap.wrap(markup.matplotlib_text(text), 108)
    ]
    with mpl.rc_context({"svg.hashsalt": "cnngen", "svg.fonttype": "none", "font.size": 9}):
        height = 1.1 + 0.42 * len(modes) + 0.14 * len(caption)
        picture = Picture(figsize=(WIDTH, height), layout="constrained")
        axes = picture.subplots()
        for number, network in enumerate(networks):
            colour = COLOURS[number % len(COLOURS)]
            shift = 0.6 * ((number + 0.5) / len(networks) - 0.5)
            label = network.name or network.id[:8]
            own = [measure for measure in drawn if measure.network == network.id]
            _draw(axes, modes, own, figure, shift, colour, label)
        axes.set_yticks(range(len(modes)), modes)
        axes.set_ylim(len(modes) - 0.5, -0.5)
        values = [figure.of(measure) or 0.0 for measure in drawn]
        if min(values) > 0 and max(values) > 4 * min(values):
            axes.set_xscale("log")
            plain = LogFormatter(minor_thresholds=(1.5, 0.7))
            axes.xaxis.set_major_formatter(plain)
            axes.xaxis.set_minor_formatter(plain)
        axes.set_xlabel(f"{figure.title} ({figure.unit})")
        axes.set_title(f"{figure.title}: {setting}", loc="left", fontsize=9)
        axes.grid(axis="x", alpha=0.3)
        if 1 < len(networks) <= len(COLOURS):
            axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        picture.supxlabel("\n".join(caption), x=0.01, ha="left", fontsize=7, color="#555555")
        out = BytesIO()
        picture.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def _draw(
    axes: Axes,
    modes: Sequence[str],
    measures: Sequence[Measure],
    figure: Figure,
    shift: float,
    colour: str,
    label: str,
) -> None:
    for row, mode in enumerate(modes):
        values = [figure.of(measure) or 0.0 for measure in measures if measure.mode == mode]
        if values:
            mean = sum(values) / len(values)
            axes.plot(mean, row + shift, "|", color=colour, markersize=9)
            axes.plot(
                values,
                [row + shift] * len(values),
                ".",
                color=colour,
                alpha=0.6,
                label=label if row == _first_row(modes, measures) else None,
            )


def _first_row(modes: Sequence[str], measures: Sequence[Measure]) -> int:
    return min(modes.index(measure.mode) for measure in measures)
