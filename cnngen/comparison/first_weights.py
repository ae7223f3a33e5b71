"""The weights that all modes start from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cnngen.backend.definitions import weight_shapes

if TYPE_CHECKING:
    from cnngen.backend.model_access import Array, Weights
    from cnngen.network import Network
    from cnngen.operations.shapes import Shape


def first_weights(network: Network, seed: int) -> Weights:
    """Weights to begin a training with, as backends draw them, but the same for each.

    Kernels are Glorot-uniform (Glorot and Bengio, 2010) in float32, biases 0; batch norms
    begin as the identity.
    """
    import numpy as np

    random = np.random.default_rng(seed)

    def drawn(name: str, shape: Shape) -> Array:
        if name == "kernel":
            window = math.prod(shape[:-2])
            bound = math.sqrt(6 / (window * (shape[-2] + shape[-1])))
            return random.uniform(-bound, bound, shape).astype(np.float32)
        return np.full(shape, 1 if name in ("scale", "variance") else 0, np.float32)

    return {
        operation: {name: drawn(name, shape) for name, shape in own.items()}
        for operation, own in weight_shapes(network).items()
    }
