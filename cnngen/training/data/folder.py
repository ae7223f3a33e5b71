"""Loads data sets from folders of image files, one folder per class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnngen.errors import DataError
from cnngen.training.data.dataset import PARTS, Dataset, check_size, part_of
from cnngen.training.data.images import EncodedImage, decode_images
from cnngen.training.data.resize import Resizing

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")

LEFT_BEHIND = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx")
"""Files that Windows and macOS create among images, in lower case."""

BATCH = 256


def load_folder(path: Path, resizing: Resizing | None = None) -> Dataset:
    """Load a data set from a folder with one folder per class.

    The folders of the classes may also be in `train` and, optionally, `val` (which counts as
    training images) and `test`. Files that systems leave behind, such as `Thumbs.db`, are passed
    over. Classes are numbered in the alphabetical order of their names.

    Raises `DataError` for files that are not images, and for test images of a class without
    training images.
    """
    name = path.resolve().name
    parts = _parts(path)
    classes = [folder.name for folder in _inside(parts[0]) if folder.is_dir()]
    if not classes:
        raise DataError(
            f"{path}: not a data set",
            hint="A folder must hold train*.parquet, or a folder of images for each class.",
        )
    files: list[Path] = []
    labels: list[int] = []
    start = None
    for part in parts:
        if part != path and part_of(part.name) == "test" and start is None:
            start = len(files)
        for folder in _inside(part):
            if not folder.is_dir():
                raise DataError(f"{folder}: is a file beside the classes' folders")
            if folder.name not in classes:
                raise DataError(f"{folder}: this class has no training images")
            images = _inside(folder)
            files += images
            labels += [classes.index(folder.name)] * len(images)
    check_size(name, len(files), (1, 1, 1))
    for file in files:
        if file.suffix.lower() not in SUFFIXES or not file.is_file():
            raise DataError(
                f"{file}: not an image file", hint=f"Image files end in {', '.join(SUFFIXES)}."
            )
    encoded: list[EncodedImage] = [(str(file), file) for file in files]
    batches = (encoded[i : i + BATCH] for i in range(0, len(encoded), BATCH))
    return Dataset(
        name,
        decode_images(name, len(files), batches, resizing),
        np.array(labels, np.int64),
        tuple(classes),
        start if start != len(files) else None,
        str(resizing) if resizing else None,
    )


def _parts(path: Path) -> list[Path]:
    """Return the folders of the parts, in the order of `PARTS`, or else the folder itself."""
    by_part: dict[str, list[Path]] = {part: [] for part in PARTS}
    for inner in _inside(path):
        part = part_of(inner.name)
        # A class may be called `train` or `valley`; unlike a part, it contains no folders.
        if part is not None and inner.is_dir() and any(map(Path.is_dir, _inside(inner))):
            by_part[part].append(inner)
    if not by_part["train"]:
        return [path]
    parts = [inner for part in PARTS for inner in by_part[part]]
    for inner in _inside(path):
        if inner.is_dir() and inner not in parts and any(_inside(inner)):
            raise DataError(
                f"{inner}: not part of the data set",
                hint="Beside a folder `train` there may be `val` and `test`.",
            )
    return parts


def _inside(folder: Path) -> list[Path]:
    """List a folder in alphabetical order, without hidden files and others that systems create."""
    try:
        return sorted(
            path
            for path in folder.iterdir()
            if not path.name.startswith(".") and path.name.lower() not in LEFT_BEHIND
        )
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from None
