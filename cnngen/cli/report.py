"""The command `report`, which studies a data set of trainings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from cnngen.cli.options import Json, name_list

if TYPE_CHECKING:
    from cnngen.predict import Target


def report(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER…", help="Folders of runs, or Parquet files."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the report.")] = Path(
        "report"
    ),
    predictors: Annotated[
        str,
        typer.Option(
            "--predictors", "-p", help="Predictors to evaluate: trees,graph; '' for none."
        ),
    ] = "trees",
    targets: Annotated[
        str, typer.Option("--targets", "-t", help="Targets: accuracy, time, energy, trainability.")
    ] = "accuracy,energy",
    repeats: Annotated[
        int,
        typer.Option(
            "--repeats", "-r", min=1, help="Number of random splits, with seeds 0, 1, 2 …"
        ),
    ] = 10,
    curve: Annotated[
        str | None,
        typer.Option("--curve", help="Predictors with a learning curve. [the first]"),
    ] = None,
    beside: Annotated[
        Path | None,
        typer.Option("--beside", help="Runs to compare with: cells of NAS-Bench-101."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Study a data set of trainings: one HTML page, and the same as Markdown.

    The spread of accuracy and energy; how well predictors estimate them on
    repeated random splits, with tests, and on networks and data unlike those
    they were fitted to; examples, a Pareto front, what accuracy depends on.
    Of a search's folder also what it reached and spent, and which operators paid.
    Run the same command again to resume.

    cnngen report runs/compact
    cnngen report runs/compact -p trees,neural,code,image --curve trees,neural -o study
    cnngen report benchmarks/data/digits.parquet --beside benchmarks/data/nasbench.parquet
    cnngen report runs/compact runs/paper  # each judged by what the other taught
    """
    from cnngen.cli.output import print_json, progress_bars, say_broken
    from cnngen.report import StudyPlan, Task, read_searches, read_study_data, study, write_report

    wanted = cast("list[Target]", name_list(targets))
    curves = None if curve is None else tuple(name_list(curve))
    plan = StudyPlan(tuple(name_list(predictors)), tuple(wanted), repeats, curve=curves)
    with progress_bars() as progress:
        reading = progress.add_task("Reading")
        data = read_study_data(
            *sources,
            on_progress=lambda done, of: progress.update(reading, completed=done, total=of),
            on_broken=say_broken,
        )
        other = None if beside is None else read_study_data(beside, networks=False)
        count = len(plan.all(data.examples))
        fitting = progress.add_task("Fitting", total=count or None)

        def on_fit(task: Task) -> None:
            more = f", {task.size} networks" if task.size else task.unlike and f", {task.unlike}"
            what = f"{task.predictor} for {task.target}, seed {task.seed}{more}"
            progress.update(fitting, advance=1, description=f"Fitting {what}")

        found = study(
            data, plan, folder=out, beside=other, searches=read_searches(sources), on_fit=on_fit
        )
    page = write_report(found, out)
    if as_json:
        print_json(found.figures())
    else:
        print(page)
