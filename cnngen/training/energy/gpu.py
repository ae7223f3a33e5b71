"""Reads from NVIDIA GPUs the energy drawn, and the utilisation by process."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

MILLIJOULES_PER_KWH = 3.6e9

INITIAL_PID_NAMESPACE = 0xEFFFFFFC
"""PROC_PID_INIT_INO of Linux's include/linux/proc_ns.h."""


class Gpus(Protocol):
    """The GPUs that are measured, taken together; `cards` is their number."""

    @property
    def cards(self) -> int: ...

    def energy(self) -> float | None:
        """Return the energy in kWh since the driver was loaded; None if not counted."""

    def use(self) -> Mapping[int, float] | None:
        """Return the use of the GPUs by each process id since the last call, in any unit.

        None if the GPUs do not report it.
        """


class GpuShare:
    """Collects this process tree's share of the use of the GPUs.

    The driver keeps only a few seconds of samples, so call `poll` every second.
    """

    def __init__(self, gpus: Gpus, own_processes: Callable[[], frozenset[int]]) -> None:
        self._gpus = gpus
        self._own_processes = own_processes
        self._own: set[int] = set()
        self._use: defaultdict[int, float] = defaultdict(float)
        self._known = gpus.use() is not None  # discards what was before the window

    def poll(self) -> None:
        """Add the samples since the last call."""
        use = self._gpus.use() if self._known else None
        if use is None:
            self._known = False
            return
        self._own |= self._own_processes()
        for process, amount in use.items():
            self._use[process] += amount

    @property
    def share(self) -> float | None:
        """Return the share, 0 to 1; None if the GPUs do not report it or were not used."""
        total = sum(self._use.values())
        if not self._known or not total:
            return None
        return sum(self._use[process] for process in self._own) / total


class Nvml:
    """`Gpus` read through NVIDIA's management library, NVML.

    `handles` are NVML device handles; the library must be initialised.
    """

    def __init__(self, handles: Sequence[object]) -> None:
        self._seen = [(handle, 0) for handle in handles]

    @property
    def cards(self) -> int:
        return len(self._seen)

    def energy(self) -> float | None:
        import pynvml  # type: ignore[import-untyped]

        try:
            counters = [
                pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) for handle, _ in self._seen
            ]
        except pynvml.NVMLError:
            return None
        return float(sum(counters)) / MILLIJOULES_PER_KWH

    def use(self) -> Mapping[int, float] | None:
        import pynvml

        if not _process_ids_are_the_hosts():
            return None
        use: Counter[int] = Counter()
        for number, (handle, seen) in enumerate(self._seen):
            try:
                samples = pynvml.nvmlDeviceGetProcessUtilization(handle, seen)
            except pynvml.NVMLError as error:
                if error.value == pynvml.NVML_ERROR_NOT_FOUND:  # no process used it
                    continue
                return None
            # If there are fewer samples than the buffer holds, the rest are zeros.
            for sample in samples:
                if sample.timeStamp > seen:
                    use[sample.pid] += sample.smUtil
            latest = max((sample.timeStamp for sample in samples), default=0)
            self._seen[number] = (handle, max(seen, latest))
        return use


def nvidia_gpus(parts: Sequence[object]) -> Gpus | None:
    """Return the NVIDIA GPUs that a CodeCarbon tracker measures (version 3.3)."""
    handles = [
        device.handle
        for part in parts
        if type(part).__name__ == "GPU"
        for device in part.devices.devices  # type: ignore[attr-defined]
        if "Nvidia" in type(device).__name__ and device.gpu_index in part._get_gpu_ids()  # type: ignore[attr-defined]
    ]
    return Nvml(handles) if handles else None


def _process_ids_are_the_hosts() -> bool:
    """Return whether process ids are those of the host, which the driver reports: False in a
    container."""
    if sys.platform != "linux":
        return True
    try:
        return Path("/proc/self/ns/pid").stat().st_ino == INITIAL_PID_NAMESPACE
    except OSError:
        return False
