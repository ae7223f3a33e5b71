"""Measures the energy and CO2 emissions of a block of code, with CodeCarbon.

CodeCarbon reads hardware counters where there are any, and models the rest. Every figure comes
with its provenance, because modelled figures are less reliable than measured ones.
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
