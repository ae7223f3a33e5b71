"""What commands print and write."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console

from cnngen import shapes
from cnngen.atomic import replacing
from cnngen.cost import short
from cnngen.errors import CnnGenError
from cnngen.network import Network

console = Console(highlight=False)
progress_console = Console(stderr=True, highlight=False)
"""Progress goes to stderr, so that stdout can be piped."""


def print_json(value: object) -> None:
    """Indented JSON on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all. Raises `CnnGenError` where that cannot be done."""
    try:
        with replacing(path) as file:
            file.write(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise CnnGenError(f"{path} cannot be written: {error.strerror}") from None


def make_folder(path: Path) -> None:
    """Make a folder, if it is not there. Raises `CnnGenError` where that cannot be done."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CnnGenError(f"folder {path} cannot be made: {error.strerror}") from None


def tracked(networks: Iterable[Network], count: int, doing: str) -> Iterator[Network]:
    """The networks, with a progress bar on stderr where a person may look."""
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
    """What scripts want to know of a network."""
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
    """The same for people."""
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
