"""What a record keeps of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

Text = Annotated[str, Field(max_length=10_000)]
"""A text of a record, which may come from a stranger."""


@dataclass(frozen=True, slots=True)
class DataSummary:
    """The data set: height, width and channels of an image, counts, and a hash of all
    images and labels."""

    name: Text
    shape: tuple[int, int, int]
    classes: int
    images: int
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
