"""What is compared, and how: the settings of a comparison, as they lie in its folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from cnngen.errors import CnnGenError, StoreError, counted, shorten
from cnngen.runs.record import record_id
from cnngen.system.files import write_file
from cnngen.system.untrusted import read_bytes, refuse_links
from cnngen.training.data.summary import DataSummary
from cnngen.training.energy import Mode as EnergyMode
from cnngen.training.protocol import Protocol

FILE = "comparison.json"
MAX_FILE = 2**24
"""Most bytes of settings that are read."""

ModeName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}(:[a-z0-9_]{1,32})?$")]
Text = Annotated[str, Field(max_length=10_000)]


@dataclass(frozen=True, slots=True)
class Compared:
    """A network that is compared: its id, and its name if it has one."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    name: Text | None


@dataclass(frozen=True, slots=True)
class Block:
    """What one process trains: networks in this order, with the seed of a repeat, in a mode."""

    repeat: int
    mode: str
    networks: tuple[Compared, ...]


@dataclass(frozen=True, kw_only=True, repr=False)
class Design:
    """The trainings of a comparison: each network in each mode, `repeats` times.

    Repeat r has the protocol's seed + r in all modes. `space` is the one that the networks
    were drawn from, None where they were chosen. `test_images` is how many the protocol tests
    on. Raises `CnnGenError` where there is nothing to compare.
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
            raise CnnGenError("a mode is named twice", hint=f"Given: {', '.join(self.modes)}.")
        if len(self.modes) < 2:
            raise CnnGenError(
                "there is nothing to compare with fewer than two modes",
                hint="Name them: --backends torch,keras:tensorflow",
            )
        if not self.networks:
            raise CnnGenError("there are no networks to compare on")
        if len({network.id for network in self.networks}) < len(self.networks):
            raise CnnGenError("a network is given twice")

    def __repr__(self) -> str:
        networks = f"{counted(len(self.networks), 'network')}, {counted(self.repeats, 'repeat')}"
        return f"<Design of {shorten(', '.join(self.modes), 50)}: {networks}>"

    def blocks(self) -> Iterator[Block]:
        """The order of the trainings: the modes forwards, then backwards, and so on (A B B A),
        so that a machine that grows slower does so for all; the networks in the same way."""
        for repeat in range(self.repeats):
            step = -1 if repeat % 2 else 1
            for mode in self.modes[::step]:
                yield Block(repeat, mode, self.networks[::step])

    def protocol_of(self, repeat: int) -> Protocol:
        """The protocol with the seed of a repeat."""
        return replace(self.protocol, seed=self.protocol.seed + repeat)

    def key(self, network: str, mode: str, repeat: int) -> str:
        """The key of a training's run, in the folder of its mode."""
        backend = mode.partition(":")[0]
        return record_id(network, backend, self.protocol_of(repeat), self.data)

    def __len__(self) -> int:
        """How many trainings there are."""
        return len(self.modes) * len(self.networks) * self.repeats


def mode_folder(folder: Path, mode: str) -> Path:
    """Where the runs of a mode are kept: a folder of runs like any other."""
    return folder / mode.replace(":", "-")


def read_design(folder: str | Path) -> Design | None:
    """The settings of the comparison in a folder; None where there is none.

    Raises `StoreError` where they cannot be read.
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
        raise StoreError(f"{path} holds no settings of a comparison: {' '.join(first)}") from None


def claim(folder: Path, design: Design) -> None:
    """Make a folder that of a comparison, or find that it is already.

    Modes, networks and repeats may change, for runs that are there stay; what the runs
    themselves depend on may not. Raises `StoreError` that names the differences.
    """
    there = read_design(folder)
    _refuse_links(folder, design)
    if there == design:
        return
    if there is not None:
        told = [
            f"{name} is {getattr(there, name)} there, {getattr(design, name)} here"
            for name in ("protocol", "data", "idle_seconds", "energy_mode", "country", "tdp")
            if getattr(there, name) != getattr(design, name)
        ]
        if told:
            raise StoreError(
                f"{folder} holds another comparison: {'; '.join(told)}",
                hint="Take another folder, or the same settings.",
            )
    write_file(folder, FILE, _adapter().dump_json(design, indent=2) + b"\n")


@cache
def _adapter() -> TypeAdapter[Design]:
    return TypeAdapter(Design)


def _refuse_links(folder: Path, design: Design) -> None:
    """A mode's folder that is a link would lead elsewhere, to read and to write."""
    for mode in design.modes:
        try:
            refuse_links(mode_folder(folder, mode), folder)
        except OSError as error:
            raise StoreError(f"{error.filename} {error.strerror}", hint="Remove it.") from None
