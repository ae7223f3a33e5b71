"""What the page may ask, checked in full before anything is done."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from cnngen.runs.record import KEY

Size = Annotated[int, Field(ge=1, le=1_000_000)]
Count = Annotated[int, Field(ge=0, le=10**15)]
Bound = tuple[Count | None, Count | None]


class Query(BaseModel):
    """One question; a field that is not known, or of another type, is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkQuery(Query):
    """What stands in where a description leaves something open."""

    space: Annotated[str, Field(max_length=1000)] = "paper"
    seed: Annotated[int, Field(ge=0, lt=2**53)] = 0
    input_shape: tuple[Size, Size, Size] | None = None
    classes: Size | None = None


class Check(NetworkQuery):
    """A description, as it stands in the editor."""

    text: str


class Complete(Check):
    """What may come next at a place of a text, counted in characters."""

    offset: Annotated[int, Field(ge=0)]


class Generate(Check):
    """The source of a description for a backend."""

    backend: Annotated[str, Field(max_length=64)]
    script: bool = False


class Sample(NetworkQuery):
    """A network from a space, within bounds (least and most, both included)."""

    layers: Bound = (None, None)
    parameters: Bound = (None, None)
    flops: Bound = (None, None)


class Train(Check):
    """A training of a description."""

    backend: Annotated[str, Field(max_length=64)]
    epochs: Annotated[int, Field(ge=1, le=1000)] = 10


class Explore(Query):
    """A folder of runs, by its name in the studio's folder."""

    campaign: Annotated[str, Field(max_length=255)]


class OpenRun(Explore):
    """One run of a folder."""

    key: Annotated[str, Field(pattern=f"^{KEY}$")]


class Save(Query):
    """The text for the studio's file, which had the content `digest` when it was read."""

    text: str
    digest: Annotated[str, Field(max_length=64)] | None
