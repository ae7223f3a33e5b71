"""The tests that a backend's author inherits."""

from __future__ import annotations

from cnngen.backend.testing.computation import ComputationConformance
from cnngen.backend.testing.emission import EmissionConformance


class BackendConformance(EmissionConformance, ComputationConformance):
    """Everything that CNNGen expects of a backend. Inherit it under a name with `Test`."""
