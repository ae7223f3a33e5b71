"""Apportions the energy of a machine among several workers.

Counters such as RAPL and NVML measure a whole processor. Their energy is divided by time: a
worker gets its share, with its child processes, of all busy CPU seconds in the window, and of
the GPU by NVML's utilisation per process. So all power, also that of the idle machine, is spread
over the workers, and their shares add up to the whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cnngen.system.gpus import has_own_card
from cnngen.training.energy.instrument import Reading


class TooShortError(RuntimeError):
    """The window had too little CPU time to divide by."""


@dataclass(frozen=True, slots=True)
class WorkerShare:
    """A reading reduced to one worker's energy, and the CPU share that was used."""

    reading: Reading
    cpu_share: float


def apportion(reading: Reading, *, cpu_is_own: bool) -> WorkerShare:
    """Reduce a reading of the whole machine to the share of this process.

    With `cpu_is_own`, the CPU figure is already a model of this process alone and is kept. If
    the GPUs do not report who used them, a worker with a card of its own has all of it, and for
    others the CPU share is used. Raises `TooShortError`
    if the window had too little CPU time.
    """
    share = reading.during.own_share
    if share is None:
        raise TooShortError
    told = 1.0 if reading.gpu_share is None and has_own_card() else reading.gpu_share
    gpu_share = share if told is None else told
    counter = reading.gpu_counter
    part = replace(
        reading,
        cpu=reading.cpu if cpu_is_own else reading.cpu * share,
        ram=reading.ram * share,
        gpu=reading.gpu * gpu_share,
        gpu_share=told,
        gpu_counter=None if counter is None else counter * gpu_share,
    )
    whole = reading.cpu + reading.ram + reading.gpu
    kept = (part.cpu + part.ram + part.gpu) / whole if whole else 0.0
    return WorkerShare(replace(part, emissions=reading.emissions * kept), share)
