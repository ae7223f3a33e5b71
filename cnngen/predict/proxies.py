"""What an untrained network does with a batch, as numbers to rank and to learn from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from typing import ClassVar

import numpy as np

from cnngen.backend import Backend, get_backend
from cnngen.backend.untrained import probe
from cnngen.errors import BackendError, CnnGenError
from cnngen.network import Network
from cnngen.predict import features
from cnngen.predict.predictor import Floats
from cnngen.predict.trees import RowPredictor
from cnngen.predict.zero_cost import FIGURES, figures
from cnngen.system.cache import cache_folder
from cnngen.system.files import replacing

PROXIES = ("synflow", "jacobian_covariance", "naswot", "grad_norm")
"""The published ones, each of which ranks networks by itself."""

VERSION = 1
"""Of the figures: those of another version are not read from the cache."""


@dataclass
class Proxies(RowPredictor):
    """Boosted trees on zero-cost proxies and signal statistics alone, or with the features too.

    The first weights and the images are random; no data set is needed, but a backend is.
    Figures are kept in `CNNGEN_CACHE`, or in `~/.cache/cnngen`.
    """

    name = "proxies"
    install: ClassVar[str] = "pip install 'cnngen[torch]'"

    backend: str = "torch"
    with_features: bool = False

    def columns(self) -> tuple[str, ...]:
        return (*FIGURES, *(features.names() if self.with_features else ()))

    def rows(self, networks: Sequence[Network]) -> Floats:
        own = proxy_table(networks, self.backend)
        return np.hstack([own, features.table(networks)]) if self.with_features else own


def proxy_table(networks: Sequence[Network], backend: str = "torch") -> Floats:
    """The figures of networks: shape (networks, len(FIGURES)).

    Raises `BackendError` for a backend that is not there or gives no signals, and
    `CnnGenError` for a backbone, which has no logits.
    """
    chosen = get_backend(backend)
    version = chosen.version()
    if version is None or "signals" not in chosen.capabilities:
        raise BackendError(
            f"the {backend} backend gives no signals of untrained networks",
            hint=f"Install: {chosen.install}",
        )
    if any(network.is_backbone for network in networks):
        raise CnnGenError("a backbone has no logits, so it has no proxies of their accuracy")
    rows = [list(_figures(network, chosen, version).values()) for network in networks]
    return np.array(rows, np.float64).reshape(len(networks), len(FIGURES))


def proxies(network: Network, backend: str = "torch") -> dict[str, float]:
    """The figures of one network, by name; `PROXIES` are the published ones among them."""
    return dict(zip(FIGURES, proxy_table([network], backend)[0].tolist(), strict=True))


def _figures(network: Network, backend: Backend, version: str) -> dict[str, float]:
    place = cache_folder() / f"signals-{VERSION}" / version.replace(" ", "-") / f"{network.id}.json"
    with suppress(OSError, ValueError):
        kept = json.loads(place.read_text(encoding="utf-8"))
        if _is_whole(kept):
            return {name: float(kept[name]) for name in FIGURES}
    images, labels = probe(network.input_shape, network.classes or 1)
    found = figures(backend.signals(network, images, labels))
    with suppress(OSError):  # a cache that cannot be written is none
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place) as file:
            file.write(json.dumps(found).encode())
    return found


def _is_whole(kept: object) -> bool:
    return (
        isinstance(kept, dict)
        and kept.keys() == set(FIGURES)
        and all(isinstance(value, float) and isfinite(value) for value in kept.values())
    )
