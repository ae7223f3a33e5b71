"""The energy of a window at the plug, by the machine's calibration and the window's load."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cnngen.training.energy.calibration import PowerCalibration, usable_calibration
from cnngen.training.energy.figures import JOULES_PER_KWH, Provenance
from cnngen.training.energy.instrument import Reading


@dataclass(frozen=True, slots=True)
class CalibratedEnergy:
    """Energy in kWh by a calibration, with its standard error in kWh, None if unknown."""

    energy: float
    error: float | None
    calibration: PowerCalibration

    def told_in(self, provenance: Provenance) -> Provenance:
        """A provenance that says which calibration it was."""
        return replace(
            provenance,
            calibration_date=self.calibration.date,
            calibration_method=self.calibration.method,
            calibration_idle_power=self.calibration.idle_power,
            calibration_cpu_power=self.calibration.cpu_power,
            calibration_error=self.error,
        )


def calibrated(reading: Reading, provenance: Provenance) -> CalibratedEnergy | None:
    """Apply this machine's calibration to a reading of the whole machine.

    None without a calibration, in a window too short to tell its load, and where GPUs were read
    that it does not know. In mode `process`, where a modelled CPU has no power at rest, this
    energy has none either and counts the process's own load. In a shared window, `provenance`
    has the shares by which CodeCarbon's energy was apportioned.
    """
    calibration = usable_calibration()
    if calibration is None:
        return None
    own = provenance.models_own_cpu
    load = reading.during.own_of_machine if own else reading.during.machine_share
    share = provenance.cpu_share if provenance.shared else 1.0
    above_idle = _gpu_above_idle(reading, calibration)
    if load is None or share is None or above_idle is None:
        return None
    gpu_share = _gpu_share(provenance, share)
    rest, cpu = (0.0, load) if own else (share, load * share)
    # The energy is the sum of the factors, each times its weight, in J.
    weights = [rest * reading.seconds, cpu * reading.seconds, above_idle * gpu_share]
    joules = sum(w * f for w, f in zip(weights, calibration.factors, strict=False))
    if joules < 0:
        return None
    error = None
    if calibration.covariance is not None:
        size = range(len(calibration.factors))
        variance = sum(
            weights[i] * weights[j] * calibration.covariance[i][j] for i in size for j in size
        )
        error = max(0.0, variance) ** 0.5 / JOULES_PER_KWH
    return CalibratedEnergy(joules / JOULES_PER_KWH, error, calibration)


def _gpu_above_idle(reading: Reading, calibration: PowerCalibration) -> float | None:
    """The GPUs' energy above their idle power in J; None if the calibration is of other GPUs."""
    if calibration.gpu_slope is None or calibration.gpu_idle_power is None:
        return None if reading.gpu else 0.0
    if reading.cards != calibration.cards:
        return None
    return reading.gpu * JOULES_PER_KWH - calibration.gpu_idle_power * reading.seconds


def _gpu_share(provenance: Provenance, cpu_share: float) -> float:
    if not provenance.shared:
        return 1.0
    return cpu_share if provenance.gpu_share is None else provenance.gpu_share
