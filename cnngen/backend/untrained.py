"""Figures of an untrained network on a batch of images, as its backend measures them.

Predictors read these; a backend with the capability `signals` gives them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

IMAGES = 64
"""Images of a probing batch."""

WAVES = 4
"""Of which the images are made, along each axis: what is seen at once is smooth."""


@dataclass(frozen=True, slots=True)
class Signals:
    """Figures of one network with first weights. Batch norm takes the batch's statistics,
    dropout keeps all, the loss is the mean cross-entropy.

    Layers are the convolutions and dense layers in the order in which they run; what a layer
    puts out is meant before its activation. `moments` are mean squares of what layers put out,
    `distances` half the mean squared distance between two images, `gradients` the mean squares
    of the loss's gradient by them times the batch's size, `silent` the shares that are negative
    for all images: each of shape (layers,). `slopes` are the Euclidean norms of the loss's
    gradients by the layers' weights. `agreement` (images, images) counts the outputs of hidden
    layers whose sign two images share; `jacobian` (images, pixels) is the gradient of the sum
    of the logits; `features` (images, inputs) is what the last layer reads.

    `flows` (layers,) are natural logarithms of sum(weight * dR/dweight), where R is the sum of
    the outputs for an image of ones, all weights are their absolute values, and activations,
    dropout and batch norm do nothing.
    """

    moments: Floats
    distances: Floats
    gradients: Floats
    silent: Floats
    slopes: Floats
    agreement: Floats
    jacobian: Floats
    features: Floats
    flows: Floats


def probe(
    shape: tuple[int, int, int], classes: int, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (IMAGES, height, width, channels) that belong to no data set, and their labels.

    Sums of slow waves with random phases, spread from 0 to 255; equal arguments give equal
    images on every machine.
    """
    height, width, channels = shape
    random = np.random.default_rng(seed)
    down = np.linspace(0, 1, height)[:, None, None]
    across = np.linspace(0, 1, width)[None, :, None]
    images = np.zeros((IMAGES, height, width, channels))
    for number in range(IMAGES):
        for _ in range(WAVES):
            fy, fx = random.uniform(-2, 2, 2)
            phase = random.uniform(0, 1, channels)
            images[number] += np.sin(2 * np.pi * (fy * down + fx * across + phase))
    low, high = images.min((1, 2, 3), keepdims=True), images.max((1, 2, 3), keepdims=True)
    scaled = 255 * (images - low) / np.maximum(high - low, 1e-9)
    return scaled.astype(np.uint8), np.arange(IMAGES, dtype=np.int64) % classes
