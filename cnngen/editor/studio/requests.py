"""The queries of the page, fully validated before they are processed."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from cnngen.runs.record import KEY

Size = Annotated[int, Field(ge=1, le=1_000_000)]
Count = Annotated[int, Field(ge=0, le=10**15)]
Bound = tuple[Count | None, Count | None]


class Query(BaseModel):
    """Base class of queries. Unknown fields and other types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkQuery(Query):
    """A query about a network, with the values for what a description leaves open."""

    space: Annotated[str, Field(max_length=1000)] = "paper"
    seed: Annotated[int, Field(ge=0, lt=2**53)] = 0
    input_shape: tuple[Size, Size, Size] | None = None
    classes: Size | None = None


class Check(NetworkQuery):
    """Check the description in the editor."""

    text: str


class Complete(Check):
    """Complete the text at an offset, in characters."""

    offset: Annotated[int, Field(ge=0)]


class Generate(Check):
    """Generate the source code of a description for a backend."""

    backend: Annotated[str, Field(max_length=64)]
    script: bool = False


class Sample(NetworkQuery):
    """Sample a network from a space, within inclusive bounds."""

    layers: Bound = (None, None)
    parameters: Bound = (None, None)
    flops: Bound = (None, None)


class Train(Check):
    """Train the network of a description."""

    backend: Annotated[str, Field(max_length=64)]
    epochs: Annotated[int, Field(ge=1, le=1000)] = 10


class Explore(Query):
    """List a folder of runs, by its name in the studio's folder."""

    campaign: Annotated[str, Field(max_length=255)]


class OpenRun(Explore):
    """Open one run of a folder."""

    key: Annotated[str, Field(pattern=f"^{KEY}$")]


class Save(Query):
    """Save the text to the studio's file, whose content had `digest` when it was read."""

    text: str
    digest: Annotated[str, Field(max_length=64)] | None
