"""Search methods on objectives that are computed at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import pytest

from cnngen.errors import CnnGenError
from cnngen.network import Network
from cnngen.search import (
    Candidate,
    Evaluation,
    Problem,
    Searcher,
    get_searcher,
    objectives_named,
    searcher_names,
)
from cnngen.space import load_space
from cnngen.space.sampling import Bounds, sample, sample_many
from cnngen.space.variation import OPERATORS, inside

SPACE = load_space("compact")
BOUNDS = Bounds(layers=(None, 30))


def problem(*names: str, **settings: object) -> Problem:
    return Problem(
        SPACE,
        (8, 8, 1),
        3,
        objectives_named(names or ("accuracy",)),
        bounds=BOUNDS,
        **settings,  # type: ignore[arg-type]
    )


def accuracy(network: Network) -> float:
    """A made-up figure, best for some number of weights and few layers."""
    cost = network.cost
    return 1 / (1 + abs(math.log2(cost.parameters / 9000)) + 0.1 * abs(cost.layers - 9))


def evaluation(candidate: Candidate, fails: bool = False) -> Evaluation:
    if fails:
        return Evaluation("nan")
    network = candidate.network
    figures = {"accuracy": accuracy(network), "energy": network.cost.flops / 1e9}
    return Evaluation("ok", figures, candidate.epochs or 1, (figures["accuracy"],))


def drive(
    searcher: Searcher,
    count: int,
    *,
    delay: int = 0,
    fails: Callable[[int], bool] = lambda number: False,
    shuffle: Random | None = None,
) -> list[Candidate]:
    """Ask so often, and tell with `delay` candidates still open, in any order."""
    asked: list[Candidate] = []
    waiting: list[tuple[int, Candidate]] = []
    for number in range(count):
        candidate = searcher.ask()
        asked.append(candidate)
        waiting.append((number, candidate))
        while len(waiting) > delay:
            at = shuffle.randrange(len(waiting)) if shuffle else 0
            own, one = waiting.pop(at)
            searcher.tell(one, evaluation(one, fails(own)))
    return asked


METHODS = searcher_names()


def test_random_search_asks_for_the_networks_of_sample_many_whatever_it_is_told() -> None:
    searcher = get_searcher("random")(problem(), seed=3)
    asked = [candidate.network.id for candidate in drive(searcher, 4, fails=lambda _: True)]
    drawn = sample_many(4, "compact", input_shape=(8, 8, 1), classes=3, seed=3, bounds=BOUNDS)
    assert asked == [network.id for network in islice(drawn, 4)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("names", [("accuracy",), ("accuracy", "energy")])
def test_equal_searches_make_equal_decisions_inside_the_space(
    method: str, names: tuple[str, ...]
) -> None:
    def run(seed: int) -> list[Candidate]:
        return drive(get_searcher(method)(problem(*names, epochs=9), seed=seed), 27)

    first = run(1)
    assert first == run(1)
    assert [one.network.id for one in first] != [one.network.id for one in run(2)]
    for candidate in first:
        assert inside(candidate.network, SPACE, BOUNDS) is None
    keys = [(one.network.id, one.epochs) for one in first]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_takes_what_it_is_told_late_in_any_order_and_as_failures(method: str) -> None:
    searcher = get_searcher(method)(problem("accuracy", "energy", epochs=9), seed=5)
    asked = drive(searcher, 40, delay=6, fails=lambda n: n % 3 == 0, shuffle=Random(0))
    assert len(asked) == 40
    worst = get_searcher(method)(problem(epochs=9), seed=5)
    assert len(drive(worst, 25, fails=lambda _: True)) == 25


@pytest.mark.parametrize("method", METHODS)
def test_a_search_that_goes_on_decides_as_one_that_was_never_interrupted(method: str) -> None:
    whole = get_searcher(method)(problem(epochs=9), seed=4)
    asked = drive(whole, 30)
    for stop in (3, 22, 24, 27):
        again = get_searcher(method)(problem(epochs=9), seed=4)
        for candidate in asked[:stop]:
            again.resume(candidate)
            again.tell(candidate, evaluation(candidate))
        assert drive(again, 30 - stop) == asked[stop:]


@pytest.mark.parametrize("method", ["evolution", "nsga2", "model"])
def test_methods_that_learn_ask_for_better_networks_than_random_ones(method: str) -> None:
    def later(name: str, seed: int) -> list[float]:
        asked = drive(get_searcher(name)(problem(), seed=seed), 45)
        return [accuracy(candidate.network) for candidate in asked[25:]]

    learnt, random = (
        [figure for seed in range(2) for figure in later(name, seed)] for name in (method, "random")
    )
    assert median(learnt) > 1.3 * median(random)


def test_the_model_says_what_it_expects_and_is_not_far_off() -> None:
    asked = drive(get_searcher("model")(problem("accuracy", "energy"), seed=1), 50)
    predicted = [one for one in asked if one.predicted]
    assert len(predicted) > 20
    assert {name for one in predicted for name in one.predicted} == {"accuracy", "energy"}
    off = [
        abs(math.log(one.predicted["energy"] * 1e9 / one.network.cost.flops)) for one in predicted
    ]
    assert median(off) < math.log(1.5)


def test_the_method_in_the_docs_climbs() -> None:
    text = (Path(__file__).parents[1] / "docs" / "search.md").read_text("utf-8")
    block = text[text.index("from cnngen.search import SpaceSearcher") :]
    names: dict[str, Any] = {}
    exec(block[: block.index("```")], names)
    asked = drive(names["Climber"](problem(), seed=0), 25)
    assert max(map(accuracy, (one.network for one in asked[10:]))) > accuracy(asked[0].network)
    assert {one.operator for one in asked[1:]} <= {*OPERATORS, "sample"}


def test_starting_points_come_first_even_from_outside_the_space() -> None:
    wide = sample("paper", input_shape=(8, 8, 1), classes=3, seed=12)
    assert inside(wide, SPACE) is not None
    inner = sample("compact", input_shape=(8, 8, 1), classes=3, seed=1, bounds=BOUNDS)
    for method in METHODS:
        searcher = get_searcher(method)(problem(starts=(wide, inner, wide)), seed=0)
        asked = drive(searcher, 30)
        assert [one.network for one in asked[:2]] == [wide, inner]
        assert [one.operator for one in asked[:3]] == ["start", "start", "sample"]


def test_halving_trains_the_best_third_longer() -> None:
    searcher = get_searcher("halving")(problem(epochs=18), seed=0)
    asked = drive(searcher, 40)
    lengths = [one.epochs for one in asked]
    assert set(lengths) == {2, 6, None}
    short = [one for one in asked if one.epochs == 2]
    longer = {one.network.id for one in asked if one.epochs == 6}
    assert all(one.operator == "longer" for one in asked if one.epochs != 2)
    assert len(longer) == len([one for one in asked if one.epochs == 6])
    figures = sorted((accuracy(one.network) for one in short), reverse=True)
    promoted = [accuracy(one.network) for one in short if one.network.id in longer]
    assert median(promoted) >= median(figures)


def test_what_cannot_be_searched_for_is_refused() -> None:
    with pytest.raises(CnnGenError, match="no objective 'speed'") as refused:
        objectives_named(["speed"])
    assert "accuracy" in str(refused.value.hint)
    with pytest.raises(CnnGenError, match="given twice"):
        objectives_named(["energy", "energy"])
    with pytest.raises(CnnGenError, match="needs an objective"):
        objectives_named([])
    with pytest.raises(CnnGenError, match="no search method 'magic'"):
        get_searcher("magic")
