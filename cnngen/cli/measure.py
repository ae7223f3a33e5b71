"""Commands that train, measure and show the results: `train`, `show`, `export` and `backends`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cnngen.cli.options import (
    Again,
    Backend,
    Country,
    Data,
    Epochs,
    Files,
    Json,
    Keep,
    KeepWeights,
    PrecisionName,
    ProtocolName,
    Repeats,
    Resize,
    Seed,
    Set,
    Space,
    Tdp,
    TimeBudget,
    TrainSeed,
)
from cnngen.errors import CnnGenError

if TYPE_CHECKING:
    from cnngen.runs.campaign import Job
    from cnngen.runs.record import Record
    from cnngen.training.data import Dataset
    from cnngen.training.protocol import Protocol

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the runs.")]


def first(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    backend: Backend = "torch",
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="Number of networks.")] = 4,
    space: Space = "compact",
    data: Data = "digits",
    protocol: ProtocolName = "quick",
    out: Out = Path("runs/first"),
    seed: Seed = 0,
) -> None:
    """CNNGen: whole convolutional networks from one sentence each.

    Without a command: sample a few networks, generate their code, train
    them, measure accuracy and energy, keep every artefact and show a table.
    That takes about a minute.
    """
    if context.invoked_subcommand is not None:
        return
    if version:
        import cnngen

        print(f"cnngen {cnngen.__version__}")
        return
    from cnngen.runs.campaign import Metering, make_job
    from cnngen.space.sampling import draws
    from cnngen.training.data import load_data

    chosen = protocol_of(protocol)
    images = load_data(data)
    drawn = draws(count, space, input_shape=images.input_shape, classes=images.classes, seed=seed)
    jobs = (
        make_job(
            draw.network, images, chosen, backend, Metering(), draw.seed, space, keep_weights=True
        )
        for draw in drawn
    )
    records, unreadable = _train(jobs, count, images, out)
    _show(records, out)
    _end(unreadable)


def train(
    files: Files,
    backend: Backend = "torch",
    data: Data = "digits",
    resize: Resize = None,
    protocol: ProtocolName = "quick",
    epochs: Epochs = None,
    settings: Set = None,
    train_seed: TrainSeed = None,
    time_budget: TimeBudget = None,
    precision: PrecisionName = None,
    keep: Keep = None,
    repeats: Repeats = 1,
    out: Out = Path("runs"),
    space: Space = "paper",
    seed: Seed = 0,
    country: Country = None,
    tdp: Tdp = None,
    weights: KeepWeights = True,
    again: Again = False,
    as_json: Json = False,
) -> None:
    """Train networks, measure their accuracy and energy, and keep every artefact.

    Networks that the folder already has, trained the same way on the same
    images, are skipped. Open hyper-parameters are drawn with the seed.

    cnngen train examples/open.cnn
    cnngen train nets/*.cnn --data cifar10 --protocol paper --country FRA
    cnngen train examples/lenet.cnn --resize 32x32x1 --backend keras --json
    cnngen train examples/open.cnn --set optimizer=sgd --set learning_rate=0.05
    cnngen train examples/open.cnn --repeats 3 --keep best
    """
    from cnngen.cli.describe import read_description
    from cnngen.cli.output import print_json
    from cnngen.operations import shapes
    from cnngen.runs.campaign import Metering, make_job
    from cnngen.runs.train import check_trainable
    from cnngen.space.resolution import resolve
    from cnngen.training.data import load_data
    from cnngen.training.protocol import repeated

    metering = Metering(country, tdp)
    metering.meter()  # refuses an unknown country now
    chosen = protocol_of(
        protocol,
        epochs=epochs,
        time_budget=time_budget,
        precision=precision,
        keep=keep,
        settings=settings,
        seed=train_seed,
    )
    descriptions = [read_description(file) for file in files]
    images = load_data(data, resize=resize)
    shape, classes = images.input_shape, images.classes
    for file, description in zip(files, descriptions, strict=True):
        own = description.input_shape
        if own is not None and own != shape:
            raise CnnGenError(
                f"{file} is for images of {shapes.text(own)}, those of '{images.name}' are "
                f"{shapes.text(shape)}",
                hint="Name data of that shape (--data cifar10 is 32x32x3), or sample networks for "
                f"these: cnngen sample --input {shapes.text(shape)} --classes {classes}.",
            )
    networks = [
        resolve(description, space=space, input_shape=shape, classes=classes, seed=seed)
        for description in descriptions
    ]
    for network in networks:
        check_trainable(network, images)
    jobs = [
        make_job(network, images, followed, backend, metering, keep_weights=weights)
        for network in networks
        for followed in repeated(chosen, repeats)
    ]
    records, unreadable = _train(jobs, len(jobs), images, out, again=again)
    if as_json:
        print_json([json.loads(record.to_json()) for record in records])
    else:
        _show(records, out)
    _end(unreadable)


def _train(
    jobs: Iterable[Job], count: int, data: Dataset, out: Path, *, again: bool = False
) -> tuple[list[Record], int]:
    """Train one network after the other in this process, and store each when it is done.

    Returns the records, and the number of existing runs that cannot be read."""
    from cnngen.cli.output import make_folder
    from cnngen.cli.progress import Display
    from cnngen.runs.campaign import in_process, tell_epochs, train_jobs

    make_folder(out)
    try:
        with Display(count) as display, in_process()(data, tell_epochs([display])) as executor:
            records = list(train_jobs(jobs, data, out, executor, again=again, watches=[display]))
    except KeyboardInterrupt:
        print("cnngen: stopped; run the same command again to resume.", file=sys.stderr)
        raise typer.Exit(130) from None
    return records, display.tally.unreadable


def _end(unreadable: int) -> None:
    if unreadable:
        print("cnngen: --again retrains the runs that cannot be read", file=sys.stderr)
        raise typer.Exit(1)


def _show(records: list[Record], out: Path) -> None:
    from cnngen.cli.show_records import print_folder, print_records

    if records:
        print_records(records)
    print_folder(records, out)


def show(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER|RUN|ID", help="A folder of runs, or a run.")
    ],
    run_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The start of a run's name in the folder.")
    ] = None,
    open_it: Annotated[
        bool, typer.Option("--open", help="Open the run's picture and its code.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the records of a folder as a table, or one of them in full.

    A run is named by its folder, or by the first digits of its id. Sub-folders
    that hold runs are listed with their numbers of runs.

    cnngen show runs
    cnngen show runs/first
    cnngen show runs/first 610c
    cnngen show 610c --open
    cnngen show runs/first --json | jq '.[].test_accuracy'
    """
    from cnngen.cli.output import console, print_json
    from cnngen.cli.show_records import print_record, print_records, print_subfolders
    from cnngen.runs.run_folder import find_run, folders_of_runs, is_run, load_run, source_path
    from cnngen.runs.store import load

    run = folder if is_run(folder) else None
    if run_id is not None:
        run = find_run(run_id, [folder])
    elif not folder.exists() and re.fullmatch("[0-9a-f]{2,16}(-[a-z0-9_-]*)?", str(folder)):
        run = find_run(str(folder), [Path("runs"), *sorted(Path("runs").glob("*/"))])
    if run is not None:
        record = load_run(run)
        if as_json:
            print_json(json.loads(record.to_json()))
        else:
            print_record(record, run)
        if open_it:
            for path in (run / "model.png", source_path(run, record)):
                if path.is_file() and not path.is_symlink():
                    typer.launch(str(path))
        return
    if open_it:
        raise CnnGenError(
            "--open opens one run", hint="Name it: cnngen show runs/first 610c --open"
        )
    runs = load(folder)
    if as_json:
        print_json([json.loads(record.to_json()) for record in runs])
    elif len(runs):
        print_records(runs)
    elif not runs.broken:
        console.print(f"{folder} contains no runs", markup=False)
    if not as_json:
        print_subfolders(folders_of_runs(folder))
    for path, reason in runs.broken:
        print(f"{path}: {reason}", file=sys.stderr)
    if runs.broken:
        raise typer.Exit(1)


def export(
    out: Annotated[Path, typer.Argument(help="The .npz file to write.")],
    data: Data = "digits",
    resize: Resize = None,
    protocol: ProtocolName = "quick",
) -> None:
    """Write a data set as .npz, split by a protocol, for standalone training scripts.

    cnngen export digits.npz
    cnngen generate examples/open.cnn --script --input 8x8x1 -o net.py
    python net.py digits.npz
    """
    from cnngen.training.data import load_data, save_npz

    if out.suffix != ".npz":
        raise CnnGenError(f"'{out}' is not an .npz file", hint="Use a file name that ends in .npz.")
    images = load_data(data, resize=resize)
    save_npz(images, out, protocol_of(protocol))
    print(f"{out}: {len(images):,} images of {images.name}")


def backends(as_json: Json = False) -> None:
    """List the backends, their frameworks' versions, and what is missing.

    Each framework is loaded once, in a process of its own, before it is called installed.

    cnngen backends
    """
    from concurrent.futures import ThreadPoolExecutor

    from rich.text import Text

    from cnngen.backend import backend_names
    from cnngen.cli.output import print_json, print_table, progress_console, table_of

    with ThreadPoolExecutor(2) as threads, progress_console.status("Loading frameworks"):
        found = list(threads.map(_backend, backend_names()))
    if as_json:
        print_json(found)
        return
    table = table_of("backend", "framework", "can", "modes")
    for row in found:
        framework = row["framework"] or f"missing: {row['missing']}"
        cells = (row["name"], framework, ", ".join(row["can"]), ", ".join(row["modes"]))
        table.add_row(*map(Text, cells))  # a Text has no markup: [jax] stays
    print_table(table)


def _backend(name: str) -> dict[str, Any]:
    """What a backend is and can, and what it lacks."""
    from cnngen.backend import get_backend
    from cnngen.backend.mode_process import Mode, ModeError, ModeProcess

    found: dict[str, Any] = {"name": name, "framework": None, "can": [], "modes": []}
    try:
        backend = get_backend(name)
    except CnnGenError as error:
        return found | {"missing": error.message}
    found |= {"can": sorted(backend.capabilities), "modes": list(backend.modes)}
    version = backend.version()
    if version is None:
        return found | {"missing": backend.install}
    try:
        with ModeProcess(Mode(name)) as process:
            return found | {"framework": process.framework(), "missing": None}
    except ModeError as error:
        return found | {"missing": f"{version} cannot be loaded: {error.message}"}
    except CnnGenError:  # a system without such processes
        return found | {"framework": version, "missing": None}


def protocol_of(
    name: str,
    *,
    epochs: int | None = None,
    time_budget: float | None = None,
    early: int | None = None,
    precision: str | None = None,
    keep: str | None = None,
    settings: Sequence[str] | None = None,
    seed: int | None = None,
) -> Protocol:
    """Return a protocol by its name, with the given values instead of its own.

    Raises `CnnGenError` for an unknown name.
    """
    from cnngen.training.protocol import named_protocol, read_protocol, with_settings

    protocol = read_protocol(name) if name.endswith(".toml") else named_protocol(name)
    given: dict[str, object] = {}
    for setting in settings or ():
        field, equals, value = setting.partition("=")
        if not equals:
            raise CnnGenError(f"'{setting}' is not a setting", hint="Write NAME=VALUE: batch=128.")
        given[field.strip()] = value.strip()
    if given:
        changed = " ".join(f"{field}={value}" for field, value in given.items())
        given.setdefault("name", f"{protocol.name} {changed}"[:64])
    named: dict[str, object] = {
        "time_budget": time_budget,
        "abort_dead": early,
        "precision": precision,
        "keep": keep,
        "seed": seed,
    }
    given |= {field: value for field, value in named.items() if value is not None}
    protocol = with_settings(protocol, given)
    if epochs is not None and epochs != protocol.epochs:
        protocol = replace(protocol, name=f"{protocol.name}-{epochs}-epochs", epochs=epochs)
    return protocol
