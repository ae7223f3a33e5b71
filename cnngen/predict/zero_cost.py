"""Compute zero-cost proxies and signal statistics from one pass of an untrained network."""

from __future__ import annotations

import numpy as np

from cnngen.backend.untrained import Signals
from cnngen.predict.predictor import Floats

K = 1e-5
"""Keeps the logarithms of vanishing eigenvalues finite, as in the authors' programs."""

NOTHING = 1e-30
"""Smallest value whose logarithm is taken, since a figure may be 0."""


FIGURES = (
    "synflow",
    "jacobian_covariance",
    "naswot",
    "grad_norm",
    "feature_rank",
    "end_moment",
    "end_distance",
    "least_distance",
    "largest_moment",
    "end_apart",
    "least_apart",
    "mean_apart",
    "first_gradient",
    "gradient_range",
    "first_slope",
    "least_slope",
    "slope_range",
    "silent",
    "mean_silent",
)
"""The names of all figures, in order."""


def synflow(signals: Signals) -> float:
    """Return the logarithm of the synaptic flow, summed over the weights of all layers.

    Tanaka et al., "Pruning Neural Networks without Any Data by Iteratively Conserving Synaptic
    Flow", NeurIPS 2020; as a score of networks: Abdelfattah et al., "Zero-Cost Proxies for
    Lightweight NAS", ICLR 2021.
    """
    return float(np.logaddexp.reduce(signals.flows))


def jacobian_covariance(jacobian: Floats) -> float:
    """Return how differently an untrained network responds to different images.

    This is minus the sum of log(v + k) + 1 / (v + k) over the eigenvalues v of the correlation
    matrix of the rows of the Jacobian (images, pixels): Mellor et al., arXiv:2006.04647v1, under
    the name used by Abdelfattah et al.
    """
    centred = jacobian - jacobian.mean(1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1, keepdims=True)
    # A row whose gradients are all 0 is uncorrelated with the others.
    units = np.divide(centred, norms, out=np.zeros_like(centred), where=norms > NOTHING)
    values = np.maximum(np.linalg.eigvalsh(units @ units.T), 0.0) + K
    return float(-(np.log(values) + 1 / values).sum())


def naswot(agreement: Floats) -> float:
    """Return log|det| of the matrix that counts the activations shared by two images.

    Two images that share all activations make it very small: Mellor et al., "Neural
    Architecture Search without Training", ICML 2021.
    """
    values = np.linalg.eigvalsh(agreement)
    return float(np.log(np.maximum(np.abs(values), K)).sum())


def grad_norm(signals: Signals) -> float:
    """Return the logarithm of the summed gradient norms (Abdelfattah et al., ICLR 2021)."""
    return float(np.log(signals.slopes.sum() + NOTHING))


def rank(features: Floats) -> float:
    """Return the effective rank of the features (images, features) before the last layer.

    This is the participation ratio (sum v)^2 / sum v^2 of the eigenvalues of their covariance.
    """
    centred = features - features.mean(0)
    values = np.linalg.svd(centred, compute_uv=False) ** 2
    total = float((values**2).sum())
    return float(values.sum() ** 2 / total) if total > NOTHING else 0.0


def figures(signals: Signals) -> dict[str, float]:
    """Return the proxies and the statistics of signals and gradients, all finite, by name."""
    moments, distances = _logs(signals.moments), _logs(signals.distances)
    gradients, slopes = _logs(signals.gradients), _logs(signals.slopes)
    relative_distances = distances - moments
    found = {
        "synflow": synflow(signals),
        "jacobian_covariance": jacobian_covariance(signals.jacobian),
        "naswot": naswot(signals.agreement),
        "grad_norm": grad_norm(signals),
        "feature_rank": rank(signals.features),
        "end_moment": float(moments[-1]),
        "end_distance": float(distances[-1]),
        "least_distance": float(distances.min()),
        "largest_moment": float(moments.max()),
        "end_apart": float(relative_distances[-1]),
        "least_apart": float(relative_distances.min()),
        "mean_apart": float(relative_distances.mean()),
        "first_gradient": float(gradients[0]),
        "gradient_range": float(np.ptp(gradients)),
        "first_slope": float(slopes[0]),
        "least_slope": float(slopes.min()),
        "slope_range": float(np.ptp(slopes)),
        "silent": float(signals.silent[:-1].max(initial=0.0)),
        "mean_silent": float(signals.silent[:-1].mean()) if len(signals.silent) > 1 else 0.0,
    }
    return {name: float(np.clip(np.nan_to_num(x), -1e9, 1e9)) for name, x in found.items()}


def _logs(values: Floats) -> Floats:
    return np.log2(np.clip(np.nan_to_num(values), NOTHING, 1 / NOTHING))
