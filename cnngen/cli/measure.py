"""Commands that train and measure, and that show what was measured."""

from __future__ import annotations

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
    ProtocolName,
    Seed,
    Space,
    Tdp,
)
from cnngen.errors import CnnGenError

if TYPE_CHECKING:
    from rich.progress import TaskID

    from cnngen.data import Dataset
    from cnngen.energy import Meter
    from cnngen.network import Network
    from cnngen.protocol import Epoch, Protocol
    from cnngen.record import Record

Out = Annotated[Path, typer.Option("--out", "-o", help="The folder that runs are kept in.")]


def first(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    backend: Backend = "torch",
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many networks.")] = 4,
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
    from cnngen.data import load_data
    from cnngen.energy import Meter
    from cnngen.sampling import sample_many

    chosen = _protocol(protocol, None)
    images = load_data(data)
    networks = sample_many(
        count, space, input_shape=images.input_shape, classes=images.classes, seed=seed
    )
    records = _train_all(
        networks, count, images, chosen, backend, Meter(), out, seed=seed, space=space
    )
    _table(records)
    _say_where(records, out)


def train(
    files: Files,
    backend: Backend = "torch",
    data: Data = "digits",
    protocol: ProtocolName = "quick",
    epochs: Epochs = None,
    out: Out = Path("runs"),
    space: Space = "paper",
    seed: Seed = 0,
    country: Country = None,
    tdp: Tdp = None,
    again: Again = False,
    as_json: Json = False,
) -> None:
    """Train networks, measure their accuracy and energy, and keep every artefact.

    What is in the folder already, trained the same way on the same images,
    is not trained again. Open hyper-parameters are drawn with the seed.

    cnngen train lenet.cnn
    cnngen train nets/*.cnn --data cifar10 --protocol paper --country FRA
    cnngen train lenet.cnn --backend keras --json
    """
    from cnngen.cli.describe import read
    from cnngen.cli.output import print_json
    from cnngen.data import load_data
    from cnngen.energy import Meter
    from cnngen.resolution import resolve
    from cnngen.training import check_trainable

    meter = Meter(country=country, tdp=tdp)
    chosen = _protocol(protocol, epochs)
    descriptions = [read(file) for file in files]
    images = load_data(data)
    shape, classes = images.input_shape, images.classes
    networks = [
        resolve(description, space=space, input_shape=shape, classes=classes, seed=seed)
        for description in descriptions
    ]
    for network in networks:
        check_trainable(network, images)
    records = _train_all(networks, len(networks), images, chosen, backend, meter, out, again=again)
    if as_json:
        import json

        print_json([json.loads(record.to_json()) for record in records])
    else:
        _table(records)
        _say_where(records, out)


def show(
    folder: Annotated[Path, typer.Argument(help="A folder of runs, or one run in it.")],
    as_json: Json = False,
) -> None:
    """Show the records of a folder as a table, or one of them whole.

    cnngen show runs
    cnngen show runs/0f3a…-torch-9c41d2aa
    cnngen show runs --json | jq '.[].test_accuracy'
    """
    import json
    import sys

    from cnngen.cli.output import console, print_json
    from cnngen.store import RECORD, load, load_run

    if (folder / RECORD).exists():
        print_json(json.loads(load_run(folder).to_json()))
        return
    runs = load(folder)
    if as_json:
        print_json([json.loads(record.to_json()) for record in runs])
    elif not runs.broken and not len(runs):
        console.print(f"{folder} holds no runs", markup=False)
    else:
        _table(runs)
    for path, reason in runs.broken:
        print(f"{path}: {reason}", file=sys.stderr)


def export(
    out: Annotated[Path, typer.Argument(help="The .npz file to write.")],
    data: Data = "digits",
    protocol: ProtocolName = "quick",
) -> None:
    """Write a data set as .npz, split as a protocol says, for scripts that train themselves.

    cnngen export digits.npz
    cnngen generate net.cnn --script --input 8x8x1 -o net.py
    python net.py digits.npz
    """
    from cnngen.data import load_data, save_npz

    if out.suffix != ".npz":
        raise CnnGenError(f"'{out}' is no .npz file", hint="Name one that ends in .npz.")
    images = load_data(data)
    save_npz(images, out, _protocol(protocol, None))
    print(f"{out}: {len(images):,} images of {images.name}")


def backends(as_json: Json = False) -> None:
    """List the backends, their frameworks' versions, and what is missing.

    cnngen backends
    """
    from rich.table import Table

    from cnngen.backend import backend_names, get_backend
    from cnngen.cli.output import console, print_json

    found: list[dict[str, Any]] = []
    for name in backend_names():
        try:
            backend = get_backend(name)
        except CnnGenError as error:
            found.append({"name": name, "framework": None, "can": [], "missing": error.message})
            continue
        version = backend.version()
        found.append(
            {
                "name": name,
                "framework": version,
                "can": sorted(backend.capabilities),
                "missing": None if version else backend.install,
            }
        )
    if as_json:
        print_json(found)
        return
    table = Table("backend", "framework", "can", box=None, header_style="bold")
    for row in found:
        framework = row["framework"] or f"missing: {row['missing']}"
        table.add_row(str(row["name"]), str(framework), ", ".join(row["can"]))
    console.print(table)


def _protocol(name: str, epochs: int | None) -> Protocol:
    from cnngen.protocol import PROTOCOLS

    if name not in PROTOCOLS:
        raise CnnGenError(f"there is no protocol '{name}'", hint=f"Known: {', '.join(PROTOCOLS)}.")
    protocol = PROTOCOLS[name]
    if epochs is not None and epochs != protocol.epochs:
        protocol = replace(protocol, name=f"{name}-{epochs}-epochs", epochs=epochs)
    return protocol


def _train_all(
    networks: Iterable[Network],
    count: int,
    data: Dataset,
    protocol: Protocol,
    backend: str,
    meter: Meter,
    out: Path,
    *,
    seed: int | None = None,
    space: str | None = None,
    again: bool = False,
) -> list[Record]:
    """Train one network after the other; each is stored when it is done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from cnngen.cli.output import make_folder, progress_console
    from cnngen.store import load_run, save
    from cnngen.training import run_key, train

    make_folder(out)
    records = []
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=progress_console, transient=True) as progress:
        total = progress.add_task("networks", total=count, note="")
        for network in networks:
            run = out / run_key(network, data, protocol, backend)
            if run.exists() and not again:
                records.append(load_run(run))
                progress.advance(total)
                continue
            layers = f"{network.id[:8]}, {len(network)} layers"
            task = progress.add_task(layers, total=protocol.epochs, note="starting")

            def on_epoch(epoch: Epoch, task: TaskID = task) -> None:
                accuracy = f"validation accuracy {epoch.validation_accuracy:.3f}"
                progress.update(task, advance=1, note=accuracy)

            trained = train(
                network,
                data,
                protocol,
                backend=backend,
                meter=meter,
                seed=seed,
                space=space,
                on_epoch=on_epoch,
            )
            save(out, trained.record, network, trained.source, overwrite=again)
            records.append(trained.record)
            progress.remove_task(task)
            progress.advance(total)
    return records


def _table(records: Sequence[Record]) -> None:
    """Records as a table, the best first, and what its figures are worth."""
    from rich.table import Table

    from cnngen.cli.output import console, short

    one_setting = len({(r.backend, r.data.name, r.protocol.name) for r in records}) == 1
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("network", "layers", "weights", "FLOPs", "accuracy", "time", "energy", "CO2"):
        table.add_column(name, justify="left" if name == "network" else "right", no_wrap=True)
    if not one_setting:
        table.add_column("trained")
    if any(r.status != "ok" for r in records):
        table.add_column("status", ratio=1)
    ordered = sorted(records, key=lambda r: -1 if r.test_accuracy is None else r.test_accuracy)
    for r in reversed(ordered):
        energy = r.energy
        row = [
            f"{r.id[:8]} {r.name or ''}",
            str(r.layers),
            short(r.parameters),
            short(r.flops),
            "-" if r.test_accuracy is None else f"{r.test_accuracy:.1%}",
            f"{r.train_seconds:.1f} s",
            f"{energy.total_energy * 1000:.3f} Wh" if energy else "-",
            f"{energy.emissions * 1e6:.1f} mg" if energy else "-",
        ]
        if not one_setting:
            row.append(_setting(r))
        table.add_row(*row, "" if r.cause is None else f"{r.status}: {r.cause}")
    if one_setting:
        console.print(f"[bold]{_setting(records[0])}[/]")
    console.print(table)
    for line in (*dict.fromkeys(_worth(record) for record in ordered), *_others(ordered)):
        console.print(line, style="dim")


def _setting(record: Record) -> str:
    """What was trained with what, on what, and how."""
    return f"{record.backend} on {record.data.name}, {record.protocol.name}"


def _worth(record: Record) -> str:
    """What the energy of a record is worth, in a sentence."""
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


def _others(records: Sequence[Record]) -> list[str]:
    """How busy other programs kept the machine while it was measured, if that was seen."""
    sources = [r.energy.provenance for r in records if r.energy is not None]
    shares = [s.others_during * 100 for s in sources if s.others_during is not None]
    if not shares:
        return []
    least, most = f"{min(shares):.0f}", f"{max(shares):.0f}"
    span = most if least == most else f"{least} to {most}"
    beside = " and workers" if any(s.shared for s in sources) else ""
    return [f"Meanwhile other programs{beside} kept {span} % of the machine busy."]


def _say_where(records: list[Record], out: Path) -> None:
    from cnngen.cli.output import console

    if records:
        names = f"{{model.cnn, {records[0].backend}.py, model.svg, record.json …}}"
        console.print(f"Kept in {out}/<id>-…/{names}", style="dim", markup=False)
