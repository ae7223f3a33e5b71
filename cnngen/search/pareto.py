"""Sorting by several objectives, of each of which less is better."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import inf

from cnngen.search.problem import Losses


def dominates(one: Losses, other: Losses) -> bool:
    """Whether one is at least as good in every objective, and better in one."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def fronts(points: Sequence[Losses]) -> list[list[int]]:
    """Sort points into fronts (Deb et al., 2002, A fast and elitist multiobjective genetic algorithm).

    The first has the positions of the points that none dominates, the next those that only
    points of the first dominate, and so on. Equal points share a front. O(n²) comparisons.
    """
    dominated: list[list[int]] = [[] for _ in points]
    by = [0] * len(points)
    for i, one in enumerate(points):
        for j in range(i):
            if dominates(one, points[j]):
                dominated[i].append(j)
                by[j] += 1
            elif dominates(points[j], one):
                dominated[j].append(i)
                by[i] += 1
    found: list[list[int]] = []
    front = [i for i, count in enumerate(by) if not count]
    while front:
        found.append(front)
        following: list[int] = []
        for i in front:
            for j in dominated[i]:
                by[j] -= 1
                if not by[j]:
                    following.append(j)
        front = sorted(following)
    return found


def front(points: Sequence[Losses]) -> list[int]:
    """The positions of the points that no other dominates."""
    best: list[int] = []
    # In this order no later point dominates an earlier one.
    for i in sorted(range(len(points)), key=points.__getitem__):
        if not any(dominates(points[j], points[i]) for j in best):
            best.append(i)
    return sorted(best)


def crowding(points: Sequence[Losses]) -> list[float]:
    """The crowding distance of each point of a front (Deb et al., 2002): the sum over the objectives
    of the gap between its neighbours, as a share of the whole; infinite at the ends."""
    distances = [0.0] * len(points)
    for axis in range(len(points[0]) if points else 0):
        order = sorted(range(len(points)), key=lambda i: points[i][axis])
        low, high = points[order[0]][axis], points[order[-1]][axis]
        distances[order[0]] = distances[order[-1]] = inf
        if high > low:
            for before, i, after in zip(order, order[1:], order[2:], strict=False):
                distances[i] += (points[after][axis] - points[before][axis]) / (high - low)
    return distances


def ranked(points: Sequence[Losses]) -> list[int]:
    """Positions from the best point to the worst: by front, within it the less crowded first."""
    order: list[int] = []
    for level in fronts(points):
        distances = crowding([points[i] for i in level])
        order += [
            i for _, i in sorted(zip(distances, level, strict=True), key=lambda pair: -pair[0])
        ]
    return order


def hypervolume(points: Sequence[Losses], reference: Losses) -> float:
    """The volume that points dominate below a reference point, of which they are better.

    Points that are not better than the reference in every objective add nothing. By slices
    along the last objective, for any number of objectives; fast for two and three.
    """
    inside = [
        point for point in points if all(a < b for a, b in zip(point, reference, strict=True))
    ]
    return _volume([inside[i] for i in front(inside)], reference)


def _volume(points: list[Losses], reference: Losses) -> float:
    if not points:
        return 0.0
    if len(reference) == 1:
        return reference[0] - min(point[0] for point in points)
    if len(reference) == 2:
        return sum(width * depth for width, depth in _steps(points, reference))
    points = sorted(points, key=lambda point: point[-1])
    ends = [point[-1] for point in points] + [reference[-1]]
    total = 0.0
    for count, (low, high) in enumerate(pairwise(ends), 1):
        if high > low:
            below = [point[:-1] for point in points[:count]]
            total += (high - low) * hypervolume(below, reference[:-1])
    return total


def _steps(points: list[Losses], reference: Losses) -> Iterator[tuple[float, float]]:
    """Width and depth of the rectangles under the staircase of a front of two objectives."""
    ordered = sorted(points)
    ends = [point[0] for point in ordered] + [reference[0]]
    for (low, high), point in zip(pairwise(ends), ordered, strict=True):
        yield high - low, reference[1] - point[1]
