"""The ranges of figures: one set of rules for records, for their index and for Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from cnngen.errors import CnnGenError, StoreError

MOST = 1e15
"""No amount is larger, in whatever unit: of seconds, that is 30 million years."""
MOST_LOSS = 1e39
"""float32 ends before it."""

SHARES = ("accuracy", "share", "others_before", "others_during", "idle_others")
"""How the names of figures from 0 to 1 end."""

MAX_SEED = 2**53 - 1
"""The largest seed that is taken. JSON's readers in JavaScript and jq keep no larger integer,
nor does a column of floats, which pandas makes of integers of which one is missing."""


def range_of(name: str, *, whole: bool = False) -> tuple[float, float]:
    """The least and the largest value of a field of a record, or a column; `whole` for counts.

    Seeds of older versions are up to 2^64 - 1.
    """
    if whole:
        return 0, 2**64 - 1 if name == "seed" else 2**63 - 1
    if name.endswith(SHARES):
        return 0, 1
    if name.endswith("_loss"):
        return 0, MOST_LOSS
    return (-MOST if name.endswith("net_energy") else 0), MOST


def refuse_seeds(*seeds: int | None) -> None:
    """Raise `CnnGenError` for a seed that a new record cannot hold: old ones have larger."""
    for seed in seeds:
        if seed is not None and not 0 <= seed <= MAX_SEED:
            raise CnnGenError(
                f"the seed {seed} is not from 0 to 2^53 - 1",
                hint="Readers of JSON and tables round larger numbers.",
            )


def is_within(name: str, value: float) -> bool:
    """Return whether a figure is a possible value of a field; NaN never is."""
    low, high = range_of(name, whole=isinstance(value, int))
    return low <= value <= high


def check(record: object, place: str = "") -> None:
    """Raise `StoreError` for the first figure of a record, or of a part of one, that is out of
    its range. Figures of epochs may be NaN."""
    fault = next(_faults(record, place), None)
    if fault is not None:
        raise StoreError(fault)


def outside(name: str, value: object) -> str:
    """Describe how a figure is outside its range, for a message that begins with its name."""
    low, high = range_of(name, whole=isinstance(value, int))
    kind = "share" if high == 1 else "number"
    return f"is {value}, it must be a {kind} from {low:.15g} to {high:.15g}"


def _faults(record: object, place: str) -> Iterator[str]:
    for field in fields(record) if is_dataclass(record) else ():
        value = getattr(record, field.name)
        name = f"{place}{field.name}"
        if isinstance(value, tuple):
            for number, item in enumerate(value):
                yield from _one(f"{name}.{number}", field.name, item, optional=True)
        else:
            yield from _one(name, field.name, value, optional=place.startswith("history."))


def _one(place: str, name: str, value: object, *, optional: bool) -> Iterator[str]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        is_missing = optional and value != value and name != "seconds"
        if not is_missing and not is_within(name, value):
            yield f"{place} {outside(name, value)}"
    else:
        yield from _faults(value, f"{place}.")
