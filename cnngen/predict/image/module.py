"""The ResNet-18 of `image`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torchvision.models import resnet18

from cnngen.errors import CnnGenError
from cnngen.predict.torch_fit import PointRegressor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and deviation of the ImageNet images that published weights were trained on."""


def collate(pictures: Sequence[NDArray[np.uint8]]) -> tuple[Tensor, ...]:
    """Batch pictures as (pictures, 3, height, width), normalised, with channels last in memory."""
    pixels = torch.stack([torch.from_numpy(picture) for picture in pictures]).float() / 255
    mean, std = (torch.tensor(figures)[:, None, None] for figures in (MEAN, STD))
    return (((pixels - mean) / std).contiguous(memory_format=torch.channels_last),)


class PictureNetwork(PointRegressor):
    """ResNet-18 with one output.

    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network = resnet18(num_classes=1).to(memory_format=torch.channels_last)

    def forward(self, pictures: Tensor) -> Tensor:
        return cast("Tensor", self.network(pictures))

    def take(self, path: str) -> None:
        """Load the weights of a file published by torchvision, except those of the last layer.

        Raises `CnnGenError` if the file does not contain the weights of a ResNet-18.
        """
        try:
            weights = torch.load(path, "cpu", weights_only=True)
            kept = {name: weights[name] for name in weights if not name.startswith("fc.")}
            missing, unknown = self.network.load_state_dict(kept, strict=False)
        except Exception as error:
            raise CnnGenError(f"{path} is not a ResNet-18 weights file: {error}") from None
        if unknown or set(missing) != {"fc.weight", "fc.bias"}:
            raise CnnGenError(f"{path} is not a ResNet-18 weights file: its layers differ")
