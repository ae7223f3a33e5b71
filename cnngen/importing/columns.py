"""Finds the merges in a graph of operations: the inverse of `cnngen.space.resolution.lower`.

A join belongs to a merge that begins at the join's immediate dominator, the last value that every
path from the images to it goes through. Of its two sides one is a row of layers, the right side;
the other may hold joins of its own: merges inside, or the bodies before. Nothing recurses, so that
nesting is limited by memory alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cnngen.errors import ModelError
from cnngen.importing.matching import MatchedStep
from cnngen.language.trampoline import Recursive, run_recursive
from cnngen.operations import Add


@dataclass(frozen=True, slots=True, eq=False)
class ForkBody:
    """A body of a merge as positions of steps; `swapped` where the model joins the right side first."""

    left: list[ColumnItem]
    right: list[int]
    join: int
    swapped: bool


@dataclass(frozen=True, slots=True, eq=False)
class Fork:
    """A merge that begins at the output of the step `start`."""

    start: int
    adds: bool
    bodies: list[ForkBody]


ColumnItem = int | Fork

Sides = Callable[[Sequence[int], Sequence[int]], bool]
"""Whether two rows of steps can be the left and the right side of a body."""


def main_column(steps: Sequence[MatchedStep], fits: Sides) -> list[ColumnItem]:
    """The steps from behind the input to the last, with merges as forks.

    Raises `ModelError` that names the first join which is none of a merge's.
    """
    column = run_recursive(_Columns(steps, fits).column(0, len(steps) - 1))
    _check_once(steps, column)
    return column


def in_order(column: Sequence[ColumnItem]) -> Iterator[tuple[int, bool]]:
    """The steps in the order of the text, joins behind their sides, each with whether a join's
    sides are swapped."""
    pending: list[ColumnItem | tuple[int, bool]] = [*reversed(column)]
    while pending:
        match pending.pop():
            case Fork(bodies=bodies):
                for body in reversed(bodies):
                    pending.append((body.join, body.swapped))
                    pending += reversed(body.right)
                    pending += reversed(body.left)
            case int(step):
                yield step, False
            case (step, swapped):
                yield step, swapped


def _check_once(steps: Sequence[MatchedStep], column: Sequence[ColumnItem]) -> None:
    seen: set[int] = set()
    for step, _ in in_order(column):
        if step in seen:
            raise _refused(steps[step], "two columns of a merge share it")
        seen.add(step)
    for position, missing in enumerate(steps[1:], 1):
        if position not in seen:
            raise _refused(missing, "it lies in no column of a merge")


def _refused(step: MatchedStep, reason: str) -> ModelError:
    return ModelError(f"{step.where} does not fit into the language's merges: {reason}")


class _Columns:
    def __init__(self, steps: Sequence[MatchedStep], fits: Sides) -> None:
        self.steps = steps
        self.fits = fits
        self.dominators = _dominators(steps)

    def column(self, start: int, end: int) -> Recursive[list[ColumnItem]]:
        """The items between two values."""
        items: list[ColumnItem] = []
        at = end
        while at != start:
            if len(self.steps[at].inputs) == 1:
                items.append(at)
                at = self.steps[at].inputs[0]
            else:
                fork = yield self.fork(at)
                items.append(fork)
                at = fork.start
        return items[::-1]

    def fork(self, join: int) -> Recursive[Fork]:
        """The merge whose last join this is."""
        start = self.dominators[join]
        left, right, swapped = self._sides(join, start)
        ranks = {step: rank for rank, step in enumerate(right, 1)}
        bodies: list[ForkBody] = []
        items: list[ColumnItem] = []
        at = left
        while at != start:
            step = self.steps[at]
            shared = [value for value in step.inputs if value in ranks]
            if len(step.inputs) == 1:
                items.append(at)
                at = step.inputs[0]
            elif self.dominators[at] == start and shared:
                # The join of the body before: the right side goes on from where it reads it.
                rank = ranks[shared[0]]
                if type(step.operation) is not type(self.steps[join].operation):
                    raise _refused(step, "the bodies of one merge all add or all concatenate")
                bodies.append(self._body(items, right[rank:], join, swapped))
                right, items, join = right[:rank], [], at
                swapped = step.inputs[0] == shared[0]
                at = step.inputs[1 - step.inputs.index(shared[0])]
            else:
                fork = yield self.fork(at)
                items.append(fork)
                at = fork.start
                if at < start:
                    raise _refused(step, "its columns begin outside of the merge around it")
        bodies.append(self._body(items, right, join, swapped))
        adds = isinstance(self.steps[join].operation, Add)
        return Fork(start, adds, bodies[::-1])

    def _body(
        self, items: list[ColumnItem], right: list[int], join: int, swapped: bool
    ) -> ForkBody:
        if not items:
            raise _refused(self.steps[join], "its left side would be empty")
        return ForkBody(items[::-1], right, join, swapped)

    def _sides(self, join: int, start: int) -> tuple[int, list[int], bool]:
        """The end of a join's left side, the row of its right side, and whether they are swapped.

        The left one is the first that the model joins, unless only the other can be it.
        """
        first, second = self.steps[join].inputs
        rows = self._row(first, start), self._row(second, start)
        match rows:
            case (None, None):
                raise _refused(self.steps[join], "both its sides hold merges")
            case (None, list(right)):
                return first, right, False
            case (list(right), None):
                return second, right, True
            case (list(one), list(other)):
                if not self.fits(one, other) and self.fits(other, one):
                    return second, one, True
                return first, other, False
        raise AssertionError

    def _row(self, end: int, start: int) -> list[int] | None:
        """The steps between two values; None if there is a join among them."""
        row: list[int] = []
        while end != start:
            if len(self.steps[end].inputs) != 1:
                return None
            row.append(end)
            (end,) = self.steps[end].inputs
        return row[::-1]


def _dominators(steps: Sequence[MatchedStep]) -> list[int]:
    """The immediate dominator of each step (Cooper, Harvey and Kennedy, 2001); 0 is its own."""
    dominators, depths = [0], [0]
    for step in steps[1:]:
        common, *others = step.inputs
        for other in others:
            while common != other:
                if depths[common] < depths[other]:
                    common, other = other, common
                common = dominators[common]
        dominators.append(common)
        depths.append(depths[common] + 1)
    return dominators
