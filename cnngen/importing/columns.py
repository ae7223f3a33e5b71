"""Finds the merges in a graph of operations: the inverse of `cnngen.space.resolution.lower`.

A join belongs to a merge that begins at the join's immediate dominator, the last value that every
path from the images to it goes through. Of the two sides of a body one is a row of layers, the right
side; the other may hold joins of its own: merges inside, or the bodies before. What is no body of the
published language is branches. Nothing recurses, so that nesting is limited by memory alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from cnngen.errors import ModelError
from cnngen.importing.matching import MatchedStep
from cnngen.language.trampoline import Recursive, run_recursive


@dataclass(frozen=True, slots=True, eq=False)
class ForkBody:
    """A body of a merge as positions of steps; `swapped` where the model adds the right side first.

    `bare` are branches, of which there may be more than two.
    """

    sides: list[list[ColumnItem]]
    join: int
    swapped: bool = False
    bare: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Fork:
    """A merge that begins at the output of the step `start`."""

    start: int
    adds: bool
    bodies: list[ForkBody]


ColumnItem = int | Fork

Place = Literal["left", "right", "branch"]

Check = Callable[[Sequence[ColumnItem], Place], ModelError | None]
"""Why a row of steps and merges cannot stand in a place of a merge; None if it can."""


def main_column(steps: Sequence[MatchedStep], check: Check) -> list[ColumnItem]:
    """The steps from behind the input to the last, with merges as forks.

    Raises `ModelError` that names the first join which is none of a merge's.
    """
    column = run_recursive(_Columns(steps, check).column(0, len(steps) - 1))
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
                    for side in reversed(body.sides):
                        pending += reversed(side)
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
    def __init__(self, steps: Sequence[MatchedStep], check: Check) -> None:
        self.steps = steps
        self.check = check
        self.dominators = _dominators(steps)
        self.forks: dict[int, Fork] = {}

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
        """The merge whose last join this is: of bodies if it can be one, else of branches."""
        if join in self.forks:
            return self.forks[join]
        start = self.dominators[join]
        adds = self.steps[join].operation.joined == "added"
        bodies = None
        if len(self.steps[join].inputs) == 2:
            bodies = yield self._bodies(join, start)
        if bodies is None:
            sides = []
            for end in self.steps[join].inputs:
                side = yield self.column(start, end)
                if error := self.check(side, "branch"):
                    raise error
                sides.append(side)
            bodies = [ForkBody(sides, join, bare=True)]
        self.forks[join] = Fork(start, adds, bodies)
        return self.forks[join]

    def _bodies(self, join: int, start: int) -> Recursive[list[ForkBody] | None]:
        """The bodies of the merge whose last join this is; None if it is no merge of bodies."""
        found = self._sides(join, start)
        if found is None:
            return None
        left, right, swapped = found
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
            elif self.dominators[at] == start and shared and len(step.inputs) == 2:
                # The join of the body before: the right side goes on from where it reads it.
                rank = ranks[shared[0]]
                if type(step.operation) is not type(self.steps[join].operation):
                    raise _refused(step, "the bodies of one merge all add or all concatenate")
                bodies.append(ForkBody([items[::-1], [*right[rank:]]], join, swapped))
                right, items, join = right[:rank], [], at
                swapped = step.inputs[0] == shared[0]
                at = step.inputs[1 - step.inputs.index(shared[0])]
            else:
                fork = yield self.fork(at)
                items.append(fork)
                at = fork.start
                if at < start:
                    raise _refused(step, "its columns begin outside of the merge around it")
        bodies.append(ForkBody([items[::-1], [*right]], join, swapped))
        for body in bodies:
            if self.check(body.sides[0], "left") or self.check(body.sides[1], "right"):
                return None
        return bodies[::-1]

    def _sides(self, join: int, start: int) -> tuple[int, list[int], bool] | None:
        """The end of a join's left side, the row of its right side, and whether they are swapped.

        The left one is the first that the model joins, unless only the other can be it, which
        a concatenation would put into another order.
        """
        first, second = self.steps[join].inputs
        adds = self.steps[join].operation.joined == "added"
        rows = self._row(first, start), self._row(second, start)
        match rows:
            case (None, list(right)):
                return first, right, False
            case (list(right), None):
                return (second, right, True) if adds else None
            case (list(one), list(other)):
                if self._are_sides(one, other) or not (adds and self._are_sides(other, one)):
                    return first, other, False
                return second, one, True
        return None

    def _are_sides(self, left: Sequence[int], right: Sequence[int]) -> bool:
        return not (self.check(left, "left") or self.check(right, "right"))

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
