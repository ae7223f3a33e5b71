"""Commands for data sets of trainings: `campaign`, `index` and `merge`."""

from __future__ import annotations

import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

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
    Keep,
    KeepWeights,
    Layers,
    Parameters,
    Patience,
    PrecisionName,
    ProtocolName,
    Range,
    RayAddress,
    Repeats,
    Resize,
    Seed,
    Set,
    Space,
    Tdp,
    TimeBudget,
    TrainSeed,
    WorkerCount,
)
from cnngen.errors import CnnGenError

if TYPE_CHECKING:
    from cnngen.runs.campaign.executors import ExecutorFactory

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of runs.")]


class ShardOption(NamedTuple):
    """One shard of several, counted from 1."""

    number: int
    parts: int


def _shard(text: str) -> ShardOption:
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if match is None:
        raise typer.BadParameter(f"'{text}' is not a shard such as 1/4 (NUMBER/PARTS)")
    return ShardOption(*map(int, match.groups()))


def campaign(
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Number of networks.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the runs.")],
    space: Space = "paper",
    data: Data = "digits",
    resize: Resize = None,
    protocol: ProtocolName = "quick",
    backend: Backend = "torch",
    seed: Seed = 0,
    layers: Layers = None,
    parameters: Parameters = None,
    flops: Flops = None,
    epochs: Epochs = None,
    settings: Set = None,
    train_seed: TrainSeed = None,
    precision: PrecisionName = None,
    keep: Keep = None,
    repeats: Repeats = 1,
    time_budget: TimeBudget = None,
    early: Early = None,
    workers: WorkerCount = 1,
    gpus: Gpus = "all",
    shard: Annotated[
        ShardOption | None,
        typer.Option(
            "--shard", parser=_shard, metavar="I/N", help="Train part I of N of the networks."
        ),
    ] = None,
    ray: RayAddress = None,
    gpu_share: GpuShare = None,
    weights: KeepWeights = True,
    country: Country = None,
    tdp: Tdp = None,
    idle: IdleSeconds = 5.0,
    patience: Patience = "6h",  # type: ignore[assignment]
    repair: Annotated[
        bool, typer.Option("--repair", help="Move unreadable runs aside and train them again.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write logs into OUT/tensorboard.")
    ] = False,
) -> None:
    """Train many networks drawn from a space: a data set of trainings.

    Run the same command again to resume, however it was stopped. Ctrl-C
    waits for the models in training; a second one drops them.

    cnngen campaign -n 200 --space compact -o runs/compact --workers 2
    cnngen campaign -n 1300 -d cifar10 -p paper --country FRA -o runs/paper
    cnngen campaign -n 1300 -d cifar10 -p paper --shard 3/8 -o runs/part3
    """
    from cnngen.cli.measure import protocol_of
    from cnngen.cli.output import console
    from cnngen.cli.progress import Display, pace
    from cnngen.runs.campaign import WHOLE, Plan, Shard, Watch, run_campaign
    from cnngen.space.sampling import Bounds
    from cnngen.training.data import load_data

    plan = Plan(
        count=count,
        space=space,
        protocol=protocol_of(
            protocol,
            epochs=epochs,
            time_budget=time_budget,
            early=early,
            precision=precision,
            keep=keep,
            settings=settings,
            seed=train_seed,
        ),
        backend=backend,
        seed=seed,
        bounds=Bounds(layers or Range(), parameters or Range(), flops or Range()),
        country=country,
        tdp=tdp,
        shard=Shard(*shard) if shard else WHOLE,
        repeats=repeats,
    )
    executor = executor_of(
        workers, patience, gpus, ray, gpu_share, say=lambda text: display.say(text)
    )
    stop = threading.Event()
    images = load_data(data, resize=resize)
    what = "networks" if repeats == 1 else "trainings"
    display = Display(plan.trainings, what)
    watches: list[Watch] = [display]
    if tensorboard:
        from cnngen.runs.campaign.tensorboard import TensorBoard

        watches.append(TensorBoard(out / "tensorboard"))

    def ask_to_stop() -> None:
        display.say("Waiting for the models in training; Ctrl-C again drops them.")

    try:
        with stopping(stop, ask_to_stop), display:
            tally = run_campaign(
                plan,
                images,
                out,
                executor=executor,
                idle_seconds=idle,
                keep_weights=weights,
                repair=repair,
                watches=watches,
                stop=stop,
            )
    except KeyboardInterrupt:
        tally = display.tally
        stop.set()
    summary = f"{tally.done:,} of {tally.total:,} {what} in {out}: {pace(tally)}"
    if stop.is_set():
        print(f"cnngen: stopped; {summary}. Run the same command again to resume.", file=sys.stderr)
        raise typer.Exit(130)
    console.print(summary, markup=False, soft_wrap=True)
    if tally.exhausted:
        print(
            f"cnngen: space '{plan.space_name}' has no more networks within the bounds than "
            f"these; {len(plan):,} were asked for",
            file=sys.stderr,
        )
    if tally.unreadable:
        print(
            f"cnngen: {tally.unreadable:,} runs cannot be read; --repair moves them aside and "
            "trains them again",
            file=sys.stderr,
        )
        raise typer.Exit(1)


def executor_of(
    workers: int,
    patience: float,
    gpus: str,
    ray: str | None,
    gpu_share: float | None,
    say: Callable[[str], None],
) -> ExecutorFactory:
    """Who trains: workers on this machine, of which `say` is told who gets which GPU, or a Ray cluster.

    Raises `CnnGenError` for `gpus` that are none, or those of this machine beside a cluster's, and for
    a share of a cluster's GPUs without one.
    """
    from cnngen.runs.campaign import local
    from cnngen.system.gpus import parse_cards

    cards = parse_cards(gpus)
    if ray is None:
        if gpu_share is not None:
            raise CnnGenError(
                "--gpu-share is for a Ray cluster",
                hint="On this machine, more --workers than GPUs share them.",
            )
        return local(workers, patience=patience, gpus=cards, say=say)
    if cards is not None:
        raise CnnGenError(
            "--gpus chooses GPUs of this machine, and a Ray cluster gives out its own",
            hint="Leave one of --gpus and --ray out.",
        )
    from cnngen.runs.campaign.ray import on_ray

    return on_ray(ray, gpus=gpu_share)


def index(
    folder: Folder,
    card: Annotated[
        bool, typer.Option("--card", help="Also write README.md and its figures.")
    ] = False,
) -> None:
    """Rebuild the index of a folder of runs: index.parquet, for pandas and others.

    cnngen index runs/compact
    cnngen index runs/compact --card
    """
    from cnngen.runs.parquet_index import FILE, write_index

    broken = write_index(folder)
    print(folder / FILE)
    if card:
        _write_card(folder)
    for name, reason in broken.items():
        print(f"{folder / name}: {reason}", file=sys.stderr)
    if broken:
        raise typer.Exit(1)


def table(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .tfrecord file of NAS-Bench-101 or EC-NAS.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Parquet file to write.")],
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", min=1, help="Only trainings of so many epochs. [all of them]"),
    ] = None,
) -> None:
    """Turn a published table of trained cells into one that CNNGen learns from.

    Each row says what was measured and what a surrogate predicted. The weights of
    the first thousand cells are counted and compared.

    cnngen table energy_7V9E_4epochs.tfrecord -o ec-nas.parquet
    cnngen table nasbench_full.tfrecord --epochs 108 -o nasbench.parquet
    """
    from cnngen.cli.output import progress_bars
    from cnngen.runs.cell_tables import write_cell_table

    with progress_bars() as progress:
        reading = progress.add_task("Trainings", total=None)
        done = write_cell_table(
            file,
            out,
            epochs=epochs,
            on_progress=lambda done: progress.update(reading, completed=done),
        )
    print(f"{out}: {done:,} trainings")


def merge(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to copy the runs to.")],
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER…", help="Folders to copy from.")],
) -> None:
    """Copy the runs of several folders into one, such as those of a campaign's shards.

    Runs that are already there are skipped, so it may be stopped and run
    again. If the same training has two results, the first is kept.

    cnngen merge runs/all runs/first runs/compact
    """
    from cnngen.cli.output import progress_console
    from cnngen.runs.merge import merge_folders

    with progress_console.status("Copying"):
        merged = merge_folders(out, folders)
    print(f"{out}: {merged.copied:,} runs copied, {merged.same:,} already there")
    _write_card(out)
    for path, reason in (*merged.conflicts.items(), *merged.broken.items()):
        print(f"{path}: {reason}", file=sys.stderr)
    if merged.conflicts or merged.broken:
        raise typer.Exit(1)


def _write_card(folder: Path) -> None:
    from cnngen.runs.dataset_card import FILE, write_card

    card = write_card(folder)
    print(card or f"{folder / FILE} was not written by CNNGen, and was left unchanged")


@contextmanager
def stopping(stop: threading.Event, asked: Callable[[], None]) -> Iterator[None]:
    """Make the first Ctrl-C set an event, and the second raise KeyboardInterrupt."""

    def act(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        asked()

    before = signal.signal(signal.SIGINT, act)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
