"""One worker's part of the energy of a machine that several workers use.

A counter such as RAPL or NVML counts a whole processor, whoever it works for. Its energy is
divided by time: a worker gets the share that its process and children have of all busy CPU
seconds in the window, and of the GPU by NVML's utilisation per process. So what a machine
draws, idle or not, is spread over those who work, and the parts of all add up to the whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cnngen.training.energy.instrument import Reading


class TooShortError(RuntimeError):
    """There was not enough CPU time to divide by."""


@dataclass(frozen=True, slots=True)
class WorkerShare:
    """A reading of one worker's energy, and the CPU share that it was found by."""

    reading: Reading
    cpu_share: float


def apportion(reading: Reading, *, cpu_is_own: bool) -> WorkerShare:
    """This process's part of a reading of the whole machine.

    `cpu_is_own`: the CPU's figure is a model of this process alone, and stays as it is.
    Where the GPUs do not tell who used them, the CPU's share stands in. Raises `TooShortError`.
    """
    share = reading.during.own_share
    if share is None:
        raise TooShortError
    gpu_share = share if reading.gpu_share is None else reading.gpu_share
    counter = reading.gpu_counter
    part = replace(
        reading,
        cpu=reading.cpu if cpu_is_own else reading.cpu * share,
        ram=reading.ram * share,
        gpu=reading.gpu * gpu_share,
        gpu_counter=None if counter is None else counter * gpu_share,
    )
    whole = reading.cpu + reading.ram + reading.gpu
    kept = (part.cpu + part.ram + part.gpu) / whole if whole else 0.0
    return WorkerShare(replace(part, emissions=reading.emissions * kept), share)
