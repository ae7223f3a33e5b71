"""A network in numbers: a fixed set of named features, read from its graph.

The network is not run. `docs/predict.md` lists them. Counts and areas are given as log2(1 + count).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from cnngen.network import Network
from cnngen.predict.features.layers import layers
from cnngen.predict.features.maps import maps
from cnngen.predict.features.paths import paths
from cnngen.predict.features.propagation import propagation
from cnngen.predict.features.size import size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GROUPS = (size, maps, layers, paths, propagation)


def features(network: Network) -> dict[str, float]:
    """All features of a network, finite numbers in a fixed order."""
    return {name: value for group in GROUPS for name, value in group(network).items()}


@cache
def names() -> tuple[str, ...]:
    """The names of all features, in their order."""
    from cnngen.language import parse
    from cnngen.space.resolution import resolve

    return tuple(features(resolve(parse("input conv flatten dense output"))))


def table(networks: Sequence[Network]) -> NDArray[np.float64]:
    """The features of networks: shape (networks, features)."""
    import numpy as np

    rows = [_row(network) for network in networks]
    return np.array(rows, np.float64).reshape(len(networks), len(names()))


@lru_cache(4096)
def _row(network: Network) -> tuple[float, ...]:
    """Cached, since predictors of several targets and repeated splits ask for the same rows."""
    return tuple(features(network).values())
