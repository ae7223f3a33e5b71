"""Predicts the results of a network before it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cnngen.editor.studio import requests as queries
from cnngen.editor.studio.answers import network_of
from cnngen.editor.studio.limits import Limits
from cnngen.predict.model import SHIPPED, Model


@dataclass(frozen=True, slots=True)
class Forecast:
    """The prediction of one target, with an interval meant to contain nine of ten.

    `note` says where the learnt figures come from, if known.
    """

    target: str
    mean: float
    low: float
    high: float
    note: str


@dataclass(frozen=True, slots=True)
class Predicted:
    """The predictions of a model for a network, how it differs from the networks the model was
    fitted to, and what those were.
    """

    forecasts: list[Forecast]
    outside: Sequence[str]
    origin: list[str]


def predict_text(query: queries.Check, model: Path | None, limits: Limits) -> Predicted:
    """Predict the results of a text's network, with the given or the shipped model.

    Raises `CnnGenError` for an invalid text, or a model that cannot be read.
    """
    path = model or SHIPPED
    asked = _model(path, path.stat().st_mtime_ns if path.is_file() else 0)
    networks = [network_of(query, limits)]
    return Predicted(
        [
            Forecast(target, float(p.mean[0]), float(p.low[0]), float(p.high[0]), p.note)
            for target, p in asked.predict(networks).items()
        ],
        asked.domain.warnings(networks)[0],
        [f"{count:,} networks: {setting}" for setting, count in asked.origin.items()],
    )


@lru_cache(maxsize=1)
def _model(path: Path, stamp: int) -> Model:
    return Model.load(path)
