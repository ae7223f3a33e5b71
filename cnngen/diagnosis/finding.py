"""One line of a diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["good", "limited", "missing"]
"""`good` works as it should; `limited` limits the trust in a figure or what can be run;
`missing` is not there, and may not be needed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about one thing, in words, with the remedy where something lacks.

    `figures` has the numbers in `text`, with the unit in their names.
    """

    topic: str
    text: str
    level: Level = "good"
    remedy: str | None = None
    figures: Mapping[str, float | str | None] = field(default_factory=dict)
