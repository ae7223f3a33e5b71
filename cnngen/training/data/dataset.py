"""`Dataset`, a data set in memory, and its split by a protocol."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil, prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cnngen.errors import DataError, counted, shorten
from cnngen.operations import shapes
from cnngen.system.files import replacing

if TYPE_CHECKING:
    from cnngen.training.data.summary import DataSummary
    from cnngen.training.protocol import Protocol

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

PARTS = ("train", "val", "test")

MAX_IMAGES = 2**26
MAX_BYTES = 8 * 2**30
"""Maximum size of the images of a data set in memory, in bytes."""


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Images with labels in memory, and optionally the data set's own test part.

    `images` is uint8 of shape (images, height, width, channels). `labels` is int64 of shape
    (images,) and indexes `class_names`. The images from position `test_start` on are the data
    set's own test images, if it has any. `prepared` says how images were resized. Raises `DataError` if these do not match.
    """

    name: str
    images: Images
    labels: Labels
    class_names: tuple[str, ...]
    test_start: int | None = None
    prepared: str | None = None

    def __post_init__(self) -> None:
        images, labels, count = self.images, self.labels, len(self.class_names)
        if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
            raise DataError(
                f"{self.name}: the images are {_kind(images)}",
                hint="They must be uint8 of shape (images, height, width, channels), none empty.",
            )
        if labels.dtype != np.int64 or labels.shape != images.shape[:1]:
            raise DataError(
                f"{self.name}: the labels are {_kind(labels)} for {len(images):,} images",
                hint="They must be one int64 for each image.",
            )
        odd = np.flatnonzero((labels < 0) | (labels >= count))
        if len(odd):
            raise DataError(
                f"{self.name}: image {odd[0]:,} has label {labels[odd[0]]}, "
                f"but there are {count} classes",
                hint=f"Labels must be from 0 to {count - 1}.",
            )
        if count < 2:
            raise DataError(f"{self.name}: training needs at least 2 classes, not {count}")
        if self.test_start is not None and not 0 < self.test_start < len(images):
            raise DataError(f"{self.name}: the training or the test part has no images")

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        _, height, width, channels = self.images.shape
        return height, width, channels

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits, identical for equal images, labels and test parts."""
        digest = hashlib.sha256(f"{self.images.shape} {self.test_start}".encode())
        digest.update(np.ascontiguousarray(self.labels.astype("<i8")).data)
        digest.update(np.ascontiguousarray(self.images).data)
        return digest.hexdigest()[:16]

    @property
    def summary(self) -> DataSummary:
        """The summary of the data set for a record."""
        from cnngen.training.data.summary import DataSummary

        return DataSummary(
            self.name,
            self.input_shape,
            self.classes,
            len(self.images),
            self.digest,
            self.prepared,
        )

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        images = f"{counted(len(self), 'image')} of {shapes.text(self.input_shape)}"
        return f"<Dataset {shorten(self.name)}: {images}, {self.classes} classes>"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Splits:
    """The positions of the images of each part: disjoint, and together all images."""

    train: Labels
    validation: Labels
    test: Labels

    def __repr__(self) -> str:
        parts = (f"{len(part):,}" for part in (self.train, self.validation, self.test))
        return f"<Splits of {' + '.join(parts)} images>"


def splits(dataset: Dataset, protocol: Protocol) -> Splits:
    """Split a data set into the parts that a protocol trains, validates and tests on.

    A share `s` of `n` images is ceil(s * n) of them, drawn with the protocol's seed, the same on
    every machine. Raises `DataError` if the protocol requires test images of the data set's own
    and there are none, or if a part would be empty.
    """
    order = _shuffled(len(dataset), protocol.seed)
    if protocol.split == "official":
        if dataset.test_start is None:
            raise DataError(
                f"{dataset.name} has no test images of its own, which protocol "
                f"'{protocol.name}' requires",
                hint="Use a protocol that pools all images, such as 'paper' or 'quick'.",
            )
        official = order >= dataset.test_start
        test, rest = order[official], order[~official]
    else:
        test, rest = _share(order, protocol.test_share)
    validation, train = _share(rest, protocol.validation_share)
    if not len(train) or not len(test) or (protocol.validation_share and not len(validation)):
        raise DataError(
            f"{dataset.name} has too few images for protocol '{protocol.name}': {len(train)} to "
            f"train, {len(validation)} to validate, {len(test)} to test"
        )
    return Splits(train, validation, test)


def save_npz(dataset: Dataset, path: str | Path, protocol: Protocol) -> None:
    """Write a data set as .npz for standalone training scripts, split by a protocol.

    The arrays are `x_train`, `y_train`, `x_test` and `y_test`. The validation images are the
    last of `x_train`, where `validation_split` of Keras expects them. The file is written
    atomically. Raises `DataError` if it cannot be written.
    """
    path = Path(path)
    parts = splits(dataset, protocol)
    train = np.concatenate([parts.train, parts.validation])
    try:
        with replacing(path) as file:
            np.savez(
                file,
                x_train=dataset.images[train],
                y_train=dataset.labels[train],
                x_test=dataset.images[parts.test],
                y_test=dataset.labels[parts.test],
            )
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}") from None


def part_of(name: str) -> str | None:
    """Return the part that a file or folder belongs to by its name, None for any other name.

    Names start with `train`, `val` or `test`, in any case. A validation part counts as training
    images, because a protocol draws its own.
    """
    return next((part for part in PARTS if name.lower().startswith(part)), None)


def check_size(name: str, images: int, shape: tuple[int, ...]) -> None:
    """Raise `DataError` if images of this number and shape would take too much memory."""
    size = images * prod(shape)
    if images > MAX_IMAGES:
        raise DataError(f"{name}: {images:,} images are more than the maximum of {MAX_IMAGES:,}")
    if size > MAX_BYTES:
        raise DataError(
            f"{name}: {images:,} images of {'x'.join(map(str, shape))} would take "
            f"{size / 2**30:,.1f} GiB of memory",
            hint=f"A data set may take at most {MAX_BYTES / 2**30:g} GiB.",
        )


def class_names(name: str, labels: Labels, given: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the given names of the classes, or else their numbers.

    Raises `DataError` if no names are given and the labels do not run from 0 without a gap.
    """
    if given:
        return given
    found = np.unique(labels)
    if not len(found):
        raise DataError(f"{name}: there are no images")
    odd = np.flatnonzero(found != np.arange(len(found)))
    if len(odd):
        raise DataError(
            f"{name}: the labels run from {found[0]} to {found[-1]}, but no image has "
            f"label {odd[0]}",
            hint="Labels must count the classes from 0 without a gap.",
        )
    return tuple(map(str, found))


def _share(order: Labels, share: float) -> tuple[Labels, Labels]:
    """Split off a share from the end, rounded up. Returns the rest and the share."""
    # Use the decimal as written: 0.2 as a float is a little more than a fifth.
    count = ceil(Fraction(str(share)) * len(order))
    return order[len(order) - count :], order[: len(order) - count]


def _shuffled(count: int, seed: int) -> Labels:
    # NumPy guarantees PCG64's raw stream across versions, but not its permutations.
    keys = np.random.PCG64(seed).random_raw(count)
    return np.argsort(keys, kind="stable").astype(np.int64)


def _kind(array: npt.NDArray[np.generic]) -> str:
    return f"{array.dtype} of shape {array.shape}"
