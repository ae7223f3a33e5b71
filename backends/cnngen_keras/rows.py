"""The augmentation of images."""

from __future__ import annotations

import numpy as np

from cnngen.training.data.dataset import Images, Labels


def flip_crop(images: Images, chosen: Labels, random: np.random.Generator) -> Images:
    """The chosen images, each flipped left to right or not and moved by at most an eighth of its
    size along each axis; what comes in at the border is its mirror image."""
    count, height, width, channels = len(chosen), *images.shape[1:]
    columns = _moved(width, count, random)
    flipped = random.random((count, 1)) < 0.5
    columns = np.where(flipped, width - 1 - columns, columns)
    rows = chosen[:, None] * height + _moved(height, count, random)
    positions = rows[:, :, None] * width + columns[:, None, :]
    cropped: Images = images.reshape(-1, channels).take(positions.ravel(), axis=0)
    return cropped.reshape(count, height, width, channels)


def _moved(size: int, count: int, random: np.random.Generator) -> Labels:
    """(count, size) positions along an axis, each row moved and mirrored at both ends."""
    most = size // 8
    positions: Labels = np.abs(np.arange(size) + random.integers(-most, most + 1, (count, 1)))
    positions = np.abs(size - 1 - positions)
    return size - 1 - positions
