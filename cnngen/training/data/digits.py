"""Loads the handwritten digits that come with scikit-learn: 1,797 images of 8x8x1."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from cnngen.errors import DataError
from cnngen.training.data.dataset import Dataset


def load_digits() -> Dataset:
    """Load the digits, with their 17 grey levels scaled to 0 to 255. Needs no network.

    They are the test part of UCI's "Optical Recognition of Handwritten Digits" and have no test
    part of their own. Raises `DataError` if scikit-learn is missing.
    """
    # Reading the file takes 4 ms, importing scikit-learn's loader 3 s.
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise DataError("'digits' comes with scikit-learn", hint="pip install scikit-learn")
    path = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    try:
        table = np.loadtxt(path, np.int64, delimiter=",")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: scikit-learn's digits cannot be read ({error})") from None
    images = np.rint(table[:, :64] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    return Dataset("digits", images, table[:, 64].copy(), tuple(map(str, range(10))))
