"""The design of a comparison: its modes, networks and settings, as saved in its folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from cnngen.backend.mode_process import split_mode
from cnngen.errors import CnnGenError, StoreError, counted, shorten
from cnngen.runs.record import record_id
from cnngen.system.files import write_file
from cnngen.system.untrusted import read_bytes, refuse_links
from cnngen.training.data.summary import DataSummary
from cnngen.training.energy import Mode as EnergyMode
from cnngen.training.protocol import Protocol, with_settings

FILE = "comparison.json"
MAX_FILE = 2**24
"""Largest settings file that is read, in bytes."""

ModeName = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}(:[a-z0-9_]{1,32})?(@[a-z0-9]{1,16})?$")
]
Text = Annotated[str, Field(max_length=10_000)]


@dataclass(frozen=True, slots=True)
class Compared:
    """A network in a comparison: its id, and its name or None."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    name: Text | None


@dataclass(frozen=True, slots=True)
class TrainingBlock:
    """The trainings of one process: networks, in order, in one mode with the seed of a repeat."""

    repeat: int
    mode: str
    networks: tuple[Compared, ...]


@dataclass(frozen=True, kw_only=True, repr=False)
class Design:
    """The trainings of a comparison: each network in each mode, `repeats` times.

    Repeat r uses the protocol's seed + r in all modes. `space` is the space that the networks
    were drawn from, or None if they were chosen by hand. `test_images` is the number of images
    that the protocol tests on.

    Raises `CnnGenError` for fewer than two modes, no networks, or duplicates of either.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    schema: Literal[1] = 1
    modes: tuple[ModeName, ...]
    networks: tuple[Compared, ...]
    repeats: Annotated[int, Field(ge=1, le=10_000)]
    protocol: Protocol
    data: DataSummary
    test_images: Annotated[int, Field(ge=1)]
    space: Text | None = None
    idle_seconds: Annotated[float, Field(ge=0, le=600)] = 5.0
    energy_mode: EnergyMode = "machine"
    country: Text | None = None
    tdp: float | None = None

    def __post_init__(self) -> None:
        if len(set(self.modes)) < len(self.modes):
            raise CnnGenError("a mode is given twice", hint=f"Given: {', '.join(self.modes)}.")
        if len(self.modes) < 2:
            raise CnnGenError(
                "a comparison needs at least two modes",
                hint="Name them: --backends torch,keras:tensorflow",
            )
        if not self.networks:
            raise CnnGenError("a comparison needs at least one network")
        if len({network.id for network in self.networks}) < len(self.networks):
            raise CnnGenError("a network is given twice")
        for mode in self.modes:
            self.protocol_of(mode, 0)

    def __repr__(self) -> str:
        networks = f"{counted(len(self.networks), 'network')}, {counted(self.repeats, 'repeat')}"
        return f"<Design of {shorten(', '.join(self.modes), 50)}: {networks}>"

    def blocks(self) -> Iterator[TrainingBlock]:
        """Yield the blocks of trainings in the order in which they run.

        Modes alternate between forward and reverse order (A B B A), and so do networks, so that
        a machine that slows down over time affects all modes alike.
        """
        for repeat in range(self.repeats):
            step = -1 if repeat % 2 else 1
            for mode in self.modes[::step]:
                yield TrainingBlock(repeat, mode, self.networks[::step])

    def protocol_of(self, mode: str, repeat: int) -> Protocol:
        """Return the protocol with the seed of a repeat, and the precision of a mode that has one.

        Raises `CnnGenError` if there is no such precision.
        """
        *_, precision = split_mode(mode)
        given = {} if precision is None else {"precision": precision}
        return with_settings(self.protocol, {"seed": self.protocol.seed + repeat, **given})

    def key(self, network: str, mode: str, repeat: int) -> str:
        """Return the key of a training's run in the folder of its mode."""
        backend, *_ = split_mode(mode)
        return record_id(network, backend, self.protocol_of(mode, repeat), self.data)

    def __len__(self) -> int:
        """The number of trainings."""
        return len(self.modes) * len(self.networks) * self.repeats


def mode_folder(folder: Path, mode: str) -> Path:
    """Return the folder that holds the runs of a mode; `cnngen.load` reads it."""
    return folder / re.sub("[:@]", "-", mode)


def read_design(folder: str | Path) -> Design | None:
    """Read the design of the comparison in a folder; None if the folder has no comparison.

    Raises `StoreError` if the settings file cannot be read or is not valid.
    """
    path = Path(folder) / FILE
    try:
        design = _adapter().validate_json(read_bytes(path, MAX_FILE, root=folder))
        _refuse_links(path.parent, design)
        return design
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from None
    except (ValidationError, CnnGenError, ValueError) as error:
        first = str(error).splitlines()[:3]
        raise StoreError(f"{path} is not a valid comparison file: {' '.join(first)}") from None


def claim(folder: Path, design: Design) -> None:
    """Save the design of a comparison in its folder, or check that it fits the one saved there.

    Modes, networks and repeats may change, since existing runs stay valid; settings that the
    runs depend on may not. Raises `StoreError` with the differences in that case.
    """
    saved = read_design(folder)
    _refuse_links(folder, design)
    if saved == design:
        return
    if saved is not None:
        differences = [
            f"{name} is {getattr(saved, name)} there, {getattr(design, name)} here"
            for name in ("protocol", "data", "idle_seconds", "energy_mode", "country", "tdp")
            if getattr(saved, name) != getattr(design, name)
        ]
        if differences:
            raise StoreError(
                f"{folder} contains another comparison: {'; '.join(differences)}",
                hint="Use another folder or the same settings.",
            )
    write_file(folder, FILE, _adapter().dump_json(design, indent=2) + b"\n")


@cache
def _adapter() -> TypeAdapter[Design]:
    return TypeAdapter(Design)


def _refuse_links(folder: Path, design: Design) -> None:
    """Raise `StoreError` if a mode's folder is a link, which could lead outside the folder."""
    for mode in design.modes:
        try:
            refuse_links(mode_folder(folder, mode), folder)
        except OSError as error:
            raise StoreError(f"{error.filename} {error.strerror}", hint="Remove it.") from None
