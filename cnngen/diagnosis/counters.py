"""Energy counters of the hardware: RAPL of processors, NVML of NVIDIA GPUs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from cnngen.diagnosis.finding import Finding
from cnngen.errors import CnnGenError
from cnngen.system.gpus import find_cards, nvml_session, usable

POWERCAP = Path("/sys/class/powercap")

RAPL_REMEDY = f"sudo chmod -R a+r {POWERCAP}/*  (until the next boot)"
"""CodeCarbon's own advice; root alone may read these counters since CVE-2020-8694."""

PAUSE = 0.05
"""Seconds between two readings of a counter, which a processor updates each millisecond."""

CPU = "CPU counters"
GPU = "GPU counters"


def rapl(root: Path = POWERCAP, read: Callable[[Path], str] = Path.read_text) -> Finding:
    """Find out whether the energy counters of the processor can be read, and whether they count.

    `root` is Linux's powercap folder. `read` returns the text of a file.
    """
    packages = [
        folder
        for folder in sorted(root.glob("intel-rapl:*"))
        if folder.name.count(":") == 1 and (folder / "energy_uj").exists()
    ]
    if not packages:
        return Finding(
            CPU,
            f"no RAPL counters in {root}, as on most virtual machines: CPU energy is modelled",
            "limited",
            "State the processor's power with --tdp, or measure on the machine itself.",
        )
    counters = [folder / "energy_uj" for folder in packages]
    try:
        before = [int(read(counter)) for counter in counters]
        time.sleep(PAUSE)
        after = [int(read(counter)) for counter in counters]
    except PermissionError as error:
        return Finding(
            CPU,
            f"RAPL counters exist, but {error.filename or counters[0]} is for root alone: "
            "CPU energy is modelled",
            "limited",
            RAPL_REMEDY,
        )
    except (OSError, ValueError) as error:
        return Finding(CPU, f"RAPL counters cannot be read: {error}", "limited")
    if before == after:
        return Finding(
            CPU,
            f"RAPL counters can be read but do not count ({counters[0]} stays {after[0]} uJ)",
            "limited",
            "A virtual machine shows such counters: measure on the machine itself.",
        )
    return Finding(CPU, f"RAPL: {len(packages)} package(s), read without a password")


def nvml(library: ModuleType | None = None) -> Iterator[Finding]:
    """Find out what NVIDIA's management library tells of each GPU.

    `library` is a module with the functions of `pynvml`, by default that one.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    with nvml_session(library) as (opened, error):
        if error is not None:
            yield _no_driver(opened, error)
            return
        count = opened.nvmlDeviceGetCount()
        if not count:
            yield Finding(GPU, "a driver, but no NVIDIA GPU", "missing")
        if count and visible is not None:
            yield _visible(visible, opened)
        for number in range(count):
            try:
                yield _gpu(opened, number)
            except opened.NVMLError as error:
                yield Finding(
                    GPU,
                    f"GPU {number} does not answer: {error}",
                    "limited",
                    "`nvidia-smi` and the kernel's log say more; a lost card needs a restart.",
                )


def _no_driver(library: ModuleType, error: Exception) -> Finding:
    code = getattr(error, "value", None)
    if code == library.NVML_ERROR_LIBRARY_NOT_FOUND:
        return Finding(GPU, "no NVIDIA driver: no GPU is measured", "missing")
    remedies = {
        library.NVML_ERROR_DRIVER_NOT_LOADED: "Load the driver: sudo modprobe nvidia",
        library.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
            "The driver was updated while it ran: restart the machine."
        ),
        library.NVML_ERROR_NO_PERMISSION: "Let this user read /dev/nvidiactl and /dev/nvidia*.",
    }
    return Finding(GPU, f"NVML does not start: {error}", "limited", remedies.get(code))


def _visible(value: str, library: ModuleType) -> Finding:
    if value.strip() in ("", "-1"):
        return Finding(
            GPU,
            f"CUDA_VISIBLE_DEVICES={value!r} hides all GPUs",
            "limited",
            "unset CUDA_VISIBLE_DEVICES",
        )
    try:
        usable(find_cards(library), None, value)
    except CnnGenError as error:
        return Finding(GPU, error.message, "limited", error.hint)
    return Finding(GPU, f"only GPUs of CUDA_VISIBLE_DEVICES={value} are used")


def _gpu(library: ModuleType, number: int) -> Finding:
    handle = library.nvmlDeviceGetHandleByIndex(number)
    name = library.nvmlDeviceGetName(handle)
    memory = library.nvmlDeviceGetMemoryInfo(handle)
    limits = []
    remedy = None

    def ask(question: str) -> object:
        """The answer, None where the card or the driver has none."""
        try:
            return getattr(library, question)(handle)
        except library.NVMLError as error:
            if error.value == library.NVML_ERROR_NO_PERMISSION:
                limits.append(f"{question} is not permitted")
            return None

    if ask("nvmlDeviceGetTotalEnergyConsumption") is None:
        limits.append("no energy counter: power is sampled each second")
    mig = ask("nvmlDeviceGetMigMode")
    if isinstance(mig, (list, tuple)) and mig[0]:
        limits.append("MIG: its energy is that of the whole card, not of a part")
    used = memory.used / 2**30
    if used > max(1.0, 0.02 * memory.total / 2**30):
        limits.append(f"others hold {used:.1f} GiB of its memory")
        remedy = "`nvidia-smi` shows whose."
    capability = ask("nvmlDeviceGetCudaComputeCapability")
    half = "float32"
    if isinstance(capability, (list, tuple)):
        half = "bfloat16" if tuple(capability) >= (8, 0) else "float32 (bfloat16 needs Ampere)"
    text = f"GPU {number}: {name}, {memory.total / 2**30:.0f} GiB, up to {half}"
    return Finding(
        GPU,
        "; ".join([text, *limits]),
        "limited" if limits else "good",
        remedy,
        {"memory_gib": memory.total / 2**30, "used_gib": used},
    )
