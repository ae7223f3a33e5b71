"""Printing and writing, shared by the commands."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from cnngen.errors import CnnGenError, printable_lines
from cnngen.network import Network
from cnngen.network.cost import short
from cnngen.operations import shapes
from cnngen.system.files import replacing

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn


UNBOUNDED = 100_000
"""Width of a stream that is no terminal: nothing is cut or wrapped to a screen that isn't there."""


class PlainConsole(Console):
    """A console that prints strings literally: no markup, no emoji, no escape sequences."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    @property
    def size(self) -> ConsoleDimensions:
        width, height = super().size
        return ConsoleDimensions(width if self.is_terminal else UNBOUNDED, height)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self._width, self._height = new_size

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(printable_lines(text), style)


console = PlainConsole()
progress_console = PlainConsole(stderr=True)
"""Progress is printed on stderr, so that stdout can be piped."""


def table_of(*headings: str) -> Table:
    """Create a table without lines, with these columns; more can be added."""
    return Table(*headings, box=None, header_style="bold", pad_edge=False)


def print_table(table: Table) -> None:
    """Print a table without losing a character of a cell.

    On a terminal that is too narrow for it, each row becomes a paragraph, a cell to a line.
    Elsewhere, lines are as long as the table needs.
    """
    if console.is_terminal:
        wide = console.options.update(width=UNBOUNDED)
        if console.measure(table, options=wide).minimum > console.width:
            _print_paragraphs(table)
        else:
            console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        console.print(line.rstrip(), soft_wrap=True)


def _print_paragraphs(table: Table) -> None:
    first, *others = table.columns
    heading = str(first.header)
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        console.print(Text.assemble((f"{heading} " if heading else "", "bold"), *cells[:1]))
        for column, cell in zip(others, cells[1:], strict=True):
            if str(cell):
                name = " ".join(str(column.header).split())
                console.print(Text.assemble("  ", (f"{name} " if name else "", "bold"), cell))


def progress_bars(*more: ProgressColumn, disable: bool = False) -> Progress:
    """Create progress bars that vanish when all is done, with descriptions before them."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *(more or (MofNCompleteColumn(),)),
        console=progress_console,
        transient=True,
        disable=disable,
    )


def print_json_list(values: Iterable[object]) -> None:
    """Print values as a list in JSON, each on a line of its own as soon as it is there."""
    separator = "["
    for value in values:
        print(separator)
        print(json.dumps(value), end="")
        separator = ","
    print("[]" if separator == "[" else "\n]")


def print_json(value: object) -> None:
    """Print indented JSON, escaping characters that are unprintable or cannot be encoded."""
    unicode = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")
    for line in json.dumps(value, indent=2, ensure_ascii=not unicode).split("\n"):
        shown = (c if c.isprintable() else json.dumps(c)[1:-1] for c in line)
        sys.stdout.write((line if line.isprintable() else "".join(shown)) + "\n")


def print_text(text: str) -> None:
    """Print a description or source code; unchanged, in UTF-8, if stdout is not a terminal."""
    raw = getattr(sys.stdout, "rich_proxied_file", sys.stdout)
    if raw.isatty() or not hasattr(raw, "buffer"):
        sys.stdout.write(text)
    else:
        raw.flush()
        raw.buffer.write(text.encode())
        raw.buffer.flush()


def say_broken(run: Path, reason: str) -> None:
    """Report a run that is left out."""
    print(f"{run}: {reason}", file=sys.stderr)


def write_output(path: Path, content: str | bytes) -> None:
    """Write a file atomically. Raises `CnnGenError` if that fails."""
    try:
        with replacing(path) as file:
            file.write(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise CnnGenError(f"{path} cannot be written: {error.strerror}") from None


def make_folder(path: Path) -> None:
    """Create a folder if it does not exist. Raises `CnnGenError` if that fails."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CnnGenError(f"folder {path} cannot be created: {error.strerror}") from None


def tracked(networks: Iterable[Network], count: int, doing: str) -> Iterator[Network]:
    """Iterate over networks with a progress bar on stderr, if that is a terminal."""
    from rich.progress import track

    return iter(
        track(
            networks,
            doing,
            count,
            console=progress_console,
            transient=True,
            disable=not progress_console.is_terminal,
        )
    )


def summary(network: Network) -> dict[str, object]:
    """Return the figures of a network for scripts."""
    cost = network.cost
    return {
        "id": network.id,
        "name": network.name,
        "input": shapes.text(network.input_shape),
        "classes": network.classes,
        "layers": cost.layers,
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "flops": cost.flops,
        "text": network.to_text(),
    }


def summary_line(network: Network) -> str:
    """Format the figures of a network in one line."""
    cost = network.cost
    end = (
        f"backbone giving {shapes.text(network.output_shape)}"
        if network.is_backbone
        else f"{network.classes} classes"
    )
    return (
        f"{cost.layers} layers, {cost.parameters:,} parameters, {short(cost.flops)} FLOPs, "
        f"{shapes.text(network.input_shape)} to {end}, id {network.id}"
    )
