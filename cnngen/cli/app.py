"""The command-line application: registers the commands and reports errors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

from cnngen.cli import (
    campaign,
    compare,
    describe,
    doctor,
    energy,
    import_,
    lsp,
    measure,
    predict,
    report,
    search,
    space,
    studio,
    verify,
)
from cnngen.cli.terminal import delivered, doors
from cnngen.errors import CnnGenError, printable_lines

EPILOG = (
    "Begin with [bold]cnngen --backend torch[/]: a few networks, sampled, trained, measured. "
    "Every command has examples in its own --help."
)


class Group(TyperGroup):
    """A group of commands that makes Typer's error messages printable.

    They quote arguments, such as untrusted file names, and Typer prints them in colours, which
    bypasses the filter of `cnngen.cli.terminal`.
    """

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _made_printable():
            return super().make_context(*args, **kwargs)

    def invoke(self, *args: Any, **kwargs: Any) -> Any:
        try:
            with _made_printable():
                return super().invoke(*args, **kwargs)
        except KeyboardInterrupt:
            print("cnngen: stopped", file=sys.stderr)
            raise typer.Exit(130) from None


@contextmanager
def _made_printable() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(message := getattr(error, "message", None), str):
            error.message = printable_lines(message)  # type: ignore[attr-defined]
        raise


app = typer.Typer(
    name="cnngen",
    cls=Group,
    rich_markup_mode="rich",
    add_completion=False,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
app.callback(invoke_without_command=True)(measure.first)
COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    "Describe": (describe.check, describe.format_, describe.sample, import_.import_),
    "Generate": (describe.generate, describe.draw, measure.backends),
    "Measure": (
        measure.train,
        campaign.campaign,
        measure.show,
        measure.export,
        doctor.doctor,
    ),
    "Data sets of runs": (campaign.index, campaign.merge, campaign.table),
    "Search": (search.search,),
    "Compare": (verify.verify, compare.compare),
    "Predict": (predict.predict, report.report),
    "Edit": (studio.studio, lsp.lsp),
}
for panel, commands in COMMANDS.items():
    for command in commands:
        app.command(command.__name__.rstrip("_"), rich_help_panel=panel)(command)
app.add_typer(space.space, rich_help_panel="Describe")
app.add_typer(energy.energy, rich_help_panel="Measure")


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: 2, with a message, for a mistake of the user."""
    with doors():
        return delivered(lambda: _run(arguments))


def _run(arguments: Sequence[str]) -> int:
    try:
        app(args=list(arguments), prog_name="cnngen")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except CnnGenError as error:
        print(f"cnngen: {error}", file=sys.stderr)
        return 2
    return 0
