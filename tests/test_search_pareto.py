"""Fronts, crowding and hypervolume against their definitions."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnngen.search.pareto import crowding, dominates, front, fronts, hypervolume, ranked

points = st.integers(1, 3).flatmap(
    lambda axes: st.lists(st.tuples(*[st.integers(0, 5).map(float)] * axes), max_size=12)
)


@given(points)
@settings(max_examples=100)
def test_fronts_are_what_is_left_undominated_once_the_better_ones_are_gone(
    given: list[tuple[float, ...]],
) -> None:
    left = set(range(len(given)))
    for level in fronts(given):
        best = [i for i in left if not any(dominates(given[j], given[i]) for j in left)]
        assert level == sorted(best)
        left -= set(level)
    assert not left
    assert front(given) == (fronts(given)[0] if given else [])
    assert sorted(ranked(given)) == list(range(len(given)))


@given(points)
@settings(max_examples=100)
def test_the_hypervolume_is_the_number_of_unit_cells_that_a_point_dominates(
    given: list[tuple[float, ...]],
) -> None:
    axes = len(given[0]) if given else 2
    cells = [
        cell
        for cell in product(range(5), repeat=axes)
        if any(all(a <= b for a, b in zip(point, cell, strict=True)) for point in given)
    ]
    assert hypervolume(given, (5.0,) * axes) == len(cells)


@given(points, st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_the_hypervolume_grows_with_points_and_forgets_their_order(
    given: list[tuple[float, ...]], random: object
) -> None:
    reference = (4.0,) * (len(given[0]) if given else 2)
    volumes = [hypervolume(given[:count], reference) for count in range(len(given) + 1)]
    assert volumes == sorted(volumes)
    random.shuffle(given)  # type: ignore[attr-defined]
    assert hypervolume(given, reference) == pytest.approx(volumes[-1])


def test_crowding_is_that_of_the_paper() -> None:
    found = crowding([(0.0, 4.0), (1.0, 2.0), (4.0, 0.0), (2.0, 1.0)])
    assert found == [float("inf"), 2 / 4 + 3 / 4, float("inf"), 3 / 4 + 2 / 4]
    # One objective that is equal everywhere divides nothing by zero.
    assert crowding([(1.0,), (1.0,), (1.0,)]).count(float("inf")) == 2


def test_the_less_crowded_comes_first_within_a_front() -> None:
    line = [(0.0, 10.0), (1.0, 9.0), (2.0, 8.0), (7.0, 3.0), (10.0, 0.0)]
    assert ranked([*line, (11.0, 11.0)])[2:] == [3, 2, 1, 5]
