"""Loads a data set by its name or path."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

from cnngen.errors import DataError
from cnngen.training.data.dataset import Dataset
from cnngen.training.data.digits import load_digits
from cnngen.training.data.folder import load_folder
from cnngen.training.data.npz import load_npz
from cnngen.training.data.parquet import load_parquet
from cnngen.training.data.resize import ImageSize, Resizing, resized
from cnngen.training.data.vision import VISION, VISION_FILES, load_vision


def known_datasets() -> tuple[str, ...]:
    """List the names of the data sets that need no path."""
    return ("digits", *VISION)


def data_root(root: str | Path | None = None) -> Path:
    """Return the folder of named data sets: `root`, else CNNGEN_DATA, else `~/.cache/cnngen`."""
    return Path(root or os.environ.get("CNNGEN_DATA") or Path.home() / ".cache" / "cnngen")


def dataset_files(name: str, *, root: str | Path | None = None) -> Path | None:
    """Return where the files of a named data set are; None where they would be downloaded."""
    folder = data_root(root)
    kept = (folder / name, folder / "torchvision" / VISION_FILES[name])
    return next((path for path in kept if path.exists()), None)


def load_data(
    name: str | Path, *, root: str | Path | None = None, resize: ImageSize | None = None
) -> Dataset:
    """Load a data set by its name, or from a Parquet file, an .npz file or a folder.

    `digits` comes with scikit-learn; capitals in a name do not matter. Other named data sets are read from `root/<name>`, or else
    downloaded into `root` by torchvision. `root` defaults to the environment variable
    CNNGEN_DATA, or else `~/.cache/cnngen`. `resize` (height, width, channels) gives all images that
    shape, grey with one channel and coloured with three; records say what it did. Raises `DataError`
    for an unknown name, and for data that cannot be read or used.
    """
    resizing = None if resize is None else Resizing(resize)
    data = _load(name, root, resizing)
    return data if resizing is None or data.prepared else resized(data, resizing)


def _load(name: str | Path, root: str | Path | None, resizing: Resizing | None) -> Dataset:
    if isinstance(name, str) and name.lower() in known_datasets():
        name = name.lower()
    if str(name) == "digits":
        return load_digits()
    if str(name) in VISION:
        root = data_root(root)
        here = root / str(name)
        return (
            _load_path(here, resizing)
            if here.exists()
            else load_vision(str(name), root / "torchvision")
        )
    path = Path(name)
    if not path.exists():
        near = get_close_matches(str(name), known_datasets(), 1)
        meant = f"Did you mean '{near[0]}'? " if near else ""
        raise DataError(
            f"unknown data set '{name}'",
            hint=f"{meant}Known: {', '.join(known_datasets())}; or the path of a Parquet file, "
            "an .npz file or a folder.",
        )
    return _load_path(path, resizing)


def _load_path(path: Path, resizing: Resizing | None) -> Dataset:
    """Load files; images that are encoded are resized as they are decoded."""
    if path.is_dir():
        parquet = any(path.glob("*.parquet")) or any(path.glob("*/*.parquet"))
        return load_parquet(path, resizing) if parquet else load_folder(path, resizing)
    match path.suffix:
        case ".parquet":
            return load_parquet(path, resizing)
        case ".npz":
            return load_npz(path)
    raise DataError(
        f"{path}: not a file that holds a data set",
        hint="Data sets are .parquet or .npz files, or folders of Parquet files or images.",
    )
