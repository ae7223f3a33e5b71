"""Decodes image files into one array."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np

from cnngen.errors import DataError
from cnngen.training.data.dataset import Images, check_size
from cnngen.training.data.resize import Resizing

EncodedImage = tuple[str, bytes | Path]
"""The location of an image for messages, and its bytes or its file."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
"""The formats that Pillow may use. Some of its other readers start programs."""

MODES = {
    **dict.fromkeys(("1", "L", "LA", "La"), "L"),
    **dict.fromkeys(("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"), "RGB"),
}
"""Pillow's modes with 8 bits a channel, and the mode they are converted to, without alpha."""

DEEP = re.compile(r";(16|32|64)[BLNS]")
"""Raw modes in which Pillow would silently truncate each channel to its highest 8 bits."""

ORIENTATION = 0x0112
"""EXIF's orientation tag."""

MAX_FILE = 2**26
MAX_PIXELS = 2**26


def decode_images(
    name: str,
    count: int,
    batches: Iterable[Sequence[EncodedImage]],
    resizing: Resizing | None = None,
) -> Images:
    """Decode all images of a data set, in threads, to (count, height, width, channels).

    Grey images have 1 channel, all others 3, unless they are resized. Raises `DataError` for the first image that is
    broken, too large, or different in shape from the first.
    """
    images: Images | None = None
    done, workers = 0, min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as threads:
        pending: deque[Future[None]] = deque()
        for batch in batches:
            if images is None:
                shape = resizing.shape if resizing else _decode(*batch[0]).shape
                check_size(name, count, shape)
                images = np.empty((count, *shape), np.uint8)
            part = images[done : done + len(batch)]
            done += len(batch)
            if done > count:
                break
            pending.append(threads.submit(_fill, part, batch, resizing))
            if len(pending) > 2 * workers:  # keeps no more encoded images in memory than needed
                pending.popleft().result()
        for last in pending:
            last.result()
    if images is None:
        raise DataError(f"{name}: there are no images")
    if done != count:
        raise DataError(f"{name}: it declares {count:,} images and contains a different number")
    return images


def _fill(images: Images, batch: Sequence[EncodedImage], resizing: Resizing | None) -> None:
    height, width, channels = images.shape[1:]
    expected = None if resizing else (height, width, channels)
    for i, (location, encoded) in enumerate(batch):
        images[i] = _decode(location, encoded, expected, resizing)


def _decode(
    location: str,
    encoded: bytes | Path,
    expected: tuple[int, int, int] | None = None,
    resizing: Resizing | None = None,
) -> Images:
    """Decode one image to (height, width, channels), and resize it.

    An image that is too large or of an unexpected shape is refused before decoding.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        data = encoded if isinstance(encoded, bytes) else _read(encoded)
        if len(data) > MAX_FILE:
            raise DataError(f"{location}: holds more than {MAX_FILE >> 20} MiB")
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            mode = MODES.get(image.mode)
            if mode is None:
                raise DataError(
                    f"{location}: has pixels of mode {image.mode}",
                    hint="Images must have 8 bits a channel, grey or coloured.",
                )
            if image.tile and DEEP.search(str(image.tile[0].args)):
                raise DataError(
                    f"{location}: has more than 8 bits a channel",
                    hint="Scale its values to 8 bits yourself: Pillow would cut them off.",
                )
            shape = (image.height, image.width, 1 if mode == "L" else 3)
            # Images of a rotated camera are turned below, once they are decoded.
            turned = (shape[1], shape[0], shape[2])
            if expected is not None and expected not in (shape, turned):
                raise _odd(location, shape, expected)
            if shape[0] * shape[1] > MAX_PIXELS:
                raise DataError(
                    f"{location}: an image of {_text(shape)} is far too large to train on"
                )
            image.load()  # which rotates TIFF by itself
            upright = ImageOps.exif_transpose(image) if ORIENTATION in image.getexif() else image
            shape = (upright.height, upright.width, shape[2])
            if expected is not None and shape != expected:
                raise _odd(location, shape, expected)
            pixels = upright if upright.mode == mode else upright.convert(mode)
            if resizing is not None:
                return resizing.apply(pixels)
            return np.frombuffer(pixels.tobytes(), np.uint8).reshape(shape)
    except DataError:
        raise
    except UnidentifiedImageError:
        known = ", ".join(FORMATS)
        raise DataError(f"{location}: not an image", hint=f"Formats: {known}.") from None
    except Exception as error:  # Pillow's readers may raise anything for a broken file
        raise DataError(f"{location}: not a readable image ({error})") from None


def _odd(location: str, shape: tuple[int, int, int], expected: tuple[int, int, int]) -> DataError:
    return DataError(
        f"{location}: this image is {_text(shape)}, those before are {_text(expected)}",
        hint="All images of a data set must have one size and one number of channels. "
        f"--resize {_text(expected)} makes them so.",
    )


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_FILE + 1)


def _text(shape: tuple[int, int, int]) -> str:
    return "x".join(map(str, shape))
