"""What a stretch of work costs in energy and CO2, and which of the figures were measured.

CodeCarbon reads the machine's counters where there are any, and models the rest. Every
figure comes with its provenance, for the two are not worth the same.
"""

from cnngen.training.energy.figures import Component, Energy, Method, Mode, Provenance, TdpOrigin
from cnngen.training.energy.meter import MeasuredWindow, Meter

__all__ = [
    "Component",
    "Energy",
    "MeasuredWindow",
    "Meter",
    "Method",
    "Mode",
    "Provenance",
    "TdpOrigin",
]
