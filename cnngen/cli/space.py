"""The commands `space list` and `space show`."""

from __future__ import annotations

from typing import Annotated

import typer

space = typer.Typer(
    name="space",
    help="List the spaces that networks are drawn from, or print one to change it.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@space.command("list")
def list_spaces() -> None:
    """List the spaces that come with CNNGen.

    cnngen space list
    """
    from cnngen.cli.output import print_table, table_of
    from cnngen.space import load_space
    from cnngen.space.space import builtin_spaces

    table = table_of("space", "networks")
    for name in builtin_spaces():
        table.add_row(name, load_space(name).description)
    print_table(table)


@space.command("show")
def show_space(
    name: Annotated[str, typer.Argument(metavar="SPACE", help="A space's name, or a .toml file.")],
) -> None:
    """Print a space as TOML: all settings of its own and of the space it is based on.

    A file may also hold no more than `base = "compact"` and what differs from it.

    cnngen space show compact
    cnngen space show compact > mine.toml && cnngen sample --space mine.toml
    """
    from cnngen.cli.output import print_text
    from cnngen.space.space import space_text

    print_text(space_text(name))
