"""The `image` predictor: a ResNet-18 on the drawing of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from cnngen.network import Network
from cnngen.predict.image.pictures import picture
from cnngen.predict.torch_predictor import ModulePredictor

if TYPE_CHECKING:
    from torch import Tensor

    from cnngen.predict.torch_fit import Regressor

Picture = NDArray[np.uint8]


@dataclass
class ImagePredictor(ModulePredictor[Picture]):
    """Fits torchvision's ResNet-18 to drawings of `pixels` by `pixels`.

    Initial weights are random, or those of the file `weights`, in the format that torchvision
    publishes for ImageNet.
    """

    name: ClassVar[str] = "image"
    needs: ClassVar[tuple[str, ...]] = ("torch", "torchvision")
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {"pixels": (32, 1024)}

    epochs: int = 10
    batch: int = 32
    pixels: int = 64
    weights: str = ""

    def encode(self, network: Network) -> Picture:
        return picture(network, self.pixels)

    def collate(self, encoded: Sequence[Picture]) -> tuple[Tensor, ...]:
        from cnngen.predict.image.module import collate

        return collate(encoded)

    def module(self) -> Regressor:
        from cnngen.predict.image.module import PictureNetwork

        return PictureNetwork()

    def begin(self, module: Regressor) -> None:
        from cnngen.predict.image.module import PictureNetwork

        assert isinstance(module, PictureNetwork)
        if self.weights:
            module.take(self.weights)
