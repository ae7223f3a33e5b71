"""Score predictions: their order, their errors and their uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnngen.predict.examples import Example, Target
from cnngen.predict.predictor import Floats, Prediction, Predictor, with_target
from cnngen.predict.splits import Split


@dataclass(frozen=True, slots=True)
class Score:
    """The quality of predictions, given measured figures.

    `tau` is Kendall's tau-b, NaN if all predictions or all figures are equal. `mae` is the mean
    absolute error in the target's unit. `coverage` is the fraction of figures inside their
    interval, ideally `predictor.LEVEL`. `nll` is the mean negative log-likelihood of the figures
    under normal distributions with the predicted means and deviations. `count` is the number of
    networks.
    """

    tau: float
    mae: float
    coverage: float
    nll: float
    count: int


def score(prediction: Prediction, measured: Floats) -> Score:
    """Score predictions of networks against measured figures, of shape (networks,)."""
    off = np.abs(prediction.mean - measured)
    inside = (prediction.low <= measured) & (measured <= prediction.high)
    # A deviation of 0 would make the likelihood infinite.
    std = np.maximum(prediction.std, 1e-9 * max(1e-9, float(np.abs(measured).max())))
    nll = np.log(std) + 0.5 * np.log(2 * np.pi) + 0.5 * (off / std) ** 2
    return Score(
        kendall(prediction.mean, measured),
        float(off.mean()),
        float(inside.mean()),
        float(nll.mean()),
        len(measured),
    )


def kendall(predicted: Floats, measured: Floats) -> float:
    """Return Kendall's tau-b (Kendall 1945), the rank correlation with ties, from -1 to 1."""
    from scipy.stats import kendalltau

    return float(kendalltau(predicted, measured).statistic)


def judge(predictor: Predictor, parts: Split, target: Target) -> Score:
    """Fit a predictor on a split and score it on the test part."""
    predictor.fit(parts.train, target, parts.validation)
    return judge_fitted(predictor, parts.test)


def judge_fitted(predictor: Predictor, test: list[Example]) -> Score:
    """Score a fitted predictor on examples."""
    networks, measured = with_target(test, predictor.target_)
    return score(predictor.predict(networks), measured)
