"""Search: methods that decide what is trained next, by what came of the trainings before."""

from cnngen.search.guarded import SearchError
from cnngen.search.journal import Asked, Told, read_journal
from cnngen.search.plan import Budget, SearchPlan
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
from cnngen.search.run import run_search
from cnngen.search.searcher import INTERFACE, Searcher, SpaceSearcher
from cnngen.search.state import SearchState

__all__ = [
    "INTERFACE",
    "OBJECTIVES",
    "Asked",
    "Budget",
    "Candidate",
    "Evaluation",
    "Losses",
    "Objective",
    "Problem",
    "SearchError",
    "SearchPlan",
    "SearchState",
    "Searcher",
    "SpaceSearcher",
    "Told",
    "get_searcher",
    "objectives_named",
    "read_journal",
    "run_search",
    "searcher_names",
]
