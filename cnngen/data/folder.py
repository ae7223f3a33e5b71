"""Data sets as folders of image files, one folder for each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnngen.data.dataset import Dataset, check_size
from cnngen.data.images import Encoded, decode
from cnngen.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")

BATCH = 256


def load_folder(path: Path) -> Dataset:
    """A folder that has a folder for each class, or that has those in `train` and, if it has
    a test part, in `test`. Classes are numbered by their names in alphabetical order.

    Raises `DataError` for files that are no images, and for test images of a class that has
    no training images.
    """
    name = path.resolve().name
    has_parts = (path / "train").is_dir()
    parts = [path / "train", path / "test"] if has_parts else [path]
    classes = [folder.name for folder in _inside(parts[0]) if folder.is_dir()]
    if not classes:
        raise DataError(
            f"{path}: holds no data set",
            hint="A folder must hold train*.parquet, or a folder of images for each class.",
        )
    files: list[Path] = []
    labels: list[int] = []
    starts: list[int] = []
    for part in parts:
        starts.append(len(files))
        for folder in _inside(part) if part.is_dir() else ():
            if not folder.is_dir():
                raise DataError(f"{folder}: is a file beside the classes' folders")
            if folder.name not in classes:
                raise DataError(f"{folder}: is a class that has no training images")
            images = _inside(folder)
            files += images
            labels += [classes.index(folder.name)] * len(images)
    check_size(name, len(files), (1, 1, 1))
    for file in files:
        if file.suffix.lower() not in SUFFIXES or not file.is_file():
            raise DataError(
                f"{file}: is no image file", hint=f"Those end in {', '.join(SUFFIXES)}."
            )
    encoded: list[Encoded] = [(str(file), file) for file in files]
    batches = (encoded[i : i + BATCH] for i in range(0, len(encoded), BATCH))
    return Dataset(
        name,
        decode(name, len(files), batches),
        np.array(labels, np.int64),
        tuple(classes),
        starts[1] if len(parts) > 1 and starts[1] < len(files) else None,
    )


def _inside(folder: Path) -> list[Path]:
    """What lies in a folder, in alphabetical order; hidden files are the system's own."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from None
