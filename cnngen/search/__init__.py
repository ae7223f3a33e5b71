"""Search: methods that decide what is trained next, by what came of the trainings before."""

from cnngen.search.problem import (
    OBJECTIVES,
    Candidate,
    Evaluation,
    Losses,
    Objective,
    Problem,
    objectives_named,
)
from cnngen.search.registry import get_searcher, searcher_names
from cnngen.search.searcher import INTERFACE, Searcher, SpaceSearcher

__all__ = [
    "INTERFACE",
    "OBJECTIVES",
    "Candidate",
    "Evaluation",
    "Losses",
    "Objective",
    "Problem",
    "Searcher",
    "SpaceSearcher",
    "get_searcher",
    "objectives_named",
    "searcher_names",
]
