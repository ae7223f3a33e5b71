"""The syntax tree of a description, as written: layers in sequence, and merges of them.

Every walk is a loop or a generator run by `cnngen.deep.run`, so that depth costs memory
and never the interpreter's stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from cnngen.errors import DescriptionError, Source, Span, shorten

Extent = tuple[int, int]
"""Height and width of a window or of its step, in pixels."""

Value = int | float | bool | str | Extent
"""A hyper-parameter: a count, a number, a flag, a word, or an extent."""

MergeMode = Literal["add", "concat"]

NOWHERE = Span(0, 0)

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
"""The grammar's `Name`, for descriptions that were not parsed."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One word of a description, such as `conv(filters=32)`."""

    kind: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    span: Span = NOWHERE
    parameter_spans: Mapping[str, Span] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """`( left , right )` of a merge; an empty right side is `Empty`, the identity."""

    left: tuple[Node, ...]
    right: tuple[Layer, ...]
    span: Span = NOWHERE


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Merge:
    """`[ mode ( left , right ) … ]`; without a mode, one is chosen when it is resolved."""

    mode: MergeMode | None
    bodies: tuple[Body, ...]
    span: Span = NOWHERE

    def __repr__(self) -> str:
        return f"<Merge of {len(self.bodies)} at {self.span.start}>"


Node = Layer | Merge


@dataclass(frozen=True, eq=False)
class Description:
    """A whole sentence: what stands between `input` and `output`, and the two ends.

    `features` are convolutions, merges, dropouts and poolings; `head` is the interstice
    and the dense layers, empty for a backbone. Two descriptions are equal when they say
    the same, wherever they stand in their texts.

    Raises `DescriptionError` for a name that is no identifier.
    """

    features: tuple[Node, ...]
    head: tuple[Layer, ...] = ()
    name: str | None = None
    input_shape: tuple[int, int, int] | None = None
    classes: int | None = None
    source: Source | None = field(default=None, repr=False)
    input_span: Span = NOWHERE
    output_span: Span = NOWHERE

    def __post_init__(self) -> None:
        # Names reach generated code.
        if self.name is not None and not NAME.fullmatch(self.name):
            raise DescriptionError(
                f"'{shorten(self.name)}' cannot be a name",
                hint="A name has up to 64 of A-Z a-z 0-9 _ and does not begin with a digit.",
            )

    @property
    def is_backbone(self) -> bool:
        """Whether there is no classification, so that it cannot be trained."""
        return not self.head

    def layers(self) -> Iterator[Layer]:
        """Every layer, in the order of the text."""
        return (item for item in self.walk() if isinstance(item, Layer))

    def walk(self) -> Iterator[Layer | Merge | str]:
        """Layers in the order of the text; merges as `Merge ( … , … ) … ]`."""
        pending: list[Layer | Merge | str] = [*reversed(self.head), *reversed(self.features)]
        while pending:
            item = pending.pop()
            yield item
            if isinstance(item, Merge):
                pending.append("]")
                for body in reversed(item.bodies):
                    pending.append(")")
                    pending += reversed(body.right)
                    pending.append(",")
                    pending += reversed(body.left)
                    pending.append("(")

    def __reduce__(self) -> tuple[object, ...]:
        # Flat, as a walk of merges without contents: pickle recurses into nested tuples.
        items = [_hollow(item) if isinstance(item, Merge) else item for item in self.walk()]
        rest = [getattr(self, field.name) for field in fields(self)[2:]]
        return _unpickle, (items, len(self.features), rest)

    def _key(self) -> tuple[object, ...]:
        ends: list[object] = [self.name, self.input_shape, self.classes]
        for item in self.walk():
            match item:
                case Layer():
                    ends += [item.kind, tuple(sorted(item.parameters.items()))]
                case Merge():
                    ends += ["[", item.mode]
                case _:
                    ends.append(item)
        return tuple(ends)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Description) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        from cnngen.language.formatter import format

        return format(self)


def gather(items: Iterable[Layer | Merge | str]) -> tuple[Node, ...]:
    """The nodes that a walk went through; of its merges, only mode and spans are read."""
    chain: list[Node] = []
    outer: list[list[Node]] = []
    merges: list[tuple[Merge, list[Body]]] = []
    for item in items:
        match item:
            case Layer():
                chain.append(item)
            case Merge():
                merges.append((item, []))
                outer.append(chain)
            case "(":
                chain = []
            case ",":
                outer.append(chain)
                chain = []
            case ")":
                merge, bodies = merges[-1]
                left = tuple(outer.pop())
                right = tuple(layer for layer in chain if isinstance(layer, Layer))
                bodies.append(Body(left, right, merge.bodies[len(bodies)].span))
            case "]":
                merge, bodies = merges.pop()
                chain = outer.pop()
                chain.append(Merge(merge.mode, tuple(bodies), merge.span))
    return tuple(chain)


def _hollow(merge: Merge) -> Merge:
    bodies = tuple(Body((), (), body.span) for body in merge.bodies)
    return Merge(merge.mode, bodies, merge.span)


def _unpickle(items: list[Layer | Merge | str], features: int, rest: list[Any]) -> Description:
    nodes = gather(items)
    head = tuple(node for node in nodes[features:] if isinstance(node, Layer))
    return Description(nodes[:features], head, *rest)
