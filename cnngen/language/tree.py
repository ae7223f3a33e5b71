"""The syntax tree of a description: layers and merges in sequence, as written.

Every traversal is a loop or a generator run by `cnngen.language.trampoline`, so nesting is
limited by memory and not by the interpreter's stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from itertools import islice
from types import MappingProxyType
from typing import Any, Literal, get_args

from cnngen.errors import CnnGenError, DescriptionError, Source, Span
from cnngen.operations import WORDS, shapes
from cnngen.operations.hyperparameters import VALUE_WORDS, checked, count, refusal, shape, shown
from cnngen.operations.hyperparameters import Value as Value
from cnngen.system import markup

Extent = tuple[int, int]
"""Height and width of a window or a stride, in pixels."""

MergeMode = Literal["add", "concat"]

NOWHERE = Span(0, 0)

MOST_SHOWN = 1000
"""Most words and brackets of a description that a notebook shows."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
"""The grammar's `Name`, to check descriptions built in Python."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Layer:
    """One layer of a description, such as `conv(filters=32)`.

    `kind` is the word of the layer, `parameters` are the given hyper-parameters by name, and
    the spans locate both in the text. Raises `DescriptionError` for an unknown word, and for a
    hyper-parameter that the layer does not take or whose value is invalid.
    """

    kind: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    span: Span = NOWHERE
    parameter_spans: Mapping[str, Span] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = self.parameters.items()
        try:
            kind, parameters = _layer(self.kind, *given)
        except TypeError:  # an unhashable value, such as a list
            kind, parameters = _checked_layer(self.kind, *given)
        _set(self, "kind", kind)
        _set(self, "parameters", parameters)

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        return f"<Layer {self.kind}({given})>"

    def __reduce__(self) -> tuple[object, ...]:
        # Unpickling runs the checks again; a mapping proxy cannot be pickled.
        return Layer, (self.kind, dict(self.parameters), self.span, dict(self.parameter_spans))


def filled(layer: Layer, parameters: dict[str, Value]) -> Layer:
    """Return a copy of a layer with other hyper-parameters, unchecked.

    For hyper-parameters that an operation, which checks them, is built from next.
    """
    made: Layer = object.__new__(Layer)
    _set(made, "kind", layer.kind)
    _set(made, "parameters", MappingProxyType(parameters))
    _set(made, "span", layer.span)
    _set(made, "parameter_spans", layer.parameter_spans)
    return made


def _checked_layer(kind: str, *given: tuple[str, object]) -> tuple[str, Mapping[str, Value]]:
    """Check a word and its hyper-parameters, and convert them to the language's own types."""
    word = KINDS.get(kind) if isinstance(kind, str) else None
    if word is None:
        raise DescriptionError(f"{shown(kind)} is not a layer of the language")
    parameters: dict[str, Value] = {}
    for name, value in given:
        if not isinstance(name, str) or name not in PARAMETERS[word]:
            names = ", ".join(PARAMETERS[word])
            raise DescriptionError(
                f"'{word}' takes no hyper-parameter {shown(name)}",
                hint=f"It takes {names}." if names else "It takes none.",
            )
        try:
            parameters[PARAMETERS[word][name]] = _read(name, value)
        except ValueError as right:
            raise DescriptionError(f"{word}: {refusal(name, value, right)}") from None
    return word, MappingProxyType(parameters)


def _read(name: str, value: object) -> Value:
    try:
        return _value(name, value)
    except TypeError:
        return checked(name, value)


KINDS = {kind: kind for kind in WORDS}

PARAMETERS = {kind: {name: name for name in word.parameter_names} for kind, word in WORDS.items()}
"""The hyper-parameters of each word, each mapped to itself."""

# Most layers recur, so their checks are cached.
_layer = lru_cache(maxsize=2**13)(_checked_layer)
_value = lru_cache(maxsize=2**11)(checked)
_set = object.__setattr__


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """One body `( left , right )` of a merge, or if `bare` its branches `left | right | …`.

    A side without nodes is the identity, `Empty`.
    """

    left: tuple[Node, ...]
    right: tuple[Node, ...]
    span: Span = NOWHERE
    more: tuple[tuple[Node, ...], ...] = ()
    bare: bool = False

    @property
    def sides(self) -> tuple[tuple[Node, ...], ...]:
        """All sides, in the order of the text."""
        return (self.left, self.right, *self.more)

    def side_name(self, place: int) -> str:
        """The name of a side, counted from 0: `left` or `right`, or of a branch, `branch 3`."""
        return f"branch {place + 1}" if self.bare else ("left", "right")[place]

    def __repr__(self) -> str:
        counts = [str(len(side)) for side in self.sides[:5]] + ["…"] * (len(self.more) > 3)
        return f"<Body of {', '.join(counts[:-1])} and {counts[-1]} at {self.span.start}>"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Merge:
    """A merge `[ mode ( left , right ) … ]`, or with branches `[ mode left | right | … ]`.

    If the mode is None, resolving chooses one.

    Raises `DescriptionError` for a mode other than `add` and `concat`.
    """

    mode: MergeMode | None
    bodies: tuple[Body, ...]
    span: Span = NOWHERE

    def __post_init__(self) -> None:
        if self.mode is not None:
            mode = _MODES.get(self.mode) if isinstance(self.mode, str) else None
            if mode is None:
                raise DescriptionError(f"a merge cannot {shown(self.mode)}; it is add or concat")
            object.__setattr__(self, "mode", mode)

    @property
    def has_branches(self) -> bool:
        """Whether it has branches separated by `|` in the place of bodies."""
        return any(body.bare for body in self.bodies)

    def __repr__(self) -> str:
        return f"<Merge of {len(self.bodies)} at {self.span.start}>"


_MODES: dict[str, MergeMode] = {mode: mode for mode in get_args(MergeMode)}

Node = Layer | Merge


@dataclass(frozen=True, eq=False)
class Description:
    """The syntax tree of a whole network, from `input` to `output`.

    `features` are convolutions, merges, dropouts and poolings. `head` is the interstice and
    the dense layers, empty for a backbone. `input_shape` (height, width, channels) and
    `classes` are None if left open. Equality ignores the spans.

    Raises `DescriptionError` for an invalid name, input shape or number of classes. The order
    of the layers is checked when the description is resolved.
    """

    features: tuple[Node, ...]
    head: tuple[Layer, ...] = ()
    name: str | None = None
    input_shape: tuple[int, int, int] | None = None
    classes: int | None = None
    source: Source | None = None
    input_span: Span = NOWHERE
    output_span: Span = NOWHERE

    def __post_init__(self) -> None:
        # All of them end up in generated code.
        if self.name is not None:
            object.__setattr__(self, "name", _name(self.name))
        for end, read, value in (
            ("input_shape", shape, self.input_shape),
            ("classes", count, self.classes),
        ):
            if value is not None:
                try:
                    object.__setattr__(self, end, read(value))
                except ValueError as right:
                    raise DescriptionError(refusal(end, value, right)) from None

    @property
    def is_backbone(self) -> bool:
        """Whether the network has no classification head, so that it cannot be trained."""
        return not self.head

    def layers(self) -> Iterator[Layer]:
        """Iterate over all layers in the order of the text."""
        return (item for item in self.walk() if isinstance(item, Layer))

    def walk(self) -> Iterator[Layer | Merge | str]:
        """Iterate over the tree in the order of the text; merges as `Merge ( … , … ) … ]`.

        The branches of a merge are walked as the sides of one body, `( … , … , … )`.
        """
        pending: list[Layer | Merge | str] = [*reversed(self.head), *reversed(self.features)]
        while pending:
            item = pending.pop()
            yield item
            if isinstance(item, Merge):
                pending.append("]")
                for body in reversed(item.bodies):
                    closing = ")"
                    for side in reversed(body.sides):
                        pending.append(closing)
                        pending += reversed(side)
                        closing = ","
                    pending.append("(")

    def __reduce__(self) -> tuple[object, ...]:
        # Pickle recurses into nested tuples, so pickle the flat walk with hollow merges instead.
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
                    ends += ["[", item.mode, item.has_branches]
                case _:
                    ends.append(item)
        return tuple(ends)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Description) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        return line(self)

    def __repr__(self) -> str:
        return f"<Description {beginning(self, 80)}>"

    def _repr_html_(self) -> str | None:
        """The sentence in a notebook, which shows the beginning alone of a longer one."""
        if next(islice(self.walk(), MOST_SHOWN, None), None) is not None:
            return None
        return f'<pre style="white-space: pre-wrap">{markup.text(line(self))}</pre>'


def _name(name: object) -> str:
    found = NAME.fullmatch(name) if isinstance(name, str) else None
    if found is None:
        raise DescriptionError(
            f"{shown(name)} cannot be a name",
            hint="A name has up to 64 of A-Z a-z 0-9 _ and does not begin with a digit.",
        )
    return str.__str__(found.string)


def line(description: Description, *, named: bool = True) -> str:
    """Format a description on one line; the text parses to an equal description."""
    begin, end = ends(description, named=named)
    return " ".join([begin, *_words(description.walk()), end])


def beginning(description: Description, width: int) -> str:
    """Return the start of the short form, at most `width` characters, without formatting all."""
    text, end = ends(description)
    for word in (*islice(_words(description.walk()), width // 2), end):
        text += f" {word}"
    return text if len(text) <= width else f"{text[: width - 1]}…"


def ends(description: Description, *, named: bool = True) -> tuple[str, str]:
    """Return the start of a text, such as `NAME -> input(8x8x1)`, and its end, `output(10)`."""
    begin = f"{description.name} -> " if named and description.name else ""
    begin += "input"
    if description.input_shape:
        begin += f"({shapes.text(description.input_shape)})"
    return begin, "output" if description.classes is None else f"output({description.classes})"


def layer_text(layer: Layer) -> str:
    """Format a layer with its given hyper-parameters, in canonical order."""
    if not layer.parameters:
        return layer.kind
    order = WORDS[layer.kind].parameter_names
    names = sorted(layer.parameters, key=order.index)
    given = ", ".join(f"{name}={value_text(layer.parameters[name])}" for name in names)
    return f"{layer.kind}({given})"


def value_text(value: Value) -> str:
    """Format the value of a hyper-parameter as the language writes it.

    Raises `CnnGenError` for any other object.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case str() if value in VALUE_WORDS:
            return VALUE_WORDS[value]
        case int():
            return int.__repr__(value)
        case float():
            return float.__repr__(value)
        case (int(height), int(width)):
            both = int.__repr__(height), int.__repr__(width)
            return both[0] if height == width else "x".join(both)
        case _:
            raise CnnGenError(f"{shown(value)} is not a hyper-parameter value")


def _words(items: Iterable[Layer | Merge | str]) -> Iterable[str]:
    previous: object = None
    signs: list[Mapping[str, str]] = []  # of each open merge
    for item in items:
        if previous in ("(", ",") and item in (",", ")"):
            yield "Empty"
        match item:
            case Layer():
                yield layer_text(item)
            case Merge():
                yield opening(item)
                signs.append(_BARE if item.has_branches else {})
            case _:
                sign = signs[-1].get(item, item)
                if sign:
                    yield sign
                if item == "]":
                    signs.pop()
        previous = item


_BARE = {"(": "", ",": "|", ")": ""}
"""How the signs of a walk are written around branches."""


def opening(merge: Merge) -> str:
    """Return the start of a merge's text: `[`, `[add` or `[concat`."""
    return "[" if merge.mode is None else f"[{merge.mode}"


def gather(items: Iterable[Layer | Merge | str]) -> tuple[Node, ...]:
    """Rebuild the nodes from a walk. Of its merges, all but the layers in them is used."""
    chain: list[Node] = []
    outer: list[list[Node]] = []
    merges: list[tuple[Merge, list[Body]]] = []
    sides: list[list[tuple[Node, ...]]] = []  # of each open body, those that have ended
    for item in items:
        match item:
            case Layer():
                chain.append(item)
            case Merge():
                merges.append((item, []))
                outer.append(chain)
            case "(":
                sides.append([])
                chain = []
            case ",":
                sides[-1].append(tuple(chain))
                chain = []
            case ")":
                merge, bodies = merges[-1]
                left, right, *more = *sides.pop(), tuple(chain)
                like = merge.bodies[len(bodies)]
                bodies.append(Body(left, right, like.span, tuple(more), like.bare))
            case "]":
                merge, bodies = merges.pop()
                chain = outer.pop()
                chain.append(Merge(merge.mode, tuple(bodies), merge.span))
    return tuple(chain)


def _hollow(merge: Merge) -> Merge:
    bodies = tuple(Body((), (), body.span, bare=body.bare) for body in merge.bodies)
    return Merge(merge.mode, bodies, merge.span)


def _unpickle(items: list[Layer | Merge | str], features: int, rest: list[Any]) -> Description:
    nodes = gather(items)
    head = tuple(node for node in nodes[features:] if isinstance(node, Layer))
    return Description(nodes[:features], head, *rest)
