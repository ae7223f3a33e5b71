"""The command `studio`, which serves the studio."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cnngen.cli.options import Backend, Data, Resize, Space, seconds_of
from cnngen.errors import CnnGenError


def studio(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A description (.cnn) to edit; created if missing."),
    ] = None,
    folder: Annotated[
        Path, typer.Option("--folder", "-f", help="Folder of runs to explore.")
    ] = Path("runs"),
    data: Data = "digits",
    resize: Resize = None,
    space: Space = "paper",
    backend: Backend = "torch",
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", help="Model for predictions, as in `cnngen predict`."),
    ] = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port; 0 is any free port.")
    ] = 8642,
    host: Annotated[
        str, typer.Option("--host", help="127.0.0.1 or ::1; others are refused.")
    ] = "127.0.0.1",
    time_budget: Annotated[
        float,
        typer.Option(
            "--time-budget", parser=seconds_of, metavar="TIME", help="Time limit of a training."
        ),
    ] = "300s",  # type: ignore[assignment]
    memory: Annotated[
        float, typer.Option("--memory", min=1, help="Memory limit of a worker process, in GB.")
    ] = 4,
    open_it: Annotated[
        bool, typer.Option("--open", help="Open the studio in the browser.")
    ] = False,
) -> None:
    """Write networks in the browser: see them as you type, know their cost, train them.

    The page sends requests only to this machine. Its address contains a token,
    so nobody else who can reach the port can use it. Ctrl-C ends it.

    cnngen studio
    cnngen studio examples/lenet.cnn --open
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

    settings = StudioSettings(
        file, folder, load_data(data, resize=resize), space, backend, model, limits
    )
    serve(settings, host=host, port=port, on_ready=ready)
