"""The conformance kit: what every backend must pass, for its author to inherit.

    from cnngen.testing import BackendConformance

    class TestMine(BackendConformance):
        backend = "mine"

`docs/backends.md` tells how. Needs pytest to be run, and nothing more to be imported.
"""

from cnngen.runner import Batch, Runner, Weights
from cnngen.testing.computation import ComputationConformance
from cnngen.testing.conformance import BackendConformance
from cnngen.testing.emission import EmissionConformance
from cnngen.testing.runner import Case, Outcome

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
