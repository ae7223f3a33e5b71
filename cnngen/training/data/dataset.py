"""A data set in memory, and how a protocol splits it."""

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
"""Most bytes that the images of a data set may take in memory."""


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Images, labels, and which of them the data set itself sets aside for testing.

    `images` are (images, height, width, channels); `labels` count from 0 and index
    `class_names`. The data set's own test images, if it has any, are those from position
    `test_start` on. Raises `DataError` where these do not fit each other.
    """

    name: str
    images: Images
    labels: Labels
    class_names: tuple[str, ...]
    test_start: int | None = None

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
            raise DataError(f"{self.name}: there is nothing to tell apart in {count} classes")
        if self.test_start is not None and not 0 < self.test_start < len(images):
            raise DataError(f"{self.name}: the training or the test part has no images")

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        _, height, width, channels = self.images.shape
        return height, width, channels

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits, the same for equal images and labels in equal parts."""
        digest = hashlib.sha256(f"{self.images.shape} {self.test_start}".encode())
        digest.update(np.ascontiguousarray(self.labels.astype("<i8")).data)
        digest.update(np.ascontiguousarray(self.images).data)
        return digest.hexdigest()[:16]

    @property
    def summary(self) -> DataSummary:
        """What a record keeps of a data set."""
        from cnngen.training.data.summary import DataSummary

        return DataSummary(self.name, self.input_shape, self.classes, len(self.images), self.digest)

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        images = f"{counted(len(self), 'image')} of {shapes.text(self.input_shape)}"
        return f"<Dataset {shorten(self.name)}: {images}, {self.classes} classes>"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Splits:
    """Positions of images in a data set. Disjoint, and together all of them."""

    train: Labels
    validation: Labels
    test: Labels

    def __repr__(self) -> str:
        parts = (f"{len(part):,}" for part in (self.train, self.validation, self.test))
        return f"<Splits of {' + '.join(parts)} images>"


def splits(dataset: Dataset, protocol: Protocol) -> Splits:
    """The parts of a data set that a protocol trains, validates and tests on.

    Of `n` images, a share `s` is ceil(s * n), drawn with the protocol's seed, the same on
    every machine. Raises `DataError` where the protocol wants test images that the data set
    does not set aside, or where a part would be empty.
    """
    order = _shuffled(len(dataset), protocol.seed)
    if protocol.split == "official":
        if dataset.test_start is None:
            raise DataError(
                f"{dataset.name} sets no test images aside, which protocol "
                f"'{protocol.name}' asks for",
                hint="Take a protocol that pools all images, such as 'paper' or 'quick'.",
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
    """Write a data set for scripts that train by themselves, split as a protocol says.

    The arrays are `x_train`, `y_train`, `x_test` and `y_test`; the images for validation are
    the last of `x_train`, where `validation_split` of Keras takes them. The file appears
    whole or not at all. Raises `DataError` where it cannot be written.
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
    """The part of a data set that a file or folder belongs to by its name: `train`, `val` or
    `test`, in upper or lower case, with anything behind it; else None.

    A validation part counts as training images, for a protocol draws its own.
    """
    return next((part for part in PARTS if name.lower().startswith(part)), None)


def check_size(name: str, images: int, shape: tuple[int, ...]) -> None:
    """Raise `DataError` for more images, or larger ones, than memory should hold."""
    size = images * prod(shape)
    if images > MAX_IMAGES:
        raise DataError(f"{name}: {images:,} images are more than {MAX_IMAGES:,}, the most to load")
    if size > MAX_BYTES:
        raise DataError(
            f"{name}: {images:,} images of {'x'.join(map(str, shape))} would take "
            f"{size / 2**30:,.1f} GiB of memory",
            hint=f"A data set may take {MAX_BYTES / 2**30:g} GiB.",
        )


def class_names(name: str, labels: Labels, given: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The names of the classes: those given, else their numbers.

    Raises `DataError` where none are given and the labels do not run from 0 without a gap.
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
    """A share of an order from its end, rounded up, and the rest."""
    # The decimal that was written: 0.2 as a float is a little more than a fifth.
    count = ceil(Fraction(str(share)) * len(order))
    return order[len(order) - count :], order[: len(order) - count]


def _shuffled(count: int, seed: int) -> Labels:
    # NumPy promises the raw numbers of PCG64 for all versions, but not its permutations.
    keys = np.random.PCG64(seed).random_raw(count)
    return np.argsort(keys, kind="stable").astype(np.int64)


def _kind(array: npt.NDArray[np.generic]) -> str:
    return f"{array.dtype} of shape {array.shape}"
