"""The tests that a backend's author inherits."""

from __future__ import annotations

from cnngen.testing.computation import ComputationConformance
from cnngen.testing.emission import EmissionConformance


class BackendConformance(EmissionConformance, ComputationConformance):
    """Everything that CNNGen expects of a backend. Inherit it under a name with `Test`."""
