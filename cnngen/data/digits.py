"""The handwritten digits that come with scikit-learn: 1,797 images of 8x8x1."""

from __future__ import annotations

import numpy as np

from cnngen.data.dataset import Dataset


def load_digits() -> Dataset:
    """The digits, their 17 grey levels spread over 0 to 255. Needs no network.

    They are the test part of UCI's "Optical Recognition of Handwritten Digits"; here they
    have no test part of their own.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    labels = digits.target.astype(np.int64)
    return Dataset("digits", images[..., np.newaxis], labels, tuple(map(str, range(10))))
