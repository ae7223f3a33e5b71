"""Chooses filters so that the channels of every merge fit.

The filters of each convolution are an unknown. `add` makes the sides of a merge equal, so their
unknowns are joined (union-find); `concat` makes a sum. Given and implied values are propagated
first. Then each open unknown, in the order of the text, takes the value of the space's rule, or
the nearest that the sums allow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from cnngen.errors import MergeError, ResolveError, Span
from cnngen.language.tree import Body, Description, Layer, Merge
from cnngen.operations import DEPTHWISE, WORDS
from cnngen.space.resolution.draw_windows import Drawn
from cnngen.space.resolution.reach import Item
from cnngen.space.space import Random, Space

WITH_FILTERS = {name for name, word in WORDS.items() if "filters" in word.parameter_names}
"""The words whose channels are to be chosen; others keep theirs."""

SQUEEZING = {name for name, word in WORDS.items() if "squeezed" in word.parameter_names}
"""The words whose own sizes follow from the channels that they read."""

MAX_FOLLOWED = 1_000_000
MAX_FOLLOWED_EACH = 1_000
"""How often sums are looked at, at all and for each: the bounds of some that have no solution
climb for ever, each by the other. Those of a space need three looks each."""

MAX_TOLD = 4
"""Sides whose channels a message tells."""


def choose_filters(
    items: Sequence[Item],
    description: Description,
    space: Space,
    input_channels: int,
    drawn: Drawn,
    random: Random,
) -> tuple[dict[int, int], dict[int, int], int]:
    """Choose the filters of each convolution, by position.

    Also return the channels that each squeeze-and-excitation reads, by position, and the final
    ones.

    Every merge must have a mode. Filters start at the space's `first_filters` and grow with each
    convolution after the first that reduces the map, or is free to, as the space has it; other
    convolutions keep the current value. Raises `ResolveError` if given filters contradict each
    other.
    """
    channels = _Channels(description)
    unknowns, squeezed, end = _connect(channels, items, input_channels)
    channels.propagate()
    level = 0
    merges: list[tuple[Merge, _Columns]] = []
    wholes = iter(channels.wholes)
    rule = space.convolution
    for position, item in enumerate(items):
        match item:
            case Layer() if position in unknowns:
                given = item.parameters.get("filters")
                groups = item.parameters.get("groups", 1)
                if isinstance(given, int):
                    level = given
                elif groups == DEPTHWISE:
                    channels.settle(unknowns[position], level or rule.first_filters)
                    continue
                elif level == 0:
                    level = rule.first_filters
                elif (
                    position in drawn.reducing
                    if rule.growing == "reducing"
                    else position not in drawn.kept
                ):
                    level += rule.filter_growth
                if given is None and isinstance(groups, int):
                    level = -(-level // groups) * groups
                channels.settle(unknowns[position], level)
            case Merge():
                merges.append((item, _Columns(level)))
            case "(":
                level = merges[-1][1].main
            case ",":
                level = merges[-1][1].next_side(level)
            case ")":
                merge, columns = merges[-1]
                columns.main = max(columns.end_body(level))
                whole = channels.known(next(wholes))
                if merge.mode == "concat" and space.merge.compression is not None:
                    columns.main = _compressed(whole, space.merge.compression.draw(random))
            case "]":
                level = merges.pop()[1].main
    filters = {position: channels.known(unknown) for position, unknown in unknowns.items()}
    read = {position: channels.known(unknown) for position, unknown in squeezed.items()}
    return filters, read, channels.known(end)


def _compressed(channels: int, share: float) -> int:
    """A share of a number of channels, even and at least 2."""
    return max(2, (int(channels * share) + 1) // 2 * 2)


@dataclass(slots=True)
class _Columns:
    """The channels at the end of a merge's columns, and of the sides of its open body."""

    main: int
    ended: list[int] = field(default_factory=list)
    sides: list[int] = field(default_factory=list)

    def next_side(self, channels: int) -> int:
        """End a side; return the channels that the next one begins with."""
        self.sides.append(channels)
        place = len(self.sides)
        return self.ended[place] if place < len(self.ended) else self.main

    def end_body(self, channels: int) -> list[int]:
        """End the last side of a body; return the channels of all."""
        self.ended, self.sides = [*self.sides, channels], []
        return self.ended


@dataclass(slots=True, eq=False)
class _Joined:
    """A body with the channels of each of its sides, as they end, and those of a concatenation."""

    body: Body
    sides: tuple[int, ...]
    total: int = -1


@dataclass(frozen=True, slots=True)
class _Sum:
    """A concatenation of two sides, or of two neighbouring runs of sides: `total` is the sum of the
    channels of `left` and `right`."""

    total: int
    left: int
    right: int
    joined: _Joined


@dataclass(slots=True)
class _Channels:
    """Unknown numbers of channels, some known, some equal, some sums of others."""

    description: Description
    parents: list[int] = field(default_factory=list)
    values: dict[int, int] = field(default_factory=dict)
    most: dict[int, int] = field(default_factory=dict)
    least: dict[int, int] = field(default_factory=dict)
    origins: dict[int, Span] = field(default_factory=dict)
    added: dict[int, _Joined] = field(default_factory=dict)
    sums: list[_Sum] = field(default_factory=list)
    wholes: list[int] = field(default_factory=list)
    """The channels that each body ends with, in the order in which the walk ends them."""
    sums_of: dict[int, list[_Sum]] = field(default_factory=dict)
    followed: int = 0
    heeded: set[int] = field(default_factory=set)
    """The wholes whose least number can tell something of others: those equal to a convolution
    or to the image or to another sum, and the parts of such. What is summed up in wholes that
    nothing else binds, as many as are nested, need not be summed anew with each convolution."""

    def new(self, value: int | None = None, origin: Span | None = None) -> int:
        unknown = len(self.parents)
        self.parents.append(unknown)
        if value is not None:
            self.values[unknown] = value
        if origin is not None:
            self.origins[unknown] = origin
        return unknown

    def find(self, unknown: int) -> int:
        root = unknown
        while self.parents[root] != root:
            root = self.parents[root]
        while self.parents[unknown] != root:
            self.parents[unknown], unknown = root, self.parents[unknown]
        return root

    def add(self, joined: _Joined) -> int:
        """Make the channels of all sides of a body equal; return them."""
        known = tuple(self.values.get(self.find(side)) for side in joined.sides)
        if len({*known} - {None}) > 1:
            raise self.different(known, joined.body)
        for left, right in pairwise(joined.sides):
            a, b = self.find(left), self.find(right)
            # The later side is kept: its values and its origin are nearer to the merge.
            if a in self.values:
                self.values[b] = self.values[a]
            self.added[b] = joined
            self.parents[a] = b
        return joined.sides[-1]

    def concatenate(self, joined: _Joined) -> int:
        """Make a sum of the channels of all sides of a body; return it.

        Two neighbours at a time, then their sums, so that what is known of one side has few sums
        to go through to the other sides of a merge of very many.
        """
        row = list(joined.sides)
        while len(row) > 1:
            sums = []
            for left, right in zip(row[::2], row[1::2], strict=False):
                sums.append(self.new())
                self.sums.append(_Sum(sums[-1], left, right, joined))
            row = sums + row[len(row) // 2 * 2 :]
        joined.total = row[0]
        return joined.total

    def known(self, unknown: int) -> int:
        return self.values[self.find(unknown)]

    def different(self, channels: tuple[int | None, ...], body: Body) -> MergeError:
        source = self.description.source
        places = [place for place, count in enumerate(channels) if count is not None]
        # Of very many, one and the first that differs from it are enough.
        other = next(place for place in places if channels[place] != channels[places[0]])

        def told(place: int) -> str:
            at = ""
            if source is not None:
                side = body.sides[place]
                line, column = source.position((side[-1] if side else body).span.start)
                at = f" (ends at line {line}, column {column})"
            return f"{body.side_name(place)}{at} has {channels[place]}"

        return MergeError(
            f"the sides of this merge have different channels: {told(places[0])}, {told(other)}",
            hint="Give both the same filters, leave one open, or concatenate: [concat …].",
            source=source,
            span=body.span if source else None,
            channels=channels,
        )

    def propagate(self) -> None:
        """Index the sums and propagate all values that are known so far."""
        if not self.sums:
            return
        self._order()
        for total in self.sums:
            roots = {self.find(total.total), self.find(total.left), self.find(total.right)}
            for root in roots:
                self.sums_of.setdefault(root, []).append(total)
            least = self._least(self.find(total.left)) + self._least(self.find(total.right))
            root = self.find(total.total)
            self.least[root] = max(self.least.get(root, 1), least)
        self._follow([self.find(unknown) for unknown in self.values])

    def _order(self) -> None:
        """Go from each whole to its parts, telling them whether they are heeded.

        A sum is more than its parts: nothing may be a part of itself, however far inside, or
        its bounds would grow forever. Raises `ResolveError` for sums that are left.
        """
        uses: Counter[int] = Counter()
        by_whole: dict[int, list[_Sum]] = {}
        for total in self.sums:
            by_whole.setdefault(self.find(total.total), []).append(total)
            uses.update((self.find(total.left), self.find(total.right)))
        wholes = {total.total for total in self.sums}
        self.heeded = {self.find(each) for each in range(len(self.parents)) if each not in wholes}
        self.heeded.update(root for root, totals in by_whole.items() if len(totals) > 1)
        free = [root for root in by_whole if not uses[root]]
        while free:
            root = free.pop()
            for total in by_whole.pop(root, ()):
                for part in (self.find(total.left), self.find(total.right)):
                    if root in self.heeded:
                        self.heeded.add(part)
                    uses[part] -= 1
                    if not uses[part]:
                        free.append(part)
        if by_whole:
            body = next(iter(by_whole.values()))[0].joined.body
            raise ResolveError(
                "this concatenation may have no more channels than one of its sides",
                hint="Add the sides: [add …], or append a convolution with the channels wanted.",
                source=self.description.source,
                span=body.span if self.description.source else None,
            )

    def settle(self, unknown: int, wish: int) -> None:
        """Set an open unknown to the wanted value, or to the nearest that the sums allow."""
        root = self.find(unknown)
        if root in self.values:
            return
        self.values[root] = max(self._least(root), min(wish, self.most.get(root, wish)))
        self._follow([root])

    def _least(self, root: int) -> int:
        return self.values.get(root) or self.least.get(root, 1)

    def _most(self, root: int) -> int | None:
        return self.values.get(root) or self.most.get(root)

    def _follow(self, roots: list[int]) -> None:
        while roots:
            for total in self.sums_of.get(self.find(roots.pop()), ()):
                self.followed += 1
                if self.followed > MAX_FOLLOWED + MAX_FOLLOWED_EACH * len(self.sums):
                    raise ResolveError(
                        "the channels of these merges depend on each other too much to be matched",
                        hint="Give the filters of more convolutions, or merge by adding alone.",
                        source=self.description.source,
                        span=total.joined.body.span if self.description.source else None,
                    )
                roots += self._follow_sum(total)

    def _follow_sum(self, total: _Sum) -> list[int]:
        """Propagate through one sum; returns the members whose bounds have changed."""
        whole, left, right = map(self.find, (total.total, total.left, total.right))
        news = []

        def learn(root: int, value: int) -> None:
            if value < 1 or self.values.get(root, value) != value:
                raise self._impossible(total.joined)
            if root not in self.values:
                self.values[root] = value
                news.append(root)

        def at_most(root: int, most: int) -> None:
            if most < self._least(root):
                raise self._impossible(total.joined)
            if root not in self.values and most < self.most.get(root, most + 1):
                self.most[root] = most
                news.append(root)

        def at_least(root: int, least: int) -> None:
            if least <= self._least(root):
                return
            if least > (self._most(root) or least):
                raise self._impossible(total.joined)
            self.least[root] = least
            news.append(root)

        if left == right and whole in self.values:
            if self.values[whole] % 2:
                raise self._impossible(total.joined)
            learn(left, self.values[whole] // 2)
        if left in self.values and right in self.values:
            learn(whole, self.values[left] + self.values[right])
        elif whole in self.values and left in self.values:
            learn(right, self.values[whole] - self.values[left])
        elif whole in self.values and right in self.values:
            learn(left, self.values[whole] - self.values[right])
        elif (most := self._most(whole)) is not None:
            at_most(left, most - self._least(right))
            at_most(right, most - self._least(left))
        if whole in self.heeded:
            at_least(whole, self._least(left) + self._least(right))
        for part, other in ((left, right), (right, left)):
            if (most := self._most(other)) is not None:
                at_least(part, self._least(whole) - most)
        return news

    def _impossible(self, joined: _Joined) -> ResolveError:
        whole = self.find(joined.total)
        goal = self.values.get(whole)
        sides = [self.values.get(self.find(side)) for side in joined.sides]
        known = [count for count in sides if count is not None]
        if goal is not None and whole in self.added and len(known) == len(sides):
            added = self.added[whole]
            # The sum is on the side that ends with it, or else on the last.
            places = range(len(added.sides))
            at = next((n for n in places if added.sides[n] == joined.total), places[-1])
            found = (sum(known) if place == at else goal for place in places)
            return self.different(tuple(found), added.body)
        parts = [str(count or "1 or more") for count in sides[:MAX_TOLD]]
        if len(sides) > MAX_TOLD:
            parts.append(f"{len(sides) - MAX_TOLD:,} others")
        return ResolveError(
            f"this merge must give {goal or '?'} channels, which its sides of "
            f"{', '.join(parts[:-1])} and {parts[-1]} cannot sum to",
            hint="Leave the filters of one side open, or add: [add …].",
            source=self.description.source,
            span=joined.body.span if self.description.source else None,
        )


def _connect(
    channels: _Channels, items: Sequence[Item], input_channels: int
) -> tuple[dict[int, int], dict[int, int], int]:
    """Create the unknown of each convolution, joined and summed as the merges require.

    Also return the unknowns that each squeeze-and-excitation reads, and that of the end.
    """
    unknowns: dict[int, int] = {}
    squeezed: dict[int, int] = {}
    here = channels.new(input_channels)
    merges: list[tuple[_Columns, Iterator[Body]]] = []
    joins: list[Callable[[_Joined], int]] = []
    for position, item in enumerate(items):
        match item:
            case Layer() if item.kind in WITH_FILTERS:
                filters = item.parameters.get("filters")
                # A depthwise convolution keeps the channels, unless it is given a multiple.
                if filters is not None or item.parameters.get("groups") != DEPTHWISE:
                    here = channels.new(filters, item.span)  # type: ignore[arg-type]
                unknowns[position] = here
            case Layer() if item.kind in SQUEEZING:
                squeezed[position] = here
            case Merge():
                merges.append((_Columns(here), iter(item.bodies)))
                joins.append(channels.add if item.mode == "add" else channels.concatenate)
            case "(":
                here = merges[-1][0].main
            case ",":
                here = merges[-1][0].next_side(here)
            case ")":
                columns, bodies = merges[-1]
                columns.main = joins[-1](_Joined(next(bodies), tuple(columns.end_body(here))))
                channels.wholes.append(columns.main)
            case "]":
                here = merges.pop()[0].main
                joins.pop()
    return unknowns, squeezed, here
