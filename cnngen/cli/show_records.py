"""Prints records as tables."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import isfinite
from pathlib import Path
from statistics import fmean

from rich.table import Table
from rich.text import Text

from cnngen.cli.output import console, print_table, table_of
from cnngen.errors import printable
from cnngen.network.cost import short
from cnngen.runs.record import COLUMNS, Record, best_first
from cnngen.runs.repeats import RepeatSpread, grouped
from cnngen.training.energy import Provenance

MOST_ROWS = 40
MOST_CAUSES = 10
"""Most rows and causes on a terminal. A file or another program gets all."""

BLOCKS = "▁▂▃▄▅▆▇█"


def print_records(records: Sequence[Record]) -> None:
    """Print records as a table, the best first, with the provenance of the energy figures."""
    one_setting = len({(r.backend, r.data.name, r.protocol.name) for r in records}) == 1
    rows = table_of()
    for name in COLUMNS:
        rows.add_column(name, justify="left" if name == "network" else "right", no_wrap=True)
    groups = grouped(best_first(records))
    repeated = len(groups) < len(records)
    if repeated:
        groups.sort(key=_mean_accuracy, reverse=True)
        rows.add_column("seeds", justify="right")
    if not one_setting:
        rows.add_column("trained")
    if any(r.status != "ok" for r in records):
        rows.add_column("status", no_wrap=True)
    shown = MOST_ROWS if console.is_terminal else len(groups)
    for group in groups[:shown]:
        row = _cells(group)
        if repeated:
            row.append(str(len(group)))
        if not one_setting:
            row.append(_setting(group[0]))
        row.append(_statuses(group))
        rows.add_row(*map(_line, row))
    if one_setting:
        console.print(_line(_setting(records[0])), style="bold")
    print_table(rows)
    if len(groups) > shown:
        console.print(f"… and {len(groups) - shown:,} more", style="dim")
    if repeated:
        console.print(
            "Of several seeds: means, and the standard deviation of the accuracy.", style="dim"
        )
    causes = [f"{r.id[:8]} {r.status}: {r.cause}" for r in records if r.cause is not None]
    shown = MOST_CAUSES if console.is_terminal else len(causes)
    for cause in causes[:shown]:
        console.print(_line(cause))
    if len(causes) > shown:
        console.print(f"… and {len(causes) - shown:,} more causes", style="dim")
    for line in (*dict.fromkeys(map(_worth, records)), *_calibrated(records), *_others(records)):
        console.print(_line(line), style="dim")


def _accuracies(group: Sequence[Record]) -> RepeatSpread | None:
    known = [r.test_accuracy for r in group if r.test_accuracy is not None]
    return RepeatSpread.of(known) if known else None


def _mean_accuracy(group: Sequence[Record]) -> float:
    found = _accuracies(group)
    return found.mean if found else -1


def _cells(group: Sequence[Record]) -> list[str]:
    """The cells of the repeats of a training, in the order of `COLUMNS`."""
    first, accuracies = group[0], _accuracies(group)
    if len(group) == 1:
        return first.cells()
    energies = [r.energy for r in group if r.energy is not None]
    return [
        *first.cells()[: COLUMNS.index("accuracy")],
        f"{accuracies.mean:.1%} ± {100 * (accuracies.deviation or 0):.1f}" if accuracies else "-",
        f"{fmean(r.train_seconds for r in group):.1f} s",
        f"{fmean(e.total_energy for e in energies) * 1000:.3f} Wh" if energies else "-",
        f"{fmean(e.emissions for e in energies) * 1e6:.1f} mg" if energies else "-",
    ]


def _statuses(group: Sequence[Record]) -> str:
    """How the repeats of a training ended; nothing where all ended well."""
    counts = Counter(r.status for r in group)
    if set(counts) == {"ok"}:
        return ""
    return ", ".join(f"{status} {n}" if len(group) > 1 else status for status, n in counts.items())


def print_record(record: Record, run: Path) -> None:
    """Print a record in full, with its epochs as a sparkline."""
    energy = record.energy
    rows = Table(box=None, show_header=False, pad_edge=False)
    rows.add_column(style="bold", no_wrap=True)
    rows.add_column(overflow="fold")
    drawn = f", drawn from {record.space} with seed {record.seed}" if record.space else ""
    status = record.status if record.cause is None else f"{record.status}: {record.cause}"
    facts = {
        "network": f"{record.id} {record.name or ''}{drawn}",
        "size": f"{record.layers} layers, {record.parameters:,} weights, "
        f"{short(record.flops)} FLOPs an image",
        "trained": f"{_setting(record)}: {record.epochs} of {record.protocol.epochs} epochs, "
        f"batch {record.protocol.batch}, {record.train_seconds:.1f} s",
        "machine": f"{record.hardware.cpu}, {record.hardware.threads or '?'} threads"
        + (f", {record.hardware.gpu}" if record.hardware.gpu else ""),
        "versions": f"{record.versions.framework}, CNNGen {record.versions.cnngen}",
        "status": status,
        "accuracy": f"test {_share(record.test_accuracy)}, validation "
        f"{_share(record.validation_accuracy)}, train {_share(record.train_accuracy)}",
    }
    if record.history:
        accuracies = [epoch.validation_accuracy for epoch in record.history]
        ends = f"{_share(accuracies[0])} to {_share(accuracies[-1])}"
        facts["epochs"] = f"{sparkline(accuracies)} validation, {ends}"
    if energy is not None:
        net = "" if energy.net_energy is None else f", {energy.net_energy * 1000:.4f} net of idle"
        facts["energy"] = (
            f"{energy.total_energy * 1000:.4f} Wh{net}: CPU {energy.cpu_energy * 1000:.4f}, "
            f"GPU {energy.gpu_energy * 1000:.4f}, RAM {energy.ram_energy * 1000:.4f}"
        )
        if energy.calibrated_energy is not None:
            facts["at the plug"] = _at_the_plug(energy.calibrated_energy, energy.provenance)
        facts["CO2"] = f"{energy.emissions * 1e6:.2f} mg"
    if record.protocol.keep == "best" and record.history:
        best = max(record.history, key=lambda epoch: epoch.validation_accuracy)
        facts["best epoch"] = f"{best.number}, validation {_share(best.validation_accuracy)}"
    facts["kept in"] = str(run)
    for entry in sorted(os.scandir(run), key=lambda entry: entry.name):
        if entry.is_file(follow_symlinks=False):
            size = entry.stat(follow_symlinks=False).st_size
            facts[f"  {entry.name}"] = f"{size:,} bytes"
    for name, fact in facts.items():
        rows.add_row(_line(name), _line(fact.strip()))
    print_table(rows)
    for line in (_worth(record), *_others([record])):
        console.print(_line(line), style="dim")


def _line(text: str) -> Text:
    """Make a text of a record one line, as it may contain line breaks."""
    return Text(printable(text))


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """Draw values as a line of at most `width` blocks, averaging if there are more. NaN is a gap."""
    if len(values) > width:
        ends = [round(i * len(values) / width) for i in range(width + 1)]
        values = [fmean(values[a:b]) for a, b in pairwise(ends)]
    finite = [value for value in values if isfinite(value)]
    if not finite:
        return " " * len(values)
    low, span = min(finite), max(finite) - min(finite)
    return "".join(
        BLOCKS[round((value - low) / span * 7) if span else 3] if isfinite(value) else " "
        for value in values
    )


def _share(share: float | None) -> str:
    return "-" if share is None or not isfinite(share) else f"{share:.1%}"


def _setting(record: Record) -> str:
    """Format the backend, data set and protocol of a record."""
    return f"{record.backend} on {record.data.name}, {record.protocol.name}"


def _worth(record: Record) -> str:
    """Describe the provenance of a record's energy in a sentence."""
    if record.energy is None:
        return f"Energy: {record.energy_cause or 'not measured'}."
    source = record.energy.provenance
    cpu = f"CPU {source.cpu.method}, {source.cpu.means}"
    if source.tdp is not None:
        cpu += f" (TDP {source.tdp:g} W {source.tdp_origin})"
    ram = f"RAM {source.ram.method}"
    if source.ram_power is not None:
        ram += f" (a constant {source.ram_power:g} W)"
    gpu = f"GPU {source.gpu.method}"
    where = record.energy.country_name
    stated = "" if source.country_stated else ", not stated"
    part = ", each network's part of a shared machine" if source.shared else ""
    return f"Energy by CodeCarbon{part}: {cpu}; {ram}; {gpu}. CO2 for {where}{stated}."


def _at_the_plug(energy: float, source: Provenance) -> str:
    """Format a calibrated energy in kWh, with its error and calibration."""
    error = source.calibration_error
    beside = "" if error is None else f" +- {error * 1000:.4f}"
    return (
        f"{energy * 1000:.4f} Wh{beside} by calibration ({source.calibration_method}, "
        f"{(source.calibration_date or '')[:10]}): {source.calibration_idle_power or 0:.1f} W at "
        f"rest, {source.calibration_cpu_power or 0:.1f} W more at full load"
    )


def _calibrated(records: Sequence[Record]) -> list[str]:
    """Say how the calibrated energies compare with those in the table, if there are any."""
    ratios = [
        r.energy.calibrated_energy / r.energy.total_energy
        for r in records
        if r.energy and r.energy.calibrated_energy is not None and r.energy.total_energy
    ]
    if not ratios:
        return []
    least, most = f"{min(ratios):.2g}", f"{max(ratios):.2g}"
    span = most if least == most else f"{least} to {most}"
    count = "" if len(ratios) == len(records) else f" of {len(ratios)} of the networks"
    return [f"By calibration with a meter, the energy at the plug{count} is {span} times that."]


def _others(records: Sequence[Record]) -> list[str]:
    """Describe how busy other programs kept the machine during measurement, if known."""
    sources = [r.energy.provenance for r in records if r.energy is not None]
    shares = [s.others_during * 100 for s in sources if s.others_during is not None]
    if not shares:
        return []
    least, most = f"{min(shares):.0f}", f"{max(shares):.0f}"
    span = most if least == most else f"{least} to {most}"
    beside = " and workers" if any(s.shared for s in sources) else ""
    return [f"Meanwhile other programs{beside} kept {span} % of the machine busy."]


def print_subfolders(folders: Mapping[Path, int]) -> None:
    """Print sub-folders with their numbers of runs, and how to show one of them."""
    if not folders:
        return
    rows = table_of("folder", "runs")
    for path, count in folders.items():
        rows.add_row(_line(str(path)), f"{count:,}")
    print_table(rows)
    console.print(
        _line(f"Show one: cnngen show {shlex.quote(str(next(iter(folders))))}"), style="dim"
    )


def print_folder(records: Sequence[Record], out: Path) -> None:
    """Print where the runs are, and what files are in them."""
    if records:
        names = f"{{model.cnn, model_{records[0].backend}.py, model.svg, record.json …}}"
        console.print(f"Kept in {out}/<id>-…/{names}", style="dim")
