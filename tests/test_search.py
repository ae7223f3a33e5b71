"""Search methods on objectives that are computed at once."""

from __future__ import annotations

from itertools import islice

from cnngen.search import Evaluation, Problem, get_searcher, objectives_named
from cnngen.space import load_space
from cnngen.space.sampling import sample_many

SPACE = load_space("compact")


def problem(*names: str) -> Problem:
    return Problem(SPACE, (8, 8, 1), 3, objectives_named(names or ("accuracy",)))


def test_random_search_asks_for_the_networks_of_sample_many_whatever_it_is_told() -> None:
    searcher = get_searcher("random")(problem(), seed=3)
    asked = []
    for _ in range(4):
        candidate = searcher.ask()
        asked.append(candidate.network.id)
        searcher.tell(candidate, Evaluation("nan"))
    drawn = sample_many(4, "compact", input_shape=(8, 8, 1), classes=3, seed=3)
    assert asked == [network.id for network in islice(drawn, 4)]
