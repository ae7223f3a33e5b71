"""The `neural` predictor: the graph convolutional network of Wen et al., on operations and edges.

Wen, Liu, Chen, Li, Bender, Kindermans: "Neural Predictor for Neural Architecture Search",
ECCV 2020, arXiv:1912.00848.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from cnngen.errors import CnnGenError
from cnngen.network import Network
from cnngen.predict.neural.encoding import VERTICES, EncodedCell, encode
from cnngen.predict.torch_predictor import ModulePredictor

if TYPE_CHECKING:
    from torch import Tensor

    from cnngen.predict.torch_fit import FitSettings, Regressor


@dataclass
class NeuralPredictor(ModulePredictor[EncodedCell]):
    """The predictor of Wen et al. with the published hyper-parameters.

    `above` adds the published first stage, a classifier of whether an accuracy is at least that
    value (0.91 on NAS-Bench-101). The regressor then learns only from networks above it, and a
    network that the classifier rejects is predicted as the mean of those below. With 0, there
    is no first stage.
    """

    name: ClassVar[str] = "neural"
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {
        "layers": (1, 64),
        "hidden": (1, 1024),
        "units": (1, 4096),
        "dropout": (0, 0.95),
        "above": (0, 1),
    }

    epochs: int = 300
    batch: int = 10
    learning_rate: float = 1e-4
    weight_decay: float = 1e-3
    layers: int = 3
    hidden: int = 144
    units: int = 128
    dropout: float = 0.1
    above: float = 0.0

    def encode(self, network: Network) -> EncodedCell:
        return encode(network)

    def size(self, encoded: EncodedCell) -> int:
        return len(encoded.operations)

    def collate(self, encoded: Sequence[EncodedCell]) -> tuple[Tensor, ...]:
        from cnngen.predict.neural.module import collate

        return collate(encoded)

    def fit_settings(self) -> FitSettings:
        # The paper turns momentum off.
        return replace(super().fit_settings(), betas=(0.0, 0.999))

    def module(self) -> Regressor:
        from cnngen.predict.neural.module import GraphConvolutions, OneStage, TwoStages

        def part() -> GraphConvolutions:
            return GraphConvolutions(
                len(VERTICES), self.layers, self.hidden, self.units, self.dropout
            )

        if not self.above:
            return OneStage(part())
        if self.scale_.target != "accuracy":
            raise CnnGenError(
                f"above={self.above:g} bounds an accuracy, but the target is "
                f"'{self.scale_.target}'",
                hint="Leave 'above' at 0.",
            )
        return TwoStages(part(), part(), float(self.scale_.scaled(np.array([self.above]))[0]))
