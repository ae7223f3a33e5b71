"""Fits what a meter read to the load: power at rest, and the slopes over CPU load and GPU power."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnngen.errors import CnnGenError, counted

LEAST_SPAN = 0.3
"""Least difference between the highest and the lowest load, of all cores: less tells no slope."""
LEAST = 0.05
"""Least power in W, and slope, that counts as one."""
LEAST_GPU_SPAN = 10.0
"""Least such difference of the GPUs' power in W; below it no slope of theirs is fitted."""


@dataclass(frozen=True, slots=True)
class PowerPoint:
    """What a meter read in W, at a load of 0 to 1 of all cores; `gpu` is by NVML, in W."""

    watts: float
    load: float
    gpu: float | None = None


@dataclass(frozen=True, slots=True)
class PowerFit:
    """watts = `idle` + `cpu` x load + `gpu` x (GPU power - `gpu_idle`), by least squares.

    `idle`, `cpu` and `gpu_idle` are in W, `gpu` in W of the meter for each W by NVML; the last
    two are None without GPUs, `gpu` also if their power did not vary. `covariance` is of idle,
    cpu and gpu, and `residual` the standard deviation of the points in W; both are None if as
    many points as unknowns leave nothing to tell an error from.
    """

    idle: float
    cpu: float
    gpu: float | None
    gpu_idle: float | None
    covariance: tuple[tuple[float, ...], ...] | None
    residual: float | None
    points: int


def fit_power(points: Sequence[PowerPoint], *, reading_error: float | None = None) -> PowerFit:
    """Fit the power of a machine to points at different loads.

    `reading_error` (W) is the standard error of each reading, used if the points are too few to
    tell it. Raises `CnnGenError` if the loads or readings determine no rising line.
    """
    loads = [point.load for point in points]
    if len(points) < 2 or max(loads) - min(loads) < LEAST_SPAN:
        span = f"from {min(loads):.0%} to {max(loads):.0%}" if loads else "at no time"
        raise CnnGenError(
            f"the load of all cores varied only {span}: no slope can be fitted",
            hint="End other programs, so that the machine can rest, and let all cores be used.",
        )
    powers = [point.gpu for point in points if point.gpu is not None]
    gpus = np.array(powers) if len(powers) == len(points) else None
    gpu_idle = None if gpus is None else float(gpus.min())
    columns = [np.ones(len(points)), np.array(loads)]
    if gpus is not None and np.ptp(gpus) >= LEAST_GPU_SPAN:
        columns.append(gpus - gpus.min())
    known, watts = np.stack(columns, 1), np.array([point.watts for point in points])
    free = len(points) - known.shape[1]
    if free < 0 or np.linalg.matrix_rank(known) < known.shape[1]:
        raise CnnGenError(f"{counted(len(points), 'step')} of load are too few to fit")
    found, *_ = np.linalg.lstsq(known, watts, rcond=None)
    residual = float(np.sqrt(((watts - known @ found) ** 2).sum() / free)) if free else None
    error = reading_error if residual is None else residual
    covariance = None if error is None else error**2 * np.linalg.inv(known.T @ known)
    _refuse_flat(found, None if covariance is None else np.sqrt(np.diag(covariance)))
    return PowerFit(
        idle=float(found[0]),
        cpu=float(found[1]),
        gpu=float(found[2]) if len(found) > 2 else None,
        gpu_idle=gpu_idle,
        covariance=None if covariance is None else tuple(map(tuple, covariance.tolist())),
        residual=residual,
        points=len(points),
    )


def _refuse_flat(found: np.ndarray, errors: np.ndarray | None) -> None:
    """Raise `CnnGenError` for a power that is not above zero beyond doubt."""
    for i, name in enumerate(
        ("power at rest", "power of the CPU", "slope of the GPU")[: len(found)]
    ):
        error = 0.0 if errors is None else errors[i]
        if not found[i] > max(LEAST, 2 * error):
            beside = "" if errors is None else f" +- {error:.2g}"
            raise CnnGenError(
                f"the readings give a {name} of {round(found[i], 2) + 0:g}{beside} W: no figure",
                hint="Is the meter this machine's, and are its clock and this one's the same?",
            )
