"""Loads data sets from NumPy archives."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cnngen.errors import DataError
from cnngen.system.archives import archive, read_array, read_header
from cnngen.training.data.dataset import Dataset, Images, Labels, check_size, class_names

Array = npt.NDArray[np.generic]

NAMES = ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test", "images", "labels")
MAX_FILE = 2**40


def load_npz(path: Path) -> Dataset:
    """Load a data set from an .npz archive.

    The archive has `x_train` and `y_train`, and optionally `x_val`, `y_val` (which count as
    training images), `x_test` and `y_test`; or it has `images` and `labels`. Images are uint8 of
    shape (images, height, width[, channels]), labels whole numbers. Pickled objects are refused,
    because loading them may run code. Raises `DataError` for any other archive.
    """
    try:
        with archive(path, MAX_FILE) as members:
            arrays = _read(path, members)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not a readable NumPy archive ({error})") from None
    single = "images" in arrays
    image_names: tuple[str, ...] = ("images",) if single else ("x_train", "x_val", "x_test")
    label_names: tuple[str, ...] = ("labels",) if single else ("y_train", "y_val", "y_test")
    needed = {image_names[0], label_names[0]}
    for part in zip(image_names, label_names, strict=True):
        needed |= set(part) if set(part) & arrays.keys() else set()
    if missing := sorted(needed - arrays.keys()):
        raise DataError(
            f"{path}: the array '{missing[0]}' is missing",
            hint="It must hold x_train, y_train, x_test and y_test, or images and labels.",
        )
    image_names, label_names = (
        tuple(name for name in names if name in arrays) for names in (image_names, label_names)
    )
    images = [_images(path, name, arrays[name]) for name in image_names]
    labels = [_labels(path, name, arrays[name]) for name in label_names]
    for i, (some, their) in enumerate(zip(images, labels, strict=True)):
        if len(some) != len(their):
            raise DataError(
                f"{path}: has {len(some):,} images in '{image_names[i]}' and {len(their):,} "
                f"labels in '{label_names[i]}'"
            )
    if len({part.shape[1:] for part in images}) > 1:
        raise DataError(
            f"{path}: the images of {' and '.join(map(repr, image_names))} differ in shape"
        )
    all_labels = np.concatenate(labels)
    return Dataset(
        path.stem,
        np.concatenate(images) if len(images) > 1 else images[0],
        all_labels,
        class_names(str(path), all_labels),
        len(all_labels) - len(labels[-1]) if "y_test" in label_names else None,
    )


def _read(path: Path, archive: zipfile.ZipFile) -> dict[str, Array]:
    """Read the arrays of a data set from an archive, after checking their sizes."""
    members = {name.removesuffix(".npy"): name for name in archive.namelist()}
    wanted = {name: members[name] for name in NAMES if name in members}
    total = sum(_size(path, archive, member) for member in wanted.values())
    check_size(str(path), 1, (total,))
    arrays: dict[str, Array] = {}
    for name, member in wanted.items():
        with archive.open(member) as file:
            arrays[name] = read_array(file, total)
    return arrays


def _size(path: Path, archive: zipfile.ZipFile, member: str) -> int:
    """Return the size of an array in bytes, from its header alone."""
    with archive.open(member) as file:
        header = read_header(file)
    if header.dtype.hasobject:
        raise DataError(
            f"{path}: '{member}' holds Python objects",
            hint="Store images as uint8 and labels as whole numbers; objects are not read.",
        )
    return header.size


def _images(path: Path, name: str, array: Array) -> Images:
    if array.dtype != np.uint8 or array.ndim not in (3, 4):
        raise DataError(
            f"{path}: '{name}' is {array.dtype} of shape {array.shape}",
            hint="Images must be uint8, 0 to 255, of shape (images, height, width, channels).",
        )
    if array.ndim == 4 and array.shape[1] in (1, 3) and array.shape[3] not in (1, 3, 4):
        raise DataError(
            f"{path}: '{name}' has shape {array.shape}, which looks like channels first",
            hint="Transpose it to (images, height, width, channels).",
        )
    images: Images = np.ascontiguousarray(array, np.uint8)
    return images if images.ndim == 4 else images[..., np.newaxis]


def _labels(path: Path, name: str, array: Array) -> Labels:
    # Keras keeps labels in a column.
    flat = array.reshape(-1) if array.ndim == 2 and array.shape[1] == 1 else array
    if flat.ndim != 1 or not np.issubdtype(flat.dtype, np.integer):
        raise DataError(
            f"{path}: '{name}' is {array.dtype} of shape {array.shape}",
            hint="Labels must be whole numbers, one for each image.",
        )
    return flat.astype(np.int64)
