"""A sentence of a space as lists that can be edited, by the rules that spaces are drawn with.

A `Draft` has a place for whatever a space may put there, so that an edit keeps to the rules. It
is read from a description, and written as one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

from cnngen.errors import SpaceError
from cnngen.language.tree import Body, Description, Layer, Merge, MergeMode, Node
from cnngen.operations import CONVOLUTIONS, WINDOW_NAMES
from cnngen.space.space import Space, WeightedChoice

POOLINGS = ("max_pooling", "avg_pooling")
INTERSTICES = ("flatten", "global_avg_pooling", "global_max_pooling")


@dataclass(slots=True)
class DraftUnit:
    """A convolution of a left branch, and the dropout behind it."""

    convolution: Layer
    dropout: Layer | None = None


@dataclass(slots=True)
class DraftLeft:
    """A left branch: runs of convolutions with a merge between each two.

    There is one run more than there are merges; those beside a merge may be empty.
    """

    runs: list[list[DraftUnit]]
    merges: list[DraftMerge] = field(default_factory=list)
    first_pooling: Layer | None = None
    last_pooling: Layer | None = None


@dataclass(slots=True)
class DraftBody:
    """A body of a merge. An empty right branch is the identity."""

    left: DraftLeft
    right: list[Layer]


@dataclass(slots=True)
class DraftMerge:
    """A merge at a depth, counted from 1."""

    mode: MergeMode | None
    bodies: list[DraftBody]


Range: TypeAlias = tuple[int, int]
"""Least and most of a number of things."""

Core: TypeAlias = Layer | DraftMerge


@dataclass(slots=True)
class Extraction:
    """A convolution or a merge of the main column, and what follows it."""

    core: Core
    dropout: Layer | None = None
    pooling: Layer | None = None


@dataclass(slots=True)
class DraftDense:
    """A dense layer, and the dropout before it."""

    dense: Layer
    dropout: Layer | None = None


@dataclass(slots=True)
class Draft:
    """A whole sentence, from `input` to `output`."""

    extractions: list[Extraction]
    interstice: Layer
    hidden: list[DraftDense]
    output: DraftDense
    """The last dense layer, which has a unit for each class."""
    input_shape: tuple[int, int, int] | None
    classes: int | None
    name: str | None = None

    @classmethod
    def of(cls, description: Description) -> Draft:
        """Read a description. Raises `SpaceError` where no space has sentences like it."""
        reader = _Reader(description.features)
        extractions = []
        while not reader.at_end:
            core = reader.take("conv") or reader.merge()
            if core is None:
                raise reader.unexpected("a convolution or a merge")
            extractions.append(Extraction(core, reader.take("dropout"), reader.take("pooling")))
        reader = _Reader(description.head)
        interstice = reader.take("interstice")
        if interstice is None:
            raise SpaceError("a backbone is not in a space: its sentences end in dense layers")
        dense = []
        while not reader.at_end:
            dropout, layer = reader.take("dropout"), reader.take("dense")
            if layer is None:
                raise reader.unexpected("a dense layer")
            dense.append(DraftDense(layer, dropout))
        if not dense:
            raise SpaceError("no space has a head without a dense layer")
        ends = description.input_shape, description.classes, description.name
        return cls(extractions, interstice, dense[:-1], dense[-1], *ends)

    def description(self) -> Description:
        """Write the draft as a description."""
        features: list[Node] = []
        for one in self.extractions:
            features.append(written(one.core))
            features += _present(one.dropout, one.pooling)
        head = [self.interstice]
        for dense in (*self.hidden, self.output):
            head += _present(dense.dropout, dense.dense)
        return Description(
            tuple(features),
            tuple(head),
            self.name,
            input_shape=self.input_shape,
            classes=self.classes,
        )

    def merges(self) -> Iterator[tuple[DraftMerge, int]]:
        """All merges with their depths, in the order of the text."""
        pending = [(one.core, 1) for one in reversed(self.extractions) if _is_merge(one.core)]
        while pending:
            merge, depth = pending.pop()
            assert isinstance(merge, DraftMerge)
            yield merge, depth
            inner = (nested for body in merge.bodies for nested in body.left.merges)
            pending += reversed([(nested, depth + 1) for nested in inner])


class _Reader:
    """Takes the nodes of a sequence one by one."""

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self.nodes = nodes
        self.at = 0

    @property
    def at_end(self) -> bool:
        return self.at == len(self.nodes)

    def take(self, word: str) -> Layer | None:
        """The next node, if it is a layer of that kind."""
        if self.at_end:
            return None
        node = self.nodes[self.at]
        if not isinstance(node, Layer) or node.kind not in WORDS_OF[word]:
            return None
        self.at += 1
        return node

    def merge(self) -> DraftMerge | None:
        """The next node, if it is a merge. Recursion is limited by the depth that spaces have."""
        if self.at_end or not isinstance(node := self.nodes[self.at], Merge):
            return None
        self.at += 1
        return merge_of(node)

    def unexpected(self, wanted: str) -> SpaceError:
        found = "the end"
        if not self.at_end:
            node = self.nodes[self.at]
            found = f"'{node.kind}'" if isinstance(node, Layer) else "a merge"
        return SpaceError(f"no space has {found} where {wanted} belongs")


WORDS_OF = {
    "conv": frozenset(CONVOLUTIONS),
    "pooling": frozenset(POOLINGS),
    "interstice": frozenset(INTERSTICES),
    "dropout": frozenset({"dropout"}),
    "dense": frozenset({"dense"}),
}

MAX_DEPTH = 100
"""The greatest `max_depth` of a space."""


def merge_of(merge: Merge, depth: int = 1) -> DraftMerge:
    """Read a merge. Raises `SpaceError` where no space has one like it."""
    if depth > MAX_DEPTH:
        raise SpaceError(f"no space nests merges more than {MAX_DEPTH} deep")
    if merge.has_branches:
        raise SpaceError("no space has a merge of branches separated by '|'")
    return DraftMerge(merge.mode, [body_of(body, depth) for body in merge.bodies])


def body_of(body: Body, depth: int) -> DraftBody:
    """Read a body of a merge at a depth."""
    right = [node for node in body.right if isinstance(node, Layer)]
    if len(right) < len(body.right):
        raise SpaceError("no space has a merge on a right branch")
    return DraftBody(left_of(body.left, depth), right)


def left_of(nodes: tuple[Node, ...], depth: int) -> DraftLeft:
    """Read the left branch of a merge at a depth."""
    reader = _Reader(nodes)
    left = DraftLeft([[]], first_pooling=reader.take("pooling"))
    while True:
        if (convolution := reader.take("conv")) is not None:
            left.runs[-1].append(DraftUnit(convolution, reader.take("dropout")))
        elif not reader.at_end and isinstance(node := nodes[reader.at], Merge):
            reader.at += 1
            left.merges.append(merge_of(node, depth + 1))
            left.runs.append([])
        else:
            break
    left.last_pooling = reader.take("pooling")
    if not reader.at_end:
        raise reader.unexpected("the end of a left branch")
    return left


def extraction_of(nodes: list[Node]) -> Extraction:
    """Read the layers of one extraction."""
    core = nodes[0] if isinstance(nodes[0], Layer) else merge_of(nodes[0])
    reader = _Reader(tuple(nodes[1:]))
    return Extraction(core, reader.take("dropout"), reader.take("pooling"))


def written(core: Core) -> Node:
    """Write a convolution or a merge as the node of a tree."""
    if isinstance(core, Layer):
        return core
    bodies = []
    for body in core.bodies:
        left: list[Node] = _present(body.left.first_pooling)
        for number, run in enumerate(body.left.runs):
            if number:
                left.append(written(body.left.merges[number - 1]))
            for unit in run:
                left += _present(unit.convolution, unit.dropout)
        left += _present(body.left.last_pooling)
        bodies.append(Body(tuple(left), tuple(body.right)))
    return Merge(core.mode, tuple(bodies))


def first_fault(draft: Draft, space: Space) -> str | None:
    """Return what in a draft the space cannot draw, in words; None if it could be drawn.

    Open hyper-parameters can be drawn. Filters and units follow from the layers around them, so
    any number of them is inside.
    """
    return next(_Checker(space).faults(draft), None)


class _Checker:
    """Follows the rules of `cnngen.space.sampling.SentenceSampler`."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.layers = 0
        """Layers so far, as the sampler counts them for `max_layers`."""

    def faults(self, draft: Draft) -> Iterator[str]:
        space, head = self.space, self.space.classification
        yield from _count("feature extractions", len(draft.extractions), space.features.count)
        for one in draft.extractions:
            if isinstance(one.core, Layer):
                yield from _share("a convolution", True, 1 - space.features.merge)
                yield from self.layer(one.core)
            else:
                yield from _share("a merge", True, space.features.merge)
                yield from self.merge(one.core, space.merge.bodies, 1)
            yield from self.optional(one.dropout, space.features.dropout, "behind an extraction")
            yield from self.optional(one.pooling, space.features.pooling, "behind an extraction")
        yield from self.layer(draft.interstice)
        yield from _count("dense layers", len(draft.hidden) + 1, head.dense)
        for dense in (*draft.hidden, draft.output):
            yield from self.optional(dense.dropout, head.dropout, "before a dense layer")
            yield from self.layer(dense.dense)

    def merge(self, merge: DraftMerge, bodies: tuple[int, int], depth: int) -> Iterator[str]:
        section = self.space.merge
        if merge.mode is not None and merge.mode not in section.modes.values:
            yield f"a merge that would {merge.mode}"
        yield from _count("bodies", len(merge.bodies), bodies)
        for body in merge.bodies:
            yield from self.left(body.left, depth)
            if not body.right:
                share = section.empty_right if len(merge.bodies) == 1 else 0.0
                yield from _share("an Empty right branch", True, share)
                continue
            if len(merge.bodies) == 1:
                yield from _share("a right branch", True, 1 - section.empty_right)
            yield from _count(
                "convolutions in a right branch", len(body.right), section.right_convolutions
            )
            for layer in body.right:
                yield from self.layer(layer)

    def left(self, left: DraftLeft, depth: int) -> Iterator[str]:
        section = self.space.merge
        place = "at an end of a left branch"
        yield from self.optional(left.first_pooling, section.pooling_first, place)
        may_nest = depth < section.max_depth and self.layers < self.space.max_layers
        if not left.merges:
            if may_nest:
                yield from _share("a left branch without a merge", True, 1 - section.nested)
            yield from self.run(left.runs[0], section.left_convolutions, "in a left branch")
        else:
            yield from _share("a merge this deep", True, section.nested if may_nest else 0.0)
            before, after = section.convolutions_before_nested, section.convolutions_after_nested
            yield from _count("merges in a left branch", len(left.merges), section.nested_merges)
            yield from self.run(left.runs[0], before, "before a nested merge")
            for merge, run in zip(left.merges, left.runs[1:], strict=True):
                yield from self.merge(merge, section.nested_bodies, depth + 1)
                yield from self.run(run, after, "behind a nested merge")
        yield from self.optional(left.last_pooling, section.pooling_last, place)

    def run(self, units: list[DraftUnit], counts: tuple[int, int], place: str) -> Iterator[str]:
        yield from _count(f"convolutions {place}", len(units), counts)
        for unit in units:
            yield from self.layer(unit.convolution)
            yield from self.optional(unit.dropout, self.space.merge.dropout, place)

    def optional(self, layer: Layer | None, share: float, place: str) -> Iterator[str]:
        name = layer.kind if layer else "dropout or pooling"
        yield from _share(f"{name} {place}", layer is not None, share)
        if layer is not None:
            yield from self.layer(layer)

    def layer(self, layer: Layer) -> Iterator[str]:
        kind = layer.kind
        if kind not in ("dropout", "dense"):
            self.layers += 1
        choice = kinds_of(kind, self.space)
        if choice is not None and kind not in choice.values:
            yield f"a {kind}"
        for name, value in layer.parameters.items():
            allowed = values_of(kind, name, self.space)
            if allowed is not None and value not in allowed:
                yield f"{kind}({name}={value})"


@lru_cache(maxsize=1024)
def kinds_of(kind: str, space: Space) -> WeightedChoice[Any] | None:
    """The kinds that the space offers in the place of one; None if there are no others."""
    choices: dict[str, WeightedChoice[Any]] = {
        "conv": space.convolution.kinds,
        "pooling": space.pooling.kinds,
        "interstice": space.classification.interstices,
    }
    return next((choices[word] for word in choices if kind in WORDS_OF[word]), None)


@lru_cache(maxsize=1024)
def values_of(kind: str, name: str, space: Space) -> tuple[Any, ...] | None:
    """The values that the space draws a hyper-parameter from; None where it follows a rule."""
    pooling = kind in WORDS_OF["pooling"]
    windows: Any = space.pooling if pooling else space.convolution
    squares: WeightedChoice[int] | None = None
    found: tuple[Any, ...] | None = None
    match name:
        case "activation":
            found = space.convolution.activations.values
            return (*found, "linear") if kind == "dense" else found
        case "epsilon":
            found = space.batch_norm_epsilons.values
        case "rate":
            found = space.dropout_rates.values
        case "padding":
            found = windows.paddings.values
        case "stride":
            squares = windows.strides
        case _ if name == WINDOW_NAMES.get(kind):
            squares = windows.sizes if pooling else windows.kernels
    return tuple((side, side) for side in squares.values) if squares else found


def _present(*layers: Layer | None) -> list[Any]:
    return [layer for layer in layers if layer is not None]


def _is_merge(core: Core) -> bool:
    return isinstance(core, DraftMerge)


def _count(what: str, count: int, allowed: tuple[int, int]) -> Iterator[str]:
    if not allowed[0] <= count <= allowed[1]:
        yield f"{count} {what}, not {allowed[0]} to {allowed[1]}"


def _share(what: str, present: bool, share: float) -> Iterator[str]:
    if present and share <= 0:
        yield what
    elif not present and share >= 1:
        yield f"no {what}"
