"""The operators: each makes one edit of a draft, at a place drawn at random.

An operator keeps to the numbers of things that a space allows, and leaves the hyper-parameters of
what it puts in open. What an edit cannot be told beforehand, such as a depth or a share of 0, is
checked behind it (`cnngen.space.variation.draft.first_fault`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from cnngen.language.tree import Description, Layer
from cnngen.operations import WORDS
from cnngen.space.sampling import LAYERS, SentenceSampler
from cnngen.space.space import Random, Space
from cnngen.space.variation.draft import (
    Draft,
    DraftBody,
    DraftDense,
    DraftLeft,
    DraftMerge,
    DraftUnit,
    Extraction,
    body_of,
    extraction_of,
    kinds_of,
    left_of,
    merge_of,
    values_of,
)
from cnngen.space.variation.draft import Range as Counts

Item = TypeVar("Item")
Edit = tuple[str, Callable[[], object]]
"""What is edited, such as `body`, and a function that does it."""

FILTER_STEPS = 2
"""By how many steps of the space's rule `change` makes filters more or fewer."""


@dataclass(frozen=True, slots=True)
class Row:
    """A list in a draft, how many items the space allows in it, and how a fresh one is drawn."""

    what: str
    items: list[Any]
    counts: Counts
    fresh: Callable[[], Any]

    @property
    def may_grow(self) -> bool:
        return len(self.items) < self.counts[1]

    @property
    def may_shrink(self) -> bool:
        return len(self.items) > self.counts[0]

    def renew(self, number: int) -> None:
        """Draw an item anew."""
        self.items[number] = self.fresh()

    def grow(self, number: int) -> None:
        """Put a fresh item before another, or at the end."""
        self.items.insert(number, self.fresh())

    def double(self, number: int) -> None:
        """Put a copy of an item behind it."""
        self.items.insert(number, twin(self.items[number]))

    def exchange(self, number: int) -> None:
        """Exchange an item and the next."""
        items = self.items
        items[number], items[number + 1] = items[number + 1], items[number]


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for a dropout or a pooling, and the layers that may stand in it."""

    owner: Any
    name: str
    share: float
    fresh: Callable[[], Layer]


class Site:
    """A draft in a space, as the operators see it."""

    def __init__(self, draft: Draft, space: Space, random: Random, limit: int) -> None:
        self.draft = draft
        self.space = space
        self.random = random
        layers = sum(layer.kind not in ("dropout", "dense") for layer in layers_of(draft))
        self.sampler = SentenceSampler(space, random, min(limit, space.max_layers), layers)

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items, each as likely."""
        return items[int(self.random() * len(items))]

    def rows(self) -> Iterator[Row]:
        """All lists of items that can be put in, left out or swapped."""
        space, section = self.space, self.space.merge
        yield Row("extraction", self.draft.extractions, space.features.count, self.extraction)
        least, most = space.classification.dense
        yield Row("dense", self.draft.hidden, (least - 1, most - 1), self.dense)
        for merge, depth in self.draft.merges():
            bodies = section.bodies if depth == 1 else section.nested_bodies
            fresh = partial(self.body, len(merge.bodies), depth)
            yield Row("body", merge.bodies, bodies, fresh)
            for one in merge.bodies:
                for run, counts in self.runs(one.left):
                    yield Row("unit", run, counts, self.unit)
                if one.right:
                    counts = section.right_convolutions
                    yield Row("convolution", one.right, counts, self.convolution)

    def runs(self, left: DraftLeft) -> Iterator[tuple[list[DraftUnit], Counts]]:
        """The runs of convolutions of a left branch, with how many each may have."""
        section = self.space.merge
        if not left.merges:
            yield left.runs[0], section.left_convolutions
            return
        yield left.runs[0], section.convolutions_before_nested
        for run in left.runs[1:]:
            yield run, section.convolutions_after_nested

    def slots(self) -> Iterator[Slot]:
        """All places for a dropout or a pooling."""
        space, merge = self.space, self.space.merge
        dropout = partial(LAYERS.__getitem__, "dropout")
        for extraction in self.draft.extractions:
            yield Slot(extraction, "dropout", space.features.dropout, dropout)
            yield Slot(extraction, "pooling", space.features.pooling, self.pooling)
        for dense in (*self.draft.hidden, self.draft.output):
            yield Slot(dense, "dropout", space.classification.dropout, dropout)
        for one, _ in self.draft.merges():
            for body in one.bodies:
                yield Slot(body.left, "first_pooling", merge.pooling_first, self.pooling)
                yield Slot(body.left, "last_pooling", merge.pooling_last, self.pooling)
                for run in body.left.runs:
                    for unit in run:
                        yield Slot(unit, "dropout", merge.dropout, dropout)

    def lone_bodies(self) -> list[DraftBody]:
        """The bodies whose right branch may be Empty or not."""
        share = self.space.merge.empty_right
        if not 0 < share < 1:
            return []
        return [one.bodies[0] for one, _ in self.draft.merges() if len(one.bodies) == 1]

    def extraction(self) -> Extraction:
        return extraction_of(self.sampler.extraction())

    def body(self, count: int, depth: int) -> DraftBody:
        # A second one makes the first's right branch one of several, none of which is Empty.
        return body_of(self.sampler.body(count, depth), depth)

    def convolution(self) -> Layer:
        return self.sampler.draw(self.space.convolution.kinds)

    def pooling(self) -> Layer:
        return self.sampler.draw(self.space.pooling.kinds)

    def unit(self) -> DraftUnit:
        dropout = LAYERS["dropout"] if self.sampler.chance(self.space.merge.dropout) else None
        return DraftUnit(self.convolution(), dropout)

    def dense(self) -> DraftDense:
        drops = self.sampler.chance(self.space.classification.dropout)
        return DraftDense(LAYERS["dense"], LAYERS["dropout"] if drops else None)


def twin(item: Any) -> Any:
    """Copy an item of a draft, sharing none of its parts that can be changed."""
    match item:
        case DraftUnit() | DraftDense():
            return dataclasses.replace(item)
        case DraftBody(left, right):
            return DraftBody(twin(left), list(right))
        case DraftMerge(mode, bodies):
            return DraftMerge(mode, list(map(twin, bodies)))
        case DraftLeft(runs, merges):
            runs = [list(map(twin, run)) for run in runs]
            return dataclasses.replace(item, runs=runs, merges=list(map(twin, merges)))
        case Extraction(core):
            return dataclasses.replace(item, core=twin(core))
    return item  # a layer, which cannot be changed


def layers_of(draft: Draft) -> Iterator[Layer]:
    """All layers of a draft, in the order of the text."""
    return (layer_at(owner, key) for owner, key in places(draft))


def places(draft: Draft) -> Iterator[tuple[Any, int | str]]:
    """Where the layers of a draft stand, in the order of the text: a list and a position in it, or
    an object and the name of its field."""
    for one in draft.extractions:
        if isinstance(one.core, DraftMerge):
            yield from _places_in(one.core)
        else:
            yield one, "core"
        yield from ((one, name) for name in ("dropout", "pooling") if getattr(one, name))
    yield draft, "interstice"
    for dense in (*draft.hidden, draft.output):
        if dense.dropout:
            yield dense, "dropout"
        yield dense, "dense"


def _places_in(merge: DraftMerge) -> Iterator[tuple[Any, int | str]]:
    for body in merge.bodies:
        left = body.left
        if left.first_pooling:
            yield left, "first_pooling"
        for number, run in enumerate(left.runs):
            if number:
                yield from _places_in(left.merges[number - 1])
            for unit in run:
                yield unit, "convolution"
                if unit.dropout:
                    yield unit, "dropout"
        if left.last_pooling:
            yield left, "last_pooling"
        yield from ((body.right, number) for number in range(len(body.right)))


def layer_at(owner: Any, key: int | str) -> Layer:
    """The layer in a place of `places`."""
    layer: Layer = getattr(owner, key) if isinstance(key, str) else owner[key]
    return layer


def put(owner: Any, key: int | str, layer: Layer) -> None:
    """Put a layer into a place of `places`."""
    if isinstance(key, str):
        setattr(owner, key, layer)
    else:
        owner[key] = layer


def renewing(site: Site) -> Iterator[Edit]:
    """Draw a part anew, by the rule of the space that the part is of."""
    for row in site.rows():
        for number in range(len(row.items)):
            yield row.what, partial(row.renew, number)
    yield "head", partial(_put_head, site, None)
    for merge, depth in site.draft.merges():
        for body in merge.bodies:
            yield "left", partial(_renew_left, site, body, depth)
            if body.right:
                yield "right", partial(_renew_right, site, body)


def _put_head(site: Site, donor: Draft | None) -> None:
    """Take the head of another draft, or a fresh one."""
    other = donor or Draft.of(Description((), site.sampler.head()))
    site.draft.interstice = other.interstice
    site.draft.hidden[:] = map(twin, other.hidden)
    site.draft.output = twin(other.output)


def _renew_left(site: Site, body: DraftBody, depth: int) -> None:
    body.left = left_of(site.sampler.left(depth), depth)


def _renew_right(site: Site, body: DraftBody) -> None:
    body.right[:] = site.sampler.right()


def inserting(site: Site) -> Iterator[Edit]:
    """Put a fresh part in: an extraction, a convolution, a body, a nested merge, a dense layer, a
    dropout, a pooling, or a right branch where there is none."""
    for row in site.rows():
        if row.may_grow:
            for number in range(len(row.items) + 1):
                yield row.what, partial(row.grow, number)
    for slot in site.slots():
        if slot.share > 0 and getattr(slot.owner, slot.name) is None:
            yield "slot", partial(_fill, slot)
    for body in site.lone_bodies():
        if not body.right:
            yield "right", partial(_renew_right, site, body)
    most = site.space.merge.nested_merges[1]
    for left, depth in _with_merges(site):
        if len(left.merges) < most:
            for number in range(len(left.merges) + 1):
                yield "merge", partial(_nest, site, left, number, depth)


def _fill(slot: Slot) -> None:
    setattr(slot.owner, slot.name, slot.fresh())


def _with_merges(site: Site) -> Iterator[tuple[DraftLeft, int]]:
    """The left branches that have merges, and the depth of the merge that each is of."""
    for merge, depth in site.draft.merges():
        yield from ((body.left, depth) for body in merge.bodies if body.left.merges)


def _nest(site: Site, left: DraftLeft, number: int, depth: int) -> None:
    section = site.space.merge
    inner = merge_of(site.sampler.merge(section.nested_bodies, depth + 1), depth + 1)
    run = [site.unit() for _ in range(site.sampler.between(section.convolutions_after_nested))]
    left.merges.insert(number, inner)
    left.runs.insert(number + 1, run)


def deleting(site: Site) -> Iterator[Edit]:
    """Take a part out: what `insert` puts in."""
    for row in site.rows():
        if row.may_shrink:
            for number in range(len(row.items)):
                yield row.what, partial(row.items.pop, number)
    for slot in site.slots():
        if slot.share < 1 and getattr(slot.owner, slot.name) is not None:
            yield "slot", partial(setattr, slot.owner, slot.name, None)
    for body in site.lone_bodies():
        if body.right:
            yield "right", body.right.clear
    least = site.space.merge.nested_merges[0]
    for left, _ in _with_merges(site):
        if len(left.merges) > least:
            for number in range(len(left.merges)):
                yield "merge", partial(_unnest, left, number)


def _unnest(left: DraftLeft, number: int) -> None:
    del left.merges[number]
    del left.runs[number + 1]


def duplicating(site: Site) -> Iterator[Edit]:
    """Put a copy of a part behind it, with its hyper-parameters."""
    for row in site.rows():
        if row.may_grow:
            for number in range(len(row.items)):
                yield row.what, partial(row.double, number)


def swapping(site: Site) -> Iterator[Edit]:
    """Exchange two neighbours of the same list."""
    for row in site.rows():
        for number in range(len(row.items) - 1):
            yield row.what, partial(row.exchange, number)


def wrapping(site: Site) -> Iterator[Edit]:
    """Put a run of convolutions into the left branch of a new merge, whose right branch is drawn."""
    section = site.space.merge
    least, most = section.left_convolutions
    extractions = site.draft.extractions
    for first in range(len(extractions)):
        for last in range(first + least, min(first + most, len(extractions)) + 1):
            chosen = extractions[first:last]
            if all(isinstance(one.core, Layer) for one in chosen) and not any(
                one.pooling for one in chosen[:-1]
            ):
                yield "extraction", partial(_wrap_extractions, site, first, last)
    for merge, depth in site.draft.merges():
        if depth == section.max_depth:
            continue
        for body in merge.bodies:
            left = body.left
            if left.merges:
                continue
            run = left.runs[0]
            for first in range(len(run)):
                for last in range(first + least, min(first + most, len(run)) + 1):
                    yield "unit", partial(_wrap_units, site, left, first, last)


def _wrap_extractions(site: Site, first: int, last: int) -> None:
    extractions = site.draft.extractions
    chosen = extractions[first:last]
    units = []
    for number, one in enumerate(chosen):
        assert isinstance(one.core, Layer)
        ends = number == len(chosen) - 1
        units.append(DraftUnit(one.core, None if ends else one.dropout))
    merge = _merge_around(site, units, site.space.merge.bodies)
    extractions[first:last] = [Extraction(merge, chosen[-1].dropout, chosen[-1].pooling)]


def _wrap_units(site: Site, left: DraftLeft, first: int, last: int) -> None:
    [run] = left.runs
    left.merges = [_merge_around(site, run[first:last], site.space.merge.nested_bodies)]
    left.runs = [run[:first], run[last:]]


def _merge_around(site: Site, units: list[DraftUnit], bodies: Counts) -> DraftMerge:
    count = site.sampler.between(bodies)
    inner = _left_of(site, units)
    is_empty = count == 1 and site.sampler.chance(site.space.merge.empty_right)
    made = [DraftBody(inner, [] if is_empty else list(site.sampler.right()))]
    for _ in range(count - 1):
        # A left branch of convolutions alone, as the first has.
        run = [site.unit() for _ in range(site.sampler.between(site.space.merge.left_convolutions))]
        made.append(DraftBody(_left_of(site, run), list(site.sampler.right())))
    return DraftMerge(None, made)


def _left_of(site: Site, run: list[DraftUnit]) -> DraftLeft:
    """A left branch of convolutions, with poolings only where the space always has them."""
    section = site.space.merge
    left = DraftLeft([run])
    if section.pooling_first >= 1:
        left.first_pooling = site.pooling()
    if section.pooling_last >= 1:
        left.last_pooling = site.pooling()
    return left


def unwrapping(site: Site) -> Iterator[Edit]:
    """Take a merge away and leave the convolutions of its first left branch in its place."""
    space = site.space
    for number, one in enumerate(site.draft.extractions):
        if isinstance(one.core, DraftMerge) and not one.core.bodies[0].left.merges:
            yield "extraction", partial(_unwrap_extraction, site, number, one)
    least, most = space.merge.left_convolutions
    for merge, _ in site.draft.merges():
        for body in merge.bodies:
            left = body.left
            if len(left.merges) != 1 or left.merges[0].bodies[0].left.merges:
                continue
            inner = left.merges[0].bodies[0].left.runs[0]
            run = [*left.runs[0], *inner, *left.runs[1]]
            if least <= len(run) <= most:
                yield "unit", partial(_flatten, left, run)


def _flatten(left: DraftLeft, run: list[DraftUnit]) -> None:
    left.runs, left.merges = [run], []


def _unwrap_extraction(site: Site, number: int, one: Extraction) -> None:
    assert isinstance(one.core, DraftMerge)
    units = one.core.bodies[0].left.runs[0]
    keeps = site.space.features.dropout > 0
    made = [Extraction(unit.convolution, unit.dropout if keeps else None) for unit in units]
    made[-1].dropout, made[-1].pooling = one.dropout, one.pooling
    for extraction in made[:-1]:
        if site.space.features.pooling >= 1:
            extraction.pooling = site.pooling()
    site.draft.extractions[number : number + 1] = made


def changing(site: Site) -> Iterator[Edit]:
    """Give one hyper-parameter another value, a layer another kind, a merge another mode, or all
    layers another activation.

    Filters take a value of the space's rule. Units of hidden dense layers are drawn anew.
    """
    space = site.space
    for owner, key in places(site.draft):
        layer = layer_at(owner, key)
        for name, value in layer.parameters.items():
            others = [choice for choice in _choices(site, layer, name) if choice != value]
            if others:
                yield name, partial(_give, site, owner, key, name, others)
        kinds = kinds_of(layer.kind, space)
        others = [kind for kind in kinds.values if kind != layer.kind] if kinds else []
        if others:
            yield "kind", partial(_turn, site, owner, key, others)
    for merge, _ in site.draft.merges():
        for mode in space.merge.modes.values:
            if mode != merge.mode:
                yield "mode", partial(setattr, merge, "mode", mode)
    for activation in space.convolution.activations.values:
        yield "activations", partial(_activate, site, activation)


def _choices(site: Site, layer: Layer, name: str) -> Sequence[Any]:
    """What a hyper-parameter may be changed to; None opens it."""
    if layer is site.draft.output.dense:
        return ()
    if name == "units":
        return (None,)
    if name == "filters":
        section = site.space.convolution
        first, growth = section.first_filters, section.filter_growth or section.first_filters
        filters = layer.parameters[name]
        assert isinstance(filters, int)
        step = (filters - first) // growth
        near = range(max(0, step - FILTER_STEPS), max(0, step) + FILTER_STEPS + 1)
        return [first + growth * number for number in near]
    values = values_of(layer.kind, name, site.space) or ()
    return [value for value in values if value != "linear"]


def _give(site: Site, owner: Any, key: int | str, name: str, values: Sequence[Any]) -> None:
    value = site.pick(values)
    layer = layer_at(owner, key)
    given = {k: v for k, v in layer.parameters.items() if k != name}
    put(owner, key, Layer(layer.kind, given if value is None else {**given, name: value}))


def _turn(site: Site, owner: Any, key: int | str, kinds: Sequence[str]) -> None:
    kind = site.pick(kinds)
    names = WORDS[kind].parameter_names
    given = layer_at(owner, key).parameters.items()
    # Whether there is a bias follows from the kind.
    put(owner, key, Layer(kind, {k: v for k, v in given if k in names and k != "bias"}))


def _activate(site: Site, activation: str) -> None:
    last = site.draft.output.dense
    for owner, key in list(places(site.draft)):
        layer = layer_at(owner, key)
        if "activation" in layer.parameters and layer is not last:
            _give(site, owner, key, "activation", [activation])


def crossing(site: Site, other: Draft) -> Iterator[Edit]:
    """Put a part of another network in the place of a part of the same rule."""
    donor = Site(other, site.space, site.random, site.sampler.limit)
    gifts: dict[str, list[Any]] = {}
    for row in donor.rows():
        gifts.setdefault(row.what, []).extend(row.items)
    for row in site.rows():
        if gifts.get(row.what):
            for number in range(len(row.items)):
                yield row.what, partial(_take, site, row.items, number, gifts[row.what])
    lefts = [body.left for merge, _ in other.merges() for body in merge.bodies]
    if lefts:
        for merge, _ in site.draft.merges():
            for body in merge.bodies:
                yield "left", partial(_take_left, site, body, lefts)
    yield "head", partial(_put_head, site, other)
    low, high = site.space.features.count
    for own in range(1, len(site.draft.extractions)):
        for its in range(1, len(other.extractions)):
            if low <= own + len(other.extractions) - its <= high:
                yield "tail", partial(_take_tail, site, own, other.extractions[its:])


def _take(site: Site, items: list[Any], number: int, gifts: Sequence[Any]) -> None:
    items[number] = twin(site.pick(gifts))


def _take_left(site: Site, body: DraftBody, lefts: Sequence[DraftLeft]) -> None:
    body.left = twin(site.pick(lefts))


def _take_tail(site: Site, number: int, tail: Sequence[Extraction]) -> None:
    site.draft.extractions[number:] = map(twin, tail)


OPERATORS: dict[str, Callable[[Site], Iterator[Edit]]] = {
    "replace": renewing,
    "insert": inserting,
    "delete": deleting,
    "duplicate": duplicating,
    "swap": swapping,
    "wrap": wrapping,
    "unwrap": unwrapping,
    "change": changing,
}
"""The operators of one parent, by name. Each lists the edits that are possible."""
