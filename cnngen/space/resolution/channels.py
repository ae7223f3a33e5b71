"""Chooses filters so that the channels of every merge fit.

The filters of each convolution are an unknown. `add` makes the sides of a merge equal, so their
unknowns are joined (union-find); `concat` makes a sum. Given and implied values are propagated
first. Then each open unknown, in the order of the text, takes the value of the space's rule, or
the nearest that the sums allow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from cnngen.errors import MergeError, ResolveError, Span
from cnngen.language.tree import Body, Description, Layer, Merge
from cnngen.operations import DEPTHWISE, WORDS
from cnngen.space.resolution.reach import Item
from cnngen.space.space import Space

WITH_FILTERS = {name for name, word in WORDS.items() if "filters" in word.parameter_names}
"""The words whose channels are to be chosen; others keep theirs."""

SQUEEZING = {name for name, word in WORDS.items() if "squeezed" in word.parameter_names}
"""The words whose own sizes follow from the channels that they read."""

MAX_FOLLOWED = 1_000_000
MAX_FOLLOWED_EACH = 1_000
"""How often sums are looked at, at all and for each: the bounds of some that have no solution
climb for ever, each by the other. Those of a space need three looks each."""


def choose_filters(
    items: Sequence[Item],
    description: Description,
    space: Space,
    input_channels: int,
    reducing: set[int],
) -> tuple[dict[int, int], dict[int, int], int]:
    """Choose the filters of each convolution, by position.

    Also return the channels that each squeeze-and-excitation reads, by position, and the final
    ones.

    `reducing` are the positions of the convolutions that reduce the map. Every merge must have
    a mode. Filters start at the space's `first_filters` and grow with each reducing convolution
    after the first; other convolutions keep the current value. Raises `ResolveError` if given
    filters contradict each other.
    """
    channels = _Channels(description)
    unknowns, squeezed, end = _connect(channels, items, input_channels)
    channels.propagate()
    level = 0
    levels: list[list[int]] = []  # of each open merge: main, right and left column
    for position, item in enumerate(items):
        match item:
            case Layer() if position in unknowns:
                given = item.parameters.get("filters")
                groups = item.parameters.get("groups", 1)
                if isinstance(given, int):
                    level = given
                elif groups == DEPTHWISE:
                    channels.settle(unknowns[position], level or space.convolution.first_filters)
                    continue
                elif level == 0:
                    level = space.convolution.first_filters
                elif position in reducing:
                    level += space.convolution.filter_growth
                if given is None and isinstance(groups, int):
                    level = -(-level // groups) * groups
                channels.settle(unknowns[position], level)
            case Merge():
                levels.append([level, level, level])
            case "(":
                level = levels[-1][0]
            case ",":
                levels[-1][2], level = level, levels[-1][1]
            case ")":
                main = max(levels[-1][2], level)
                levels[-1][:2] = main, level
            case "]":
                level = levels.pop()[0]
    filters = {position: channels.known(unknown) for position, unknown in unknowns.items()}
    read = {position: channels.known(unknown) for position, unknown in squeezed.items()}
    return filters, read, channels.known(end)


@dataclass(frozen=True, slots=True)
class _Sum:
    """A concatenation: `total` is the sum of the channels of `left` and `right`."""

    total: int
    left: int
    right: int
    body: Body


@dataclass(slots=True)
class _Channels:
    """Unknown numbers of channels, some known, some equal, some sums of others."""

    description: Description
    parents: list[int] = field(default_factory=list)
    values: dict[int, int] = field(default_factory=dict)
    most: dict[int, int] = field(default_factory=dict)
    least: dict[int, int] = field(default_factory=dict)
    origins: dict[int, Span] = field(default_factory=dict)
    added: dict[int, Body] = field(default_factory=dict)
    sums: list[_Sum] = field(default_factory=list)
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

    def join(self, left: int, right: int, body: Body) -> None:
        """Make the channels of the two sides of an added body equal."""
        a, b = self.find(left), self.find(right)
        if a in self.values and b in self.values and self.values[a] != self.values[b]:
            raise self.different(self.values[a], self.values[b], body)
        # The right side is kept: its values and its origin are nearer to the merge.
        if a in self.values:
            self.values[b] = self.values[a]
        self.added[b] = body
        self.parents[a] = b

    def known(self, unknown: int) -> int:
        return self.values[self.find(unknown)]

    def different(self, left: int, right: int, body: Body) -> MergeError:
        source = self.description.source
        positions = [side[-1].span if side else body.span for side in (body.left, body.right)]
        at = [""] * 2
        if source is not None:
            at = [
                f" (ends at line {line}, column {column})"
                for line, column in (source.position(span.start) for span in positions)
            ]
        return MergeError(
            f"the sides of this merge have different channels: left{at[0]} has {left}, "
            f"right{at[1]} has {right}",
            hint="Give both the same filters, leave one open, or concatenate: [concat …].",
            source=source,
            span=body.span if source else None,
            channels=(left, right),
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
            body = next(iter(by_whole.values()))[0].body
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
                        span=total.body.span if self.description.source else None,
                    )
                roots += self._follow_sum(total)

    def _follow_sum(self, total: _Sum) -> list[int]:
        """Propagate through one sum; returns the members whose bounds have changed."""
        whole, left, right = map(self.find, (total.total, total.left, total.right))
        news = []

        def learn(root: int, value: int) -> None:
            if value < 1 or self.values.get(root, value) != value:
                raise self._impossible(total, whole, left, right)
            if root not in self.values:
                self.values[root] = value
                news.append(root)

        def at_most(root: int, most: int) -> None:
            if most < self._least(root):
                raise self._impossible(total, whole, left, right)
            if root not in self.values and most < self.most.get(root, most + 1):
                self.most[root] = most
                news.append(root)

        def at_least(root: int, least: int) -> None:
            if least <= self._least(root):
                return
            if least > (self._most(root) or least):
                raise self._impossible(total, whole, left, right)
            self.least[root] = least
            news.append(root)

        if left == right and whole in self.values:
            if self.values[whole] % 2:
                raise self._impossible(total, whole, left, right)
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

    def _impossible(self, total: _Sum, whole: int, left: int, right: int) -> ResolveError:
        values = self.values
        if whole in self.added and whole in values and left in values and right in values:
            return self.different(values[whole], values[left] + values[right], self.added[whole])
        parts = " and ".join(
            str(values[part]) if part in values else "1 or more" for part in (left, right)
        )
        return ResolveError(
            f"this merge must give {values.get(whole, '?')} channels, which its sides of {parts} "
            "cannot sum to",
            hint="Leave the filters of one side open, or add: [add …].",
            source=self.description.source,
            span=total.body.span if self.description.source else None,
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
    merges: list[list[int]] = []  # of each open merge: main, right and left column
    open_merges: list[tuple[Merge, int]] = []
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
                merges.append([here, here, here])
                open_merges.append((item, 0))
            case "(":
                here = merges[-1][0]
            case ",":
                merges[-1][2], here = here, merges[-1][1]
            case ")":
                merge, number = open_merges.pop()
                open_merges.append((merge, number + 1))
                left, right, body = merges[-1][2], here, merge.bodies[number]
                if merge.mode == "add":
                    channels.join(left, right, body)
                    whole = right
                else:
                    whole = channels.new()
                    channels.sums.append(_Sum(whole, left, right, body))
                merges[-1][:2] = whole, right
            case "]":
                here = merges.pop()[0]
                open_merges.pop()
    return unknowns, squeezed, here
