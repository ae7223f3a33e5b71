"""The command `search`, which finds networks for accuracy, energy and other figures."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnngen.cli.options import (
    Backend,
    Country,
    Data,
    Early,
    Epochs,
    Flops,
    Gpus,
    GpuShare,
    IdleSeconds,
    Json,
    KeepWeights,
    Layers,
    Parameters,
    Patience,
    PrecisionName,
    ProtocolName,
    Range,
    RayAddress,
    Resize,
    Seed,
    Set,
    Space,
    Tdp,
    TimeBudget,
    TrainSeed,
    WorkerCount,
    name_list,
)
from cnngen.errors import CnnGenError

if TYPE_CHECKING:
    from cnngen.network import Network
    from cnngen.search import Budget, SearchState
    from cnngen.search.journal import Asked
    from cnngen.training.data import Dataset

MOST_STARTS = 20
"""How many of a folder's runs become starting points, the most accurate first."""

SHOWN = 10
"""How many networks of a front are printed."""


def search(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the runs.")],
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, help="End after so many trainings.")
    ] = None,
    hours: Annotated[
        float | None, typer.Option("--hours", min=0, help="End after so many hours of searching.")
    ] = None,
    watt_hours: Annotated[
        float | None,
        typer.Option("--watt-hours", min=0, help="End after so many watt-hours of training."),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            "--method", "-m", help="random, evolution, nsga2, model, halving, or a plugin."
        ),
    ] = "evolution",
    objectives: Annotated[
        str,
        typer.Option("--for", help="Objectives, separated by commas: accuracy,energy."),
    ] = "accuracy",
    space: Space = "paper",
    data: Data = "digits",
    resize: Resize = None,
    protocol: ProtocolName = "quick",
    backend: Backend = "torch",
    seed: Seed = 0,
    layers: Layers = None,
    parameters: Parameters = None,
    flops: Flops = None,
    start: Annotated[
        list[Path] | None,
        typer.Option(
            "--start",
            help="Train first: a description, or the best of a folder of runs. Repeatable.",
        ),
    ] = None,
    epochs: Epochs = None,
    settings: Set = None,
    train_seed: TrainSeed = None,
    precision: PrecisionName = None,
    time_budget: TimeBudget = None,
    early: Early = None,
    workers: WorkerCount = 1,
    gpus: Gpus = "all",
    ray: RayAddress = None,
    gpu_share: GpuShare = None,
    weights: KeepWeights = True,
    country: Country = None,
    tdp: Tdp = None,
    idle: IdleSeconds = 5.0,
    patience: Patience = "6h",  # type: ignore[assignment]
    as_json: Json = False,
) -> None:
    """Search a space for the best networks, for one objective or several at once.

    A method decides what is trained next by what came of the trainings
    before. Run the same command again to resume, however it was stopped,
    or with a larger end to go on. Objectives: accuracy, loss (validation),
    test_accuracy, energy, time, parameters, flops, layers.

    cnngen search -n 100 --space compact -o runs/search
    cnngen search -n 200 --for accuracy,energy --method nsga2 --space compact -o runs/front
    cnngen search --hours 8 -d cifar10 --flops :20M --workers 2 -o runs/night
    cnngen search -n 50 --start runs/first --space compact -o runs/better
    """
    from cnngen.cli.campaign import executor_of, stopping
    from cnngen.cli.measure import protocol_of
    from cnngen.search import Budget, SearchPlan, run_search
    from cnngen.space.sampling import Bounds
    from cnngen.training.data import load_data

    budget = Budget(count=count, hours=hours, watt_hours=watt_hours)
    images = load_data(data, resize=resize)
    plan = SearchPlan(
        method=method,
        objectives=tuple(name_list(objectives)),
        space=space,
        protocol=protocol_of(
            protocol,
            epochs=epochs,
            time_budget=time_budget,
            early=early,
            precision=precision,
            settings=settings,
            seed=train_seed,
        ),
        backend=backend,
        seed=seed,
        bounds=Bounds(layers or Range(), parameters or Range(), flops or Range()),
        starts=tuple(_starting_points(start or [], images, space)),
        country=country,
        tdp=tdp,
    )
    executor = executor_of(
        workers, patience, gpus, ray, gpu_share, say=lambda text: display.say(text)
    )
    stop = threading.Event()
    display = _display(budget)

    def ask_to_stop() -> None:
        display.say("Waiting for the models in training; Ctrl-C again drops them.")

    state: SearchState | None = None
    try:
        with stopping(stop, ask_to_stop), display:
            state = run_search(
                plan,
                images,
                out,
                budget=budget,
                executor=executor,
                idle_seconds=idle,
                keep_weights=weights,
                watches=[display],
                on_change=lambda reached: display.note(summary_of(reached)),
                stop=stop,
            )
    except KeyboardInterrupt:
        stop.set()
    if state is not None:
        if as_json:
            _print_json(state, out)
        else:
            _print_front(state, out)
    if stop.is_set():
        print("cnngen: stopped. Run the same command again to resume.", file=sys.stderr)
        raise typer.Exit(130)
    if state is not None and state.is_exhausted:
        print(
            f"cnngen: the method found nothing new to train in space '{plan.space_name}' within "
            "the bounds",
            file=sys.stderr,
        )


def _display(budget: Budget):  # type: ignore[no-untyped-def]
    """A display of progress, with what was reached beside it."""
    from cnngen.cli.progress import Display

    class SearchDisplay(Display):
        """Shows what a search has reached so far."""

        def __init__(self) -> None:
            super().__init__(budget.count or 0, "trainings")
            self._best = ""

        def note(self, text: str) -> None:
            self._best = text
            self._count()

        def pace(self) -> str:
            return f"{self._best}; {super().pace()}" if self._best else super().pace()

    return SearchDisplay()


def summary_of(state: SearchState) -> str:
    """The best so far, the front's hypervolume and what was spent, in a line."""
    from cnngen.cli.progress import duration

    parts = []
    objectives = state.problem.objectives
    best = state.best()
    if best is not None:
        figure = state.told[best.number].evaluation.figures[objectives[0].name]
        parts.append(f"best {objectives[0].name} {objectives[0].text(figure)}")
    if len(objectives) > 1:
        volume = state.hypervolume()
        parts.append(f"front of {len(state.front())}")
        if volume is not None:
            parts.append(f"hypervolume {volume:.3f}")
    parts.append(duration(state.elapsed))
    return ", ".join(parts)


def _starting_points(sources: Sequence[Path], data: Dataset, space: str) -> list[Network]:
    """Networks to begin with: of descriptions, or the most accurate runs of folders.

    Open hyper-parameters are drawn from the space. Raises `CnnGenError` for what cannot be read.
    """
    from cnngen.cli.describe import read_description
    from cnngen.runs.trainings import read_trainings
    from cnngen.space.resolution import resolve

    found: dict[str, Network] = {}
    for source in sources:
        if not source.is_dir():
            network = resolve(
                read_description(source),
                space=space,
                input_shape=data.input_shape,
                classes=data.classes,
            )
            found[network.id] = network
            continue
        reached = [
            (float(accuracy), training.network)
            for training in read_trainings(source, ())
            if isinstance(accuracy := training.row.get("validation_accuracy"), float)
            and training.network.is_described
            and training.network.input_shape == data.input_shape
            and training.network.classes == data.classes
        ]
        if not reached:
            raise CnnGenError(
                f"{source} has no run of a network for the images of '{data.name}'",
                hint="Give a folder of runs on such images, or descriptions.",
            )
        reached.sort(key=lambda one: -one[0])
        found |= {network.id: network for _, network in reached[:MOST_STARTS]}
    return list(found.values())


def _rows(state: SearchState) -> list[Asked]:
    """The front; of a single objective, the best networks."""
    if len(state.problem.objectives) > 1:
        return state.front()
    reached = sorted((found, n) for n in state.order if (found := state.losses(n)) is not None)
    return [state.asked[number] for _, number in reached[:SHOWN]]


def _print_front(state: SearchState, out: Path) -> None:
    from cnngen.cli.output import console, print_table, table_of

    objectives = state.problem.objectives
    table = table_of("network", *(o.name for o in objectives), "layers", "by", "after")
    rows = _rows(state)
    for asked in rows[:SHOWN]:
        told = state.told[asked.number]
        figures = [o.text(told.evaluation.figures[o.name]) for o in objectives]
        network = asked.candidate.network
        table.add_row(
            network.id[:8],
            *figures,
            str(network.cost.layers),
            asked.candidate.operator,
            str(asked.number + 1),
        )
    if rows:
        print_table(table)
    failures = ", ".join(f"{name} {n:,}" for name, n in state.statuses.items() if name != "ok")
    line = f"{len(state.order):,} trainings in {out}: {summary_of(state)}, "
    line += f"{state.energy * 1000:,.3g} Wh" + (f"; {failures}" if failures else "")
    console.print(line, markup=False, soft_wrap=True)


def _print_json(state: SearchState, out: Path) -> None:
    from cnngen.cli.output import print_json

    print_json(
        {
            "folder": str(out),
            "trainings": len(state.order),
            "statuses": dict(state.statuses),
            "hypervolume": state.hypervolume(),
            "energy_kwh": state.energy,
            "elapsed_seconds": state.elapsed,
            "front": [
                {
                    "key": asked.key,
                    "number": asked.number,
                    **state.told[asked.number].evaluation.figures,
                    "operator": asked.candidate.operator,
                    "parents": list(asked.candidate.parents),
                    "text": asked.candidate.network.to_text(),
                }
                for asked in _rows(state)
            ],
        }
    )
