"""Reduce the record of one training to the figures that a comparison uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from cnngen.runs.record import Record
from cnngen.training.energy import Energy
from cnngen.training.energy.figures import JOULES_PER_KWH
from cnngen.training.protocol import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """The figures of one training of a network in a mode; repeats count from 0.

    Times are in seconds and energies in joules; unknown figures are None. `seconds` is the
    whole training. `epoch_seconds` is the median over all epochs except the first.
    `start_seconds`, for building and compiling, is the time before the first epoch plus the
    time by which that epoch exceeds `epoch_seconds`. `accuracy` is the fraction of the
    `test_images` that were classified correctly. `net_energy` is the energy above idle.
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
        """The number of test images classified correctly; None if it is 0 or unknown."""
        return self.accuracy * self.test_images if self.accuracy else None

    @property
    def energy_per_correct(self) -> float | None:
        """Training energy per correctly classified test image, in joules: above idle if known."""
        energy = self.energy if self.net_energy is None else self.net_energy
        return None if energy is None or self.correct is None else energy / self.correct


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure by which modes are compared; lower is better.

    `needs` completes the sentence "torch needs 1.8 times less ...".
    """

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
    """Return the figures of a record; `test_images` is the number of images it was tested on."""
    seconds = [epoch.seconds for epoch in record.history]
    steady = median(seconds[1:]) if len(seconds) > 1 else None
    energy = record.energy
    net = above_idle(energy) if energy else None
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
        net_energy=net * JOULES_PER_KWH if net is not None else None,
        accuracy=record.test_accuracy,
        test_images=test_images,
    )


def above_idle(energy: Energy) -> float | None:
    """Return the energy of a training above idle, in kWh; None if the idle power is unknown.

    This is `net_energy`, except where the CPU is modelled by the load of the process. Such a
    model contains no idle power, whereas the idle baseline contains the load of the meter.
    """
    return energy.cpu_energy if is_of_process(energy) else energy.net_energy


def is_of_process(energy: Energy) -> bool:
    """Whether every varying part of an energy is modelled from the load of the process."""
    source = energy.provenance
    return source.models_own_cpu and source.gpu.method == "absent"
