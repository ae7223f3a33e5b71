"""Prints comparisons as tables and sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from statistics import fmean, median

from rich.text import Text

from cnngen.cli.output import console, print_table, progress_console, table_of
from cnngen.cli.progress import Display
from cnngen.comparison import (
    FIGURES,
    CompareWatch,
    Comparison,
    Measure,
    Verdict,
    fewest_pairs,
)
from cnngen.errors import counted

MOST_UNEQUAL = 10


class CompareDisplay(Display, CompareWatch):
    """The bars of a campaign; the overall bar also names the current mode."""

    def modes_found(self, modes: int, trainings: int) -> None:
        self.expect(trainings)

    def mode_failed(self, mode: str, fault: str) -> None:
        self.say(f"{mode} is left out: {fault}")

    def mode_began(self, mode: str, repeat: int) -> None:
        self._progress.update(self._all, description=f"{mode}, seed {repeat + 1}")


def print_comparison(comparison: Comparison) -> None:
    """Print what each mode needed, how modes compare in pairs, and caveats."""
    if not comparison.records:
        console.print("Nothing was trained.")
        return
    design = comparison.design
    setting = (
        f"{counted(len(design.networks), 'network')} on {design.data.name}, "
        f"{design.protocol.name}, {counted(design.repeats, 'seed')}"
    )
    console.print(Text(setting, "bold"))
    _show_modes(comparison)
    verdicts = [verdict for verdict in comparison.verdicts if verdict.scope != "network"]
    for scope, over in (
        ("networks", "these networks together"),
        ("space", f"networks of {design.space} at large"),
    ):
        _show_pairs([verdict for verdict in verdicts if verdict.scope == scope], over)
    for line in _sentences(verdicts):
        console.print(line, soft_wrap=True)
    for line in _unequal(comparison):
        console.print(line, style="yellow", soft_wrap=True)
    for line in comparison.provenance:
        console.print(line, style="dim", soft_wrap=True)


def print_power(modes: int, networks: int, repeats: int) -> None:
    """Say beforehand which verdicts are impossible with so few trainings."""
    pairs = modes * (modes - 1) // 2
    if not pairs:
        return  # the design itself refuses this
    least, least_each = fewest_pairs(pairs), fewest_pairs(pairs * networks)
    if networks * repeats < least:
        text = (
            f"No verdict will be possible: each two modes have "
            f"{counted(networks * repeats, 'pair')} of trainings, and with "
            f"{counted(modes, 'mode')} the test needs {least}."
        )
    elif networks > 1 and repeats < least_each:
        text = (
            f"Verdicts will be on the {networks} networks together; on one of them the test "
            f"would need {least_each} repeats."
        )
    else:
        return
    progress_console.print(text, style="dim", soft_wrap=True)


def print_comparison_folder(out: Path, plots: Sequence[Path]) -> None:
    """Print where the results are kept."""
    names = ", ".join(plot.name for plot in plots)
    console.print(
        f"Kept in {out}: comparison.json, a folder of runs for each mode, {names}",
        style="dim",
        soft_wrap=True,
    )


def _show_modes(comparison: Comparison) -> None:
    columns: dict[str, Callable[[Measure], float | None]] = {
        "time\n(s)": lambda m: m.seconds,
        "start\n(s)": lambda m: m.start_seconds,
        "epoch\n(s)": lambda m: m.epoch_seconds,
        "energy\n(J)": lambda m: m.energy,
        "above\nidle (J)": lambda m: m.net_energy,
        "a right\none (J)": lambda m: m.energy_per_correct,
    }
    rows = table_of()
    rows.add_column("mode", no_wrap=True)
    for name in ("runs", "right", *columns):
        rows.add_column(name, justify="right", no_wrap=True)
    for mode in comparison.modes:
        every = [measure for measure in comparison.measures if measure.mode == mode]
        good = [measure for measure in every if measure.status == "ok"]
        row = [mode, f"{len(good)}/{len(every)}", _mean_share(m.accuracy for m in good)]
        row += [_median(of(measure) for measure in good) for of in columns.values()]
        rows.add_row(*map(Text, row))
    print_table(rows)
    console.print(
        "Medians of all trainings. Right: the mean share of test images classified correctly, and "
        "the energy of a training for each of them.",
        style="dim",
        soft_wrap=True,
    )


def _show_pairs(verdicts: Sequence[Verdict], over: str) -> None:
    if not verdicts:
        return
    figures = list(dict.fromkeys(verdict.figure for verdict in verdicts))
    if "net_energy" in figures:
        figures.remove("energy")
    rows = table_of()
    rows.add_column(f"Over {over}", no_wrap=True)
    for figure in figures:
        rows.add_column(FIGURES[figure].needs, justify="right")
    for first, second in dict.fromkeys((v.first, v.second) for v in verdicts):
        cells = {v.figure: v for v in verdicts if (v.first, v.second) == (first, second)}
        rows.add_row(
            Text(f"{second} / {first}"), *(Text(_cell(cells[figure])) for figure in figures)
        )
    console.print()
    print_table(rows)
    console.print(
        "Ratios with their 95 % intervals; in parentheses alone where two are not told apart.",
        style="dim",
    )


def _cell(verdict: Verdict) -> str:
    found = verdict.interval
    if found is None:
        return "-"
    span = f"({found.low:.3g} to {found.high:.3g})"
    return f"{found.ratio:.3g} {span}" if verdict.told_apart else span


def _sentences(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Return the conclusive verdicts on energy, or on time if energy was not measured."""
    known = {verdict.figure for verdict in verdicts}
    figure = next((name for name in ("net_energy", "energy", "seconds") if name in known), None)
    for verdict in verdicts:
        if verdict.figure == figure and verdict.scope == "networks" and verdict.told_apart:
            yield f"{verdict}."


def _unequal(comparison: Comparison) -> Iterator[str]:
    names = {network.id: network.name or network.id[:8] for network in comparison.design.networks}
    unequal = [
        f"{names[network]} is unequal in {first} and {second}: their accuracies differ by "
        f"{abs(agreed.difference):.1%}, and seeds account for {agreed.allowed:.1%}; no verdict."
        for (network, first, second), agreed in comparison.agreements.items()
        if not agreed.agrees
    ]
    shown = MOST_UNEQUAL if console.is_terminal else len(unequal)
    yield from unequal[:shown]
    if len(unequal) > shown:
        yield f"… and {len(unequal) - shown} more are unequal."


def _mean_share(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{fmean(known):.1%}" if known else "-"


def _median(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{median(known):.3g}" if known else "-"
