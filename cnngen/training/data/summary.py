"""`DataSummary`: the description of a data set in a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

Text = Annotated[str, Field(max_length=10_000)]
"""A text in a record, limited because records may come from untrusted sources."""


@dataclass(frozen=True, slots=True)
class DataSummary:
    """A data set: height, width and channels of an image, the numbers of images and classes, and
    a hash of all images and labels. `prepared` says what was done to the images that were found;
    None where they were taken as they are.
    """

    name: Text
    shape: tuple[int, int, int]
    classes: int
    images: int
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    prepared: Text | None = None
