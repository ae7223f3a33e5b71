"""The command `studio`, which serves the studio."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnngen.cli.options import Backend, Data, Space
from cnngen.errors import CnnGenError


def studio(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A description (.cnn) to edit; made if not there."),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--folder", "-f", help="The folder of runs to explore.")
    ] = Path("runs"),
    data: Data = "digits",
    space: Space = "paper",
    backend: Backend = "torch",
    model: Annotated[
        Path | None, typer.Option("--model", "-m", help="What predicts, as `cnngen predict`.")
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="0 is any that is free.")
    ] = 8642,
    host: Annotated[
        str, typer.Option("--host", help="127.0.0.1 or ::1; others are refused.")
    ] = "127.0.0.1",
    time_budget: Annotated[
        float, typer.Option("--time-budget", min=1, help="Most seconds of a training.")
    ] = 300,
    memory: Annotated[
        float, typer.Option("--memory", min=1, help="Most GB that a worker process takes.")
    ] = 4,
    open_it: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    """Write networks in the browser: see them as you type, know their cost, train them.

    The page comes from this machine alone and asks no other. Its address has
    a token, so nobody else who can reach the port can use it. Ctrl-C ends it.

    cnngen studio
    cnngen studio lenet.cnn --open
    cnngen studio --folder runs/paper --data cifar10 --port 0
    """
    from cnngen.backend import get_backend
    from cnngen.space import load_space
    from cnngen.training.data import load_data

    try:
        from cnngen.editor.studio import Limits, StudioSettings, serve
    except ImportError as error:
        raise CnnGenError(
            f"the studio needs a web server ({error})", hint="Install: pip install 'cnngen[studio]'"
        ) from None
    load_space(space)
    get_backend(backend)
    limits = Limits(training_seconds=time_budget, memory=round(memory * 2**30))

    def ready(address: str) -> None:
        print(f"CNNGen's studio: {address}", flush=True)
        if open_it:
            typer.launch(address)

    settings = StudioSettings(file, folder, load_data(data), space, backend, model, limits)
    serve(settings, host=host, port=port, on_ready=ready)
