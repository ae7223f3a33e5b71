"""Render the drawing of a network at the size that `image` reads."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING

from cnngen.network import Network

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SHARPER = 2
"""So many times larger than wanted a picture is drawn at least, before it is made small."""


@lru_cache(4096)
def picture(network: Network, size: int) -> NDArray[np.uint8]:
    """Draw a network without its name: uint8 of shape (3, size, size).

    The drawing is scaled to fit, with its proportions, and centred on a white square. Raises
    `CnnGenError` for a network that is too large to draw.
    """
    import numpy as np
    from PIL import Image

    nameless = replace(network, description=replace(network.description, name=None))
    with Image.open(BytesIO(nameless.to_png())) as drawn:
        by = size / max(drawn.size)
        width, height = (max(1, round(side * by)) for side in drawn.size)
        fitted = drawn.convert("RGB").resize((width, height), Image.Resampling.BOX)
    square = Image.new("RGB", (size, size), "#ffffff")
    square.paste(fitted, ((size - width) // 2, (size - height) // 2))
    return np.ascontiguousarray(np.asarray(square).transpose(2, 0, 1))
