"""Resizes images, and converts them between grey and colours, when the user asks for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from cnngen.errors import DataError
from cnngen.operations import shapes
from cnngen.training.data.dataset import Dataset, Images, check_size

if TYPE_CHECKING:
    from PIL import Image

ImageSize = tuple[int, int, int]
"""Height, width and channels of an image."""


@dataclass(frozen=True)
class Resizing:
    """The shape that all images get, and the shapes that they had.

    Heights and widths are scaled by themselves, which stretches images of other proportions, with
    a bilinear filter over all pixels that a pixel stands for. One channel is grey, three are
    colours. Raises `DataError` for any other number.
    """

    shape: ImageSize
    before: Counter[ImageSize] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        height, width, channels = self.shape
        if channels not in (1, 3) or min(height, width) < 1:
            raise DataError(
                f"images cannot be resized to {shapes.text(self.shape)}",
                hint="HEIGHTxWIDTHx1 is grey, HEIGHTxWIDTHx3 is coloured.",
            )

    def apply(self, image: Image.Image) -> Images:
        """The pixels of an 8-bit image in the new shape."""
        from PIL.Image import Resampling

        height, width, channels = self.shape
        own = 1 if image.mode == "L" else 3
        self.before[image.height, image.width, own] += 1
        if own != channels:
            image = image.convert("L" if channels == 1 else "RGB")
        if image.size != (width, height):
            image = image.resize((width, height), Resampling.BILINEAR)
        return np.frombuffer(image.tobytes(), np.uint8).reshape(self.shape)

    def __str__(self) -> str:
        """What was done, for the record."""
        changed = sum(count for shape, count in self.before.items() if shape != self.shape)
        least, most = min(self.before), max(self.before)
        sizes = shapes.text(least) + (f" to {shapes.text(most)}" if least != most else "")
        return (
            f"{changed:,} of {self.before.total():,} images of {sizes} resized to "
            f"{shapes.text(self.shape)}, bilinear, stretched"
        )


def resized(data: Dataset, resizing: Resizing) -> Dataset:
    """Resize the images of a data set that is in memory.

    Raises `DataError` for images of any other number of channels than 1 or 3, and of too many.
    """
    from PIL import Image

    if data.input_shape == resizing.shape:
        return data
    if data.input_shape[2] not in (1, 3):
        raise DataError(f"{data.name}: images of {data.input_shape[2]} channels cannot be resized")
    check_size(data.name, len(data), resizing.shape)
    mode = "L" if data.input_shape[2] == 1 else "RGB"
    images = np.empty((len(data), *resizing.shape), np.uint8)
    for at, pixels in enumerate(data.images):
        images[at] = resizing.apply(
            Image.fromarray(pixels[..., 0] if mode == "L" else pixels, mode)
        )
    return replace(data, images=images, prepared=str(resizing))
