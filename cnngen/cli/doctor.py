"""The command `doctor`, which says what this machine can run and measure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cnngen.cli.options import Country, Json, Tdp

if TYPE_CHECKING:
    from cnngen.diagnosis import Finding

MARKS = {"good": ("✓", "green"), "limited": ("!", "yellow"), "missing": ("-", "dim")}


def doctor(
    idle: Annotated[
        float,
        typer.Option("--idle", min=0, max=600, help="Seconds to measure the idle machine; 0: not."),
    ] = 5.0,
    country: Country = None,
    tdp: Tdp = None,
    as_json: Json = False,
) -> None:
    """Say what this machine can run and measure.

    Looks at frameworks and devices, energy counters, the idle machine, memory,
    disk and data sets. What limits the trust in a figure is marked with !, and
    the remedy follows. Always exits with code 0.

    cnngen doctor
    cnngen doctor --country FRA --tdp 65
    cnngen doctor --idle 0 --json | jq '.[] | select(.level == "limited")'
    """
    from dataclasses import asdict

    from rich.progress import TimeElapsedColumn

    from cnngen.cli.output import print_json, progress_bars, progress_console
    from cnngen.diagnosis import diagnose

    shown = progress_console.is_terminal and not as_json
    with progress_bars(TimeElapsedColumn(), disable=not shown) as bars:
        task = bars.add_task("Examining the machine", total=None)
        findings = diagnose(
            country=country,
            tdp=tdp,
            idle_seconds=idle,
            on_topic=lambda topic: bars.update(task, description=f"Examining: {topic}"),
        )
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        _show(findings)


def _show(findings: list[Finding]) -> None:
    from rich.text import Text

    from cnngen.cli.output import console

    width = max(len(finding.topic) for finding in findings)
    before = ""
    for finding in findings:
        mark, style = MARKS[finding.level]
        topic = "" if finding.topic == before else finding.topic
        before = finding.topic
        line = Text.assemble((f"{mark} ", style), (f"{topic:{width}}  ", "bold"), finding.text)
        console.print(line, soft_wrap=True)
        if finding.remedy:
            console.print(Text(f"{'':{width + 4}}{finding.remedy}", "dim"), soft_wrap=True)
    limits = sum(finding.level == "limited" for finding in findings)
    console.print()
    console.print(
        f"{limits} findings limit what can be run or trusted (marked !)."
        if limits
        else "Nothing found that limits the trust in figures."
    )
