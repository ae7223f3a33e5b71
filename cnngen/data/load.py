"""Finding a data set by its name or path."""

from __future__ import annotations

from pathlib import Path

from cnngen.data.dataset import Dataset
from cnngen.data.digits import load_digits
from cnngen.errors import DataError


def known_datasets() -> tuple[str, ...]:
    """Names of the data sets that need no path."""
    return ("digits",)


def load_data(name: str | Path, *, root: str | Path | None = None) -> Dataset:
    """A data set by its name, or from a file or folder."""
    if str(name) == "digits":
        return load_digits()
    raise DataError(f"there is no data set '{name}'", hint="Known: digits.")
