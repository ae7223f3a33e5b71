"""Loads torchvision's data sets, which it downloads into a cache folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnngen.errors import DataError
from cnngen.training.data.dataset import Dataset, Images, class_names

VISION: Mapping[str, tuple[str, tuple[Mapping[str, object], Mapping[str, object]]]] = {
    **{
        name: (kind, ({"train": True}, {"train": False}))
        for name, kind in (
            ("cifar10", "CIFAR10"),
            ("cifar100", "CIFAR100"),
            ("fashion-mnist", "FashionMNIST"),
            ("kmnist", "KMNIST"),
            ("mnist", "MNIST"),
        )
    },
    **{
        name: (kind, ({"split": "train"}, {"split": "test"}))
        for name, kind in (("stl10", "STL10"), ("svhn", "SVHN"))
    },
}
"""By our name: torchvision's class, and its arguments for the training and the test part."""

VISION_FILES: Mapping[str, str] = {
    "cifar10": "cifar-10-batches-py",
    "cifar100": "cifar-100-python",
    "fashion-mnist": "FashionMNIST/raw",
    "kmnist": "KMNIST/raw",
    "mnist": "MNIST/raw",
    "stl10": "stl10_binary",
    "svhn": "train_32x32.mat",
}
"""What torchvision's download of each leaves in its folder."""

CHANNELS_FIRST = ("stl10", "svhn")


def load_vision(name: str, root: Path) -> Dataset:
    """Load a data set with torchvision from its files under `root`, downloaded if missing.

    Raises `DataError` if torchvision is missing or cannot load or download the files.
    """
    kind, parts = VISION[name]
    ways_out = (
        f"Give the path of a Parquet, .npz or image folder instead, or put torchvision's files "
        f"for {kind} into {root}."
    )
    try:
        from torchvision import datasets
    except ImportError as error:
        raise DataError(
            f"'{name}' is loaded by torchvision, which cannot be imported ({error})",
            hint=f"pip install 'cnngen[torchvision]'. {ways_out}",
        ) from None
    try:
        root.mkdir(parents=True, exist_ok=True)
        train, test = (
            getattr(datasets, kind)(root=str(root), download=True, **part) for part in parts
        )
    # Network and disk fail in many ways, some of which torchvision wraps.
    except Exception as error:
        raise DataError(f"torchvision cannot load '{name}': {error}", hint=ways_out) from None
    labels = np.concatenate([_labels(part) for part in (train, test)])
    names = tuple(map(str, getattr(train, "classes", ())))
    if names and tuple(map(str, getattr(test, "classes", names))) != names:
        raise DataError(f"'{name}': torchvision names other classes for its test images")
    return Dataset(
        name,
        np.concatenate([_images(name, part) for part in (train, test)]),
        labels,
        class_names(name, labels, names),
        len(train),
    )


def _images(name: str, part: Any) -> Images:
    """Return the images as (images, height, width, channels)."""
    images: Images = np.asarray(part.data)
    if name in CHANNELS_FIRST:
        return np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    return images if images.ndim == 4 else images[..., np.newaxis]


def _labels(part: Any) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.asarray(part.targets if hasattr(part, "targets") else part.labels, np.int64)
