"""The calibration of a machine: its power by a meter at the plug, kept in the user's folder."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from cnngen.errors import CnnGenError, StoreError
from cnngen.system.cache import config_folder
from cnngen.system.files import replacing
from cnngen.system.machine import cpu_name
from cnngen.system.untrusted import read_bytes
from cnngen.training.energy.figures import CalibrationMethod
from cnngen.training.energy.power_fit import PowerFit

MOST_BYTES = 64 * 2**10

Watts = Annotated[float, Field(gt=0, le=1e6)]
Row = Annotated[tuple[Annotated[float, Field(ge=-1e12, le=1e12)], ...], Field(max_length=3)]


@dataclass(frozen=True, kw_only=True)
class PowerCalibration:
    """The power of a machine of that CPU and that many cores, fitted to what a meter read.

    Power in W: `idle_power` + `cpu_power` x load + `gpu_slope` x (power of the `cards` GPUs by
    NVML - `gpu_idle_power`). `covariance` is of the two or three factors, `residual` (W) the
    standard deviation of the `points` about the fit; both None if two readings told no error.
    `gpu_slope` is None if no GPU was calibrated. `date` is ISO 8601, UTC.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False
    )

    schema: Literal[1] = 1
    cpu: Annotated[str, Field(max_length=200)]
    cores: Annotated[int, Field(ge=1, le=2**20)]
    date: Annotated[str, Field(max_length=40)]
    method: CalibrationMethod
    idle_power: Watts
    cpu_power: Watts
    gpu_slope: Watts | None
    gpu_idle_power: Annotated[float, Field(ge=0, le=1e6)] | None
    cards: Annotated[int, Field(ge=0, le=1024)]
    covariance: Annotated[tuple[Row, ...], Field(max_length=3)] | None
    residual: Annotated[float, Field(ge=0, le=1e6)] | None
    points: Annotated[int, Field(ge=2, le=10**6)]

    def __post_init__(self) -> None:
        try:
            dated = datetime.fromisoformat(self.date)
        except ValueError:
            raise StoreError("date: not a date") from None
        if dated.tzinfo is None:
            raise StoreError("date: its offset from UTC is missing")
        if self.gpu_slope is not None and (self.gpu_idle_power is None or not self.cards):
            raise StoreError("gpu_slope: the GPUs or their idle power are missing")
        if self.covariance is not None:
            self._check_covariance(self.covariance)

    def _check_covariance(self, rows: tuple[tuple[float, ...], ...]) -> None:
        size = len(self.factors)
        if len(rows) != size or any(len(row) != size for row in rows):
            raise StoreError(f"covariance: not {size} rows of {size} figures")
        for i in range(size):
            for j in range(size):
                most = rows[i][i] * rows[j][j] * (1 + 1e-6)
                if rows[i][i] < 0 or rows[i][j] != rows[j][i] or rows[i][j] ** 2 > most:
                    raise StoreError("covariance: not a matrix of covariances")

    @property
    def factors(self) -> tuple[float, ...]:
        """Power at rest, CPU slope, and GPU slope if there is one, in the order of `covariance`."""
        known = (self.idle_power, self.cpu_power)
        return known if self.gpu_slope is None else (*known, self.gpu_slope)

    @property
    def errors(self) -> tuple[float, ...] | None:
        """The standard errors of `factors`."""
        if self.covariance is None:
            return None
        return tuple(row[i] ** 0.5 for i, row in enumerate(self.covariance))

    def to_json(self) -> str:
        """The calibration as JSON text."""
        return _calibration_type().dump_json(self, indent=2).decode() + "\n"

    @classmethod
    def from_json(cls, text: bytes) -> PowerCalibration:
        """Read a calibration from JSON text. Raises `StoreError` if it is not a complete one."""
        try:
            return _calibration_type().validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise StoreError(f"{place + ': ' if place else ''}{first['msg']}") from None


@cache
def _calibration_type() -> TypeAdapter[PowerCalibration]:
    return TypeAdapter(PowerCalibration)


def new_calibration(
    fit: PowerFit, method: CalibrationMethod, *, cards: int = 0
) -> PowerCalibration:
    """The calibration of this machine, now, by a fit. Raises `CnnGenError` for impossible watts."""
    made = PowerCalibration(
        cpu=cpu_name()[:200],
        cores=os.cpu_count() or 1,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        method=method,
        idle_power=fit.idle,
        cpu_power=fit.cpu,
        gpu_slope=fit.gpu,
        gpu_idle_power=fit.gpu_idle,
        cards=cards,
        covariance=_symmetric(fit.covariance),
        residual=fit.residual,
        points=fit.points,
    )
    try:
        return PowerCalibration.from_json(made.to_json().encode())
    except StoreError as error:
        raise CnnGenError(f"the readings give no possible calibration: {error.message}") from None


def calibration_file() -> Path:
    """Where this machine's calibration is kept: one file for each name of a CPU and its cores.

    Raises `StoreError` if the user has no home.
    """
    machine = f"{cpu_name()[:200]}, {os.cpu_count() or 1}"
    name = f"power-{hashlib.sha256(machine.encode()).hexdigest()[:8]}.json"
    try:
        return config_folder() / name
    except RuntimeError:
        raise StoreError("there is no home folder", hint="Name a folder: CNNGEN_CONFIG.") from None


def read_calibration() -> PowerCalibration | None:
    """Read this machine's calibration, None without one. Raises `StoreError` if it is broken."""
    path = calibration_file()
    try:
        found = PowerCalibration.from_json(read_bytes(path, MOST_BYTES, root=path.parent))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _broken(path, error.strerror or str(error)) from None
    except StoreError as error:
        raise _broken(path, f"is no calibration: {error.message}") from None
    if (found.cpu, found.cores) != (cpu_name()[:200], os.cpu_count() or 1):
        raise _broken(path, "is of another machine")
    return found


def keep_calibration(calibration: PowerCalibration) -> Path:
    """Keep a calibration for this machine; gives its file. Raises `StoreError`."""
    path = calibration_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(calibration.to_json().encode())
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from None
    return path


def remove_calibration() -> Path | None:
    """Remove this machine's calibration; gives its file, None if there was none.

    Raises `StoreError` if it cannot be removed.
    """
    path = calibration_file()
    try:
        path.unlink()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be removed: {error.strerror}") from None
    return path


def watts_text(watts: float, error: float | None) -> str:
    """Power in W as text, with its standard error if that is known."""
    return f"{watts:.1f} W" + ("" if error is None else f" +- {error:.1f}")


def usable_calibration() -> PowerCalibration | None:
    """This machine's calibration, None without one or if it is broken."""
    with suppress(StoreError):
        return read_calibration()
    return None


def _symmetric(
    rows: tuple[tuple[float, ...], ...] | None,
) -> tuple[tuple[float, ...], ...] | None:
    """A covariance without the last bits, in which an inverted matrix is not symmetric."""
    if rows is None:
        return None
    size = range(len(rows))
    return tuple(tuple((rows[i][j] + rows[j][i]) / 2 for j in size) for i in size)


def _broken(path: Path, reason: str) -> StoreError:
    return StoreError(f"{path} {reason}", hint="Remove it: cnngen energy forget")
