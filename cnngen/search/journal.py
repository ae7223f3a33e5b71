"""The journal of a search: each decision before it is acted on, and what came of it.

`decisions.jsonl` is a file of lines, each a JSON object that is on the disk before the search goes
on. A last line that was torn by the end of a process is dropped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from cnngen.errors import CnnGenError, StoreError
from cnngen.language import parse
from cnngen.network import Network
from cnngen.runs.record import KEY
from cnngen.runs.trainings import MAX_TEXT
from cnngen.search.problem import Candidate, Evaluation
from cnngen.space.resolution import resolve
from cnngen.system.untrusted import opened
from cnngen.training.protocol import Status

FILE = "decisions.jsonl"
MAX_FILE = 2**31
"""Most bytes of a journal that are read."""

Number = Annotated[int, Field(ge=0, le=10**9)]
Figure = Annotated[float, Field(allow_inf_nan=False)]
Short = Annotated[str, Field(max_length=200)]
STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class Asked:
    """A decision: what was asked for, and the key of the run that it leads to."""

    number: int
    key: str
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a decision. `energy` is in kWh, None if unknown; `train_seconds` is the time of
    the training, `elapsed` that of the search so far, in seconds."""

    number: int
    evaluation: Evaluation
    energy: float | None
    train_seconds: float
    elapsed: float


@dataclass(frozen=True)
class _AskedLine:
    __pydantic_config__ = STRICT
    event: Literal["asked"]
    number: Number
    key: Annotated[str, Field(pattern=f"^{KEY}$")]
    text: Annotated[str, Field(max_length=MAX_TEXT)]
    operator: Short
    parents: Annotated[tuple[Short, ...], Field(max_length=100)] = ()
    seed: Annotated[int, Field(ge=0, lt=2**64)] | None = None
    reopened: tuple[Short, ...] = ()
    predicted: Annotated[dict[Short, Figure], Field(max_length=100)] | None = None
    epochs: Annotated[int, Field(ge=1)] | None = None


@dataclass(frozen=True)
class _ToldLine:
    __pydantic_config__ = STRICT
    event: Literal["told"]
    number: Number
    status: Status
    figures: Annotated[dict[Short, Figure], Field(max_length=100)]
    epochs: Annotated[int, Field(ge=0)]
    curve: tuple[Figure | None, ...]
    energy: Figure | None
    train_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    elapsed: Annotated[float, Field(ge=0, allow_inf_nan=False)]


_LINE: TypeAdapter[_AskedLine | _ToldLine] = TypeAdapter(
    Annotated[_AskedLine | _ToldLine, Field(discriminator="event")]
)


class Journal:
    """The journal in a folder, open for appending after it was read."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._root = folder

    def read(self) -> list[Asked | Told]:
        """All events in their order; a torn last line is cut off from the file.

        Raises `StoreError` for a line that is not an event, or not one that can follow.
        """
        try:
            with opened(self.path, MAX_FILE, root=self._root) as file:
                content = file.read()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"{self.path} {error.strerror}") from None
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.path, whole)
        return list(_events(self.path, content[:whole]))

    def append(self, event: Asked | Told) -> None:
        """Write an event, and return when it is on the disk. Raises `StoreError` if that fails."""
        line = json.dumps(_as_line(event), ensure_ascii=False, allow_nan=False) + "\n"
        try:
            with self.path.open("ab") as file:
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written: {error.strerror}") from None


def read_journal(folder: str | Path) -> list[Asked | Told]:
    """The events of a search's folder, which is left as it is, so that it may be at work.

    Raises `StoreError` as `Journal.read` does.
    """
    path = Path(folder) / FILE
    try:
        with opened(path, MAX_FILE, root=folder) as file:
            content = file.read()
    except OSError as error:
        raise StoreError(f"{path} {error.strerror or 'cannot be read'}") from None
    return list(_events(path, content[: content.rfind(b"\n") + 1]))


def _events(path: Path, content: bytes) -> Iterator[Asked | Told]:
    asked: set[int] = set()
    told: set[int] = set()
    for number, line in enumerate(content.splitlines(), 1):
        place = f"{path}, line {number}"
        try:
            event = _LINE.validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"][1:]))
            raise StoreError(f"{place}: {where + ': ' if where else ''}{first['msg']}") from None
        if isinstance(event, _AskedLine):
            if event.number != len(asked):
                raise StoreError(f"{place}: decision {event.number} follows {len(asked) - 1}")
            asked.add(event.number)
            yield Asked(event.number, event.key, _candidate(event, place))
        else:
            if event.number not in asked or event.number in told:
                raise StoreError(f"{place}: nothing can be told of decision {event.number} here")
            told.add(event.number)
            curve = tuple(nan if value is None else value for value in event.curve)
            evaluation = Evaluation(event.status, event.figures, event.epochs, curve)
            yield Told(event.number, evaluation, event.energy, event.train_seconds, event.elapsed)


def _candidate(line: _AskedLine, place: str) -> Candidate:
    try:
        network: Network = resolve(parse(line.text))
    except CnnGenError as error:
        raise StoreError(f"{place}: not a description: {error.message}") from None
    if not line.key.startswith(network.id):
        raise StoreError(f"{place}: the description is not that of {line.key}")
    return Candidate(
        network,
        line.operator,
        line.parents,
        line.seed,
        line.predicted or {},
        line.epochs,
        line.reopened,
    )


def _as_line(event: Asked | Told) -> dict[str, object]:
    if isinstance(event, Asked):
        one = event.candidate
        return {
            "event": "asked",
            "number": event.number,
            "key": event.key,
            "text": one.network.to_text(),
            "operator": one.operator,
            "parents": list(one.parents),
            "seed": one.seed,
            "reopened": list(one.reopened),
            "predicted": dict(one.predicted),
            "epochs": one.epochs,
        }
    known = event.evaluation
    return {
        "event": "told",
        "number": event.number,
        "status": known.status,
        "figures": dict(known.figures),
        "epochs": known.epochs,
        "curve": [value if isfinite(value) else None for value in known.curve],
        "energy": event.energy,
        "train_seconds": event.train_seconds,
        "elapsed": event.elapsed,
    }
