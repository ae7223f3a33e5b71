"""Search: methods that decide what is trained next, by what came of the trainings before."""

from cnngen.search.problem import (
    OBJECTIVES,
    Candidate,
    Losses,
    Objective,
    Evaluation,
    Problem,
    objectives_named,
)
from cnngen.search.registry import get_searcher, searcher_names
from cnngen.search.searcher import INTERFACE, Searcher, SpaceSearcher

__all__ = [
    "INTERFACE",
    "OBJECTIVES",
    "Candidate",
    "Losses",
    "Objective",
    "Evaluation",
    "Problem",
    "Searcher",
    "SpaceSearcher",
    "get_searcher",
    "objectives_named",
    "searcher_names",
]
