"""The conformance kit: what every backend must pass, for its author to inherit.

    from cnngen.testing import BackendConformance, Runner

    class TestMine(BackendConformance):
        backend = "mine"
        runner = MyRunner()

`docs/backends.md` tells how. Needs pytest to be run, and nothing more to be imported.
"""

from cnngen.testing.computation import ComputationConformance
from cnngen.testing.conformance import BackendConformance
from cnngen.testing.emission import EmissionConformance
from cnngen.testing.reference import Weights
from cnngen.testing.runner import Case, Outcome, Runner, serve

__all__ = [
    "BackendConformance",
    "Case",
    "ComputationConformance",
    "EmissionConformance",
    "Outcome",
    "Runner",
    "Weights",
    "serve",
]
