"""What a machine can run and measure, and what limits the trust in its figures."""

from cnngen.diagnosis.examine import diagnose
from cnngen.diagnosis.finding import Finding, Level

__all__ = ["Finding", "Level", "diagnose"]
