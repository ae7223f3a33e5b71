"""Rows of a data set as batches of bytes, for `fit` and `evaluate`."""

from __future__ import annotations

import keras
import numpy as np

from cnngen.training.data.dataset import Dataset, Images, Labels
from cnngen_keras.rows import flip_crop


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches of uint8 images (batch, height, width, channels) and labels (batch,).

    `sizes` are those of the batches, together `rows`. The same seed gives the same batches
    under every engine. Nothing is copied but the batch at hand.
    """

    def __init__(
        self,
        data: Dataset,
        rows: Labels,
        sizes: list[int],
        *,
        seed: int = 0,
        augmented: bool = False,
    ) -> None:
        super().__init__()
        self.data = data
        self.order = self.rows = rows
        self.ends = np.cumsum(sizes)
        self.sizes = sizes
        self.seed = seed
        self.augmented = augmented
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, number: int) -> tuple[Images, Labels]:
        # Engines read ahead and read batches twice: the result depends on the index alone.
        end = self.ends[number]
        chosen = self.order[end - self.sizes[number] : end]
        if self.augmented:
            random = np.random.default_rng((self.seed, self.epoch, number))
            return flip_crop(self.data.images, chosen, random), self.data.labels[chosen]
        return self.data.images.take(chosen, axis=0), self.data.labels[chosen]

    def shuffle(self, epoch: int) -> None:
        """Change to the order of an epoch, counted from 1.

        Not `on_epoch_begin`, which some engines call for a look at the first batch, too.
        """
        self.epoch = epoch
        self.order = np.random.default_rng((self.seed, epoch)).permutation(self.rows)
