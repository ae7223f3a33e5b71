"""The command `compare`, which compares frameworks."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cnngen.cli.options import (
    Country,
    Data,
    Epochs,
    Flops,
    Json,
    Layers,
    Parameters,
    Patience,
    ProtocolName,
    Range,
    Resize,
    Seed,
    Space,
    Tdp,
    name_list,
)
from cnngen.errors import CnnGenError

if TYPE_CHECKING:
    from cnngen.network import Network
    from cnngen.space.sampling import Bounds


def compare(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE…]", help="Descriptions (.cnn). [sampled from a space]"),
    ] = None,
    backends: Annotated[
        str,
        typer.Option("--backends", "-b", help="Backends and modes: torch,torch:compiled,keras:jax"),
    ] = "torch,keras",
    space: Space = "compact",
    count: Annotated[
        int,
        typer.Option("--count", "-n", min=1, help="Number of networks to sample, without files."),
    ] = 5,
    seed: Seed = 0,
    layers: Layers = None,
    parameters: Parameters = None,
    flops: Flops = None,
    data: Data = "digits",
    resize: Resize = None,
    protocol: ProtocolName = "quick",
    epochs: Epochs = None,
    repeats: Annotated[
        int,
        typer.Option(
            "--repeats", "-r", min=1, help="Trainings of each network, each with its own seed."
        ),
    ] = 5,
    idle: Annotated[
        float, typer.Option("--idle", min=0, help="Seconds to measure the idle machine.")
    ] = 5.0,
    by_process: Annotated[
        bool,
        typer.Option("--by-process", help="Leave other programs out of a modelled CPU's energy."),
    ] = False,
    country: Country = None,
    tdp: Tdp = None,
    patience: Patience = "1h",  # type: ignore[assignment]
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for all results.")] = Path(
        "runs/compare"
    ),
    as_json: Json = False,
) -> None:
    """Train the same networks in several frameworks, and compare what they need.

    All start from the same weights and images, each mode in its own process, one
    at a time, in the order A B B A. A verdict is given only if accuracies agree
    and an interval and a test allow it. Run the same command again to resume.

    cnngen compare --backends torch,keras:tensorflow,keras:jax
    cnngen compare examples/open.cnn -b torch,torch:compiled --repeats 10 --country FRA
    cnngen compare examples/lenet.cnn -b torch@float32,torch@bfloat16
    cnngen compare -n 10 --space paper -d cifar10 -b torch,flax -o runs/frameworks
    """
    from cnngen.cli.campaign import stopping
    from cnngen.cli.measure import protocol_of
    from cnngen.cli.output import print_json
    from cnngen.cli.show_comparison import (
        CompareDisplay,
        print_comparison,
        print_comparison_folder,
        print_power,
    )
    from cnngen.comparison import compare
    from cnngen.comparison.plots import write_plots
    from cnngen.space.sampling import Bounds
    from cnngen.training.data import load_data

    modes = name_list(backends)
    images = load_data(data, resize=resize)
    bounds = Bounds(layers or Range(), parameters or Range(), flops or Range())
    if files and bounds != Bounds():
        raise CnnGenError("bounds apply to sampled networks, but files were given")
    networks = _networks(
        files or [], space, count, seed, bounds, images.input_shape, images.classes
    )
    if not as_json:
        print_power(len(modes), len(networks), repeats)
    stop = threading.Event()
    display = CompareDisplay(len(modes) * len(networks) * repeats, "trainings")

    def ask_to_stop() -> None:
        display.say("Waiting for the training under way; Ctrl-C again drops it.")

    try:
        with stopping(stop, ask_to_stop), display:
            comparison = compare(
                networks,
                images,
                protocol_of(protocol, epochs=epochs),
                modes,
                repeats=repeats,
                folder=out,
                space=None if files else space,
                idle_seconds=idle,
                energy_mode="process" if by_process else "machine",
                country=country,
                tdp=tdp,
                patience=patience,
                watches=[display],
                stop=stop,
            )
    except KeyboardInterrupt:
        print(f"cnngen: dropped; run the same command again to resume in {out}.", file=sys.stderr)
        raise typer.Exit(130) from None
    plots = write_plots(comparison, out)
    if as_json:
        print_json(comparison.to_json())
    else:
        print_comparison(comparison)
        print_comparison_folder(out, plots)
    for mode, fault in comparison.faults.items():
        print(f"cnngen: {mode} was not compared: {fault}", file=sys.stderr)
    if stop.is_set():
        done, planned = len(comparison.records), len(comparison.design)
        print(
            f"cnngen: stopped; {done:,} of {planned:,} trainings in {out}. "
            "Run the same command again to resume.",
            file=sys.stderr,
        )
        raise typer.Exit(130)
    if comparison.faults:
        raise typer.Exit(1)


def _networks(
    files: Sequence[Path],
    space: str,
    count: int,
    seed: int,
    bounds: Bounds,
    shape: tuple[int, int, int],
    classes: int,
) -> list[Network]:
    """Read the networks from files, or sample them from a space if there are none."""
    from cnngen.cli.describe import read_description
    from cnngen.space.resolution import resolve
    from cnngen.space.sampling import sample_many

    if not files:
        return list(
            sample_many(count, space, input_shape=shape, classes=classes, seed=seed, bounds=bounds)
        )
    return [
        resolve(read_description(file), space=space, input_shape=shape, classes=classes, seed=seed)
        for file in files
    ]
