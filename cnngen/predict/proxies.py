"""The `proxies` predictor: zero-cost proxies and signal statistics of untrained networks."""

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
"""The published proxies, each of which ranks networks on its own."""

VERSION = 1
"""Version of the figures; cached figures of other versions are ignored."""


@dataclass
class Proxies(RowPredictor):
    """Boosted trees on zero-cost proxies and signal statistics, optionally with the features.

    Initial weights and images are random, so no data set is needed, but a backend is. Figures
    are cached in `CNNGEN_CACHE`, by default `~/.cache/cnngen`.
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
    """Compute the figures of networks: shape (networks, len(FIGURES)).

    Raises `BackendError` if the backend is not installed or does not provide signals, and
    `CnnGenError` for a backbone, since the proxies need logits.
    """
    chosen = get_backend(backend)
    version = chosen.version()
    if version is None or "signals" not in chosen.capabilities:
        raise BackendError(
            f"the {backend} backend does not provide signals of untrained networks",
            hint=f"Install: {chosen.install}",
        )
    if any(network.is_backbone for network in networks):
        raise CnnGenError("proxies of accuracy need logits, which a backbone lacks")
    rows = [list(_figures(network, chosen, version).values()) for network in networks]
    return np.array(rows, np.float64).reshape(len(networks), len(FIGURES))


def proxies(network: Network, backend: str = "torch") -> dict[str, float]:
    """Compute the figures of one network, by name; `PROXIES` names the published ones.

    Raises as `proxy_table` does.
    """
    return dict(zip(FIGURES, proxy_table([network], backend)[0].tolist(), strict=True))


def _figures(network: Network, backend: Backend, version: str) -> dict[str, float]:
    folder = cache_folder() / f"signals-{VERSION}" / version.replace(" ", "-")
    file_path = folder / f"{network.id}.json"
    with suppress(OSError, ValueError):
        cached = json.loads(file_path.read_text(encoding="utf-8"))
        if _is_complete(cached):
            return {name: float(cached[name]) for name in FIGURES}
    images, labels = probe(network.input_shape, network.classes or 1)
    found = figures(backend.signals(network, images, labels))
    with suppress(OSError):  # the cache is optional
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(file_path) as file:
            file.write(json.dumps(found).encode())
    return found


def _is_complete(cached: object) -> bool:
    return (
        isinstance(cached, dict)
        and cached.keys() == set(FIGURES)
        and all(isinstance(value, float) and isfinite(value) for value in cached.values())
    )
