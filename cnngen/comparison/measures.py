"""What a comparison reads from the record of one training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from cnngen.energy.figures import JOULES_PER_KWH
from cnngen.protocol import Status
from cnngen.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One training of a network in a mode, by its repeat, counted from 0.

    Times in seconds, energies in joules. `seconds` is the whole training. `epoch_seconds` is
    the median of the epochs but the first. `start_seconds`, building and compiling, is what
    passed before the first epoch, and what that one took more than `epoch_seconds`. `accuracy`
    is the share of `test_images` that were told right. `net_energy` is above idle. What is not
    known is None.
    """

    mode: str
    network: str
    repeat: int
    status: Status
    cause: str | None
    seconds: float
    start_seconds: float | None
    epoch_seconds: float | None
    energy: float | None
    net_energy: float | None
    accuracy: float | None
    test_images: int

    @property
    def correct(self) -> float | None:
        """How many test images were told right; None where none were."""
        return self.accuracy * self.test_images if self.accuracy else None

    @property
    def energy_per_correct(self) -> float | None:
        """Energy of the training for each test image told right afterwards, net where that
        is known."""
        energy = self.energy if self.net_energy is None else self.net_energy
        return None if energy is None or self.correct is None else energy / self.correct


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that modes are compared by, the less the better: `needs` completes "torch
    needs 1.8 times less"."""

    title: str
    unit: str
    needs: str
    of: Callable[[Measure], float | None]


FIGURES: Mapping[str, Figure] = {
    "seconds": Figure("training time", "s", "time", lambda m: m.seconds),
    "epoch_seconds": Figure(
        "time of an epoch once started", "s", "time for an epoch", lambda m: m.epoch_seconds
    ),
    "energy": Figure("energy of a training", "J", "energy", lambda m: m.energy),
    "net_energy": Figure(
        "energy of a training above idle", "J", "energy above idle", lambda m: m.net_energy
    ),
    "energy_per_correct": Figure(
        "energy for each test image told right",
        "J",
        "energy for a correct image",
        lambda m: m.energy_per_correct,
    ),
}


def measure(record: Record, mode: str, repeat: int, test_images: int) -> Measure:
    """What a comparison needs of a record. `test_images` is how many there were to test on."""
    seconds = [epoch.seconds for epoch in record.history]
    steady = median(seconds[1:]) if len(seconds) > 1 else None
    energy = record.energy
    return Measure(
        mode=mode,
        network=record.id,
        repeat=repeat,
        status=record.status,
        cause=record.cause,
        seconds=record.train_seconds,
        start_seconds=None
        if steady is None
        else record.train_seconds - sum(seconds) + seconds[0] - steady,
        epoch_seconds=steady,
        energy=energy.total_energy * JOULES_PER_KWH if energy else None,
        net_energy=energy.net_energy * JOULES_PER_KWH
        if energy and energy.net_energy is not None
        else None,
        accuracy=record.test_accuracy,
        test_images=test_images,
    )
