"""How a network is trained, and what training gives: frozen, serialisable values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Split = Literal["official", "pooled"]
Status = Literal["ok", "nan", "out_of_memory", "time_budget", "error"]


@dataclass(frozen=True, slots=True)
class Protocol:
    """Everything that decides a training but the network and the images.

    `split`: `official` keeps the data set's own test images; `pooled` pools all images
    and sets `test_share` of them aside, drawn with `seed`. `validation_share` is of the
    training images. Times are in seconds.
    """

    name: str = "quick"
    epochs: int = 10
    batch: int = 64
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 1e-3
    split: Split = "pooled"
    test_share: float = 0.2
    validation_share: float = 0.2
    precision: Literal["float32"] = "float32"
    seed: int = 0
    time_budget: float | None = None


PROTOCOLS: dict[str, Protocol] = {
    "quick": Protocol(),
    "paper": Protocol("paper", epochs=36),
    "standard": Protocol("standard", epochs=36, split="official"),
}
"""The named protocols. `paper`: all images pooled, 80/20, 20 % of train for validation,
36 epochs, Adam, batch 64."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One pass over the training images. Accuracies are shares from 0 to 1."""

    number: int
    seconds: float
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What training gave. Figures that were not reached are None."""

    status: Status
    cause: str | None
    epochs: tuple[Epoch, ...]
    train_seconds: float
    test_loss: float | None
    test_accuracy: float | None
    device: str
