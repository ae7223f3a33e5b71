"""What a comparison reads from the record of one training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from cnngen.runs.record import Record
from cnngen.training.energy import Energy
from cnngen.training.energy.figures import JOULES_PER_KWH
from cnngen.training.energy.provenance import BY_LOAD
from cnngen.training.protocol import Status


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
    """The energy of the work alone, in kWh; None where no idle power is known.

    It is `net_energy`, but for a CPU that is modelled by the load of the process: there is no
    idle power in that, while in a baseline there is the meter's own load.
    """
    return energy.cpu_energy if is_of_process(energy) else energy.net_energy


def is_of_process(energy: Energy) -> bool:
    """Whether all that is not constant in an energy is a model of the process's load."""
    source = energy.provenance
    modelled = source.mode == "process" and source.cpu.means == BY_LOAD
    return modelled and source.gpu.method == "absent"
