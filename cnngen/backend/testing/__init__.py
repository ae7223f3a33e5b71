"""The conformance kit: tests that every backend must pass, for its author to inherit.

    from cnngen.backend.testing import BackendConformance

    class TestMine(BackendConformance):
        backend = "mine"

`docs/backends.md` tells how. Needs pytest to be run, and nothing more to be imported.
"""

from cnngen.backend.model_access import Batch, Runner, Weights
from cnngen.backend.testing.cases import Case, Outcome
from cnngen.backend.testing.computation import ComputationConformance
from cnngen.backend.testing.conformance import BackendConformance
from cnngen.backend.testing.emission import EmissionConformance

__all__ = [
    "BackendConformance",
    "Batch",
    "Case",
    "ComputationConformance",
    "EmissionConformance",
    "Outcome",
    "Runner",
    "Weights",
]
