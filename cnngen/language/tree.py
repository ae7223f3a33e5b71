"""The syntax tree of a description, as written: layers in sequence, and merges of them.

Every walk is a loop or a generator run by `cnngen.language.trampoline.run_recursive`, so that depth costs memory
and never the interpreter's stack.
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
"""Height and width of a window or of its step, in pixels."""

MergeMode = Literal["add", "concat"]

NOWHERE = Span(0, 0)

MOST_SHOWN = 1000
"""Most words and brackets of a description that a notebook shows."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
"""The grammar's `Name`, for descriptions that were not parsed."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Layer:
    """One word of a description, such as `conv(filters=32)`.

    Raises `DescriptionError` for another word, and for a hyper-parameter that the word does
    not take or whose value cannot be.
    """

    kind: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    span: Span = NOWHERE
    parameter_spans: Mapping[str, Span] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = self.parameters.items()
        try:
            kind, parameters = _layer(self.kind, *given)
        except TypeError:  # what has no hash, such as a list
            kind, parameters = _checked_layer(self.kind, *given)
        _set(self, "kind", kind)
        _set(self, "parameters", parameters)

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        return f"<Layer {self.kind}({given})>"

    def __reduce__(self) -> tuple[object, ...]:
        # Through the checks again; and a view of a mapping is not pickled.
        return Layer, (self.kind, dict(self.parameters), self.span, dict(self.parameter_spans))


def filled(layer: Layer, parameters: dict[str, Value]) -> Layer:
    """A layer with other hyper-parameters, which are not checked: for those that operations
    are made of next, which check them."""
    made: Layer = object.__new__(Layer)
    _set(made, "kind", layer.kind)
    _set(made, "parameters", MappingProxyType(parameters))
    _set(made, "span", layer.span)
    _set(made, "parameter_spans", layer.parameter_spans)
    return made


def _checked_layer(kind: str, *given: tuple[str, object]) -> tuple[str, Mapping[str, Value]]:
    """A word and its hyper-parameters as the language has them."""
    word = KINDS.get(kind) if isinstance(kind, str) else None
    if word is None:
        raise DescriptionError(f"{shown(kind)} is no word of the language for a layer")
    parameters: dict[str, Value] = {}
    for name, value in given:
        if not isinstance(name, str) or name not in PARAMETERS[word]:
            names = ", ".join(PARAMETERS[word])
            raise DescriptionError(
                f"'{word}' has no hyper-parameter {shown(name)}",
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
"""The hyper-parameters of each word, under themselves."""

# Most layers are like others, and values that are equal stand for the same.
_layer = lru_cache(maxsize=2**13)(_checked_layer)
_value = lru_cache(maxsize=2**11)(checked)
_set = object.__setattr__


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """`( left , right )` of a merge; an empty right side is `Empty`, the identity."""

    left: tuple[Node, ...]
    right: tuple[Layer, ...]
    span: Span = NOWHERE

    def __repr__(self) -> str:
        return f"<Body of {len(self.left)} and {len(self.right)} at {self.span.start}>"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Merge:
    """`[ mode ( left , right ) … ]`; without a mode, one is chosen when it is resolved."""

    mode: MergeMode | None
    bodies: tuple[Body, ...]
    span: Span = NOWHERE

    def __post_init__(self) -> None:
        if self.mode is not None:
            mode = _MODES.get(self.mode) if isinstance(self.mode, str) else None
            if mode is None:
                raise DescriptionError(f"a merge cannot {shown(self.mode)}; it is add or concat")
            object.__setattr__(self, "mode", mode)

    def __repr__(self) -> str:
        return f"<Merge of {len(self.bodies)} at {self.span.start}>"


_MODES: dict[str, MergeMode] = {mode: mode for mode in get_args(MergeMode)}

Node = Layer | Merge


@dataclass(frozen=True, eq=False)
class Description:
    """A whole sentence: what stands between `input` and `output`, and the two ends.

    `features` are convolutions, merges, dropouts and poolings; `head` is the interstice
    and the dense layers, empty for a backbone. Two descriptions are equal when they say
    the same, wherever they stand in their texts.

    Raises `DescriptionError` for a name that is no identifier, and for ends that are no
    counts. That the layers stand in the order of a sentence is checked when it is resolved.
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
        # All of them reach generated code.
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
    """A description as text on one line that parses to an equal description."""
    begin, end = ends(description, named=named)
    return " ".join([begin, *_words(description.walk()), end])


def beginning(description: Description, width: int) -> str:
    """The short form, or as much of it as `width` characters hold, however long it is."""
    text, end = ends(description)
    for word in (*islice(_words(description.walk()), width // 2), end):
        text += f" {word}"
    return text if len(text) <= width else f"{text[: width - 1]}…"


def ends(description: Description, *, named: bool = True) -> tuple[str, str]:
    """What a text begins with, such as `NAME -> input(8x8x1)`, and what it ends with."""
    begin = f"{description.name} -> " if named and description.name else ""
    begin += "input"
    if description.input_shape:
        begin += f"({shapes.text(description.input_shape)})"
    return begin, "output" if description.classes is None else f"output({description.classes})"


def layer_text(layer: Layer) -> str:
    """One layer with its given hyper-parameters, in canonical order."""
    if not layer.parameters:
        return layer.kind
    order = WORDS[layer.kind].parameter_names
    names = sorted(layer.parameters, key=order.index)
    given = ", ".join(f"{name}={value_text(layer.parameters[name])}" for name in names)
    return f"{layer.kind}({given})"


def value_text(value: Value) -> str:
    """A hyper-parameter's value as the language writes it.

    Raises `CnnGenError` for what is no value of the language, so that no text holds it.
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
            raise CnnGenError(f"{shown(value)} is no value of a hyper-parameter")


def _words(items: Iterable[Layer | Merge | str]) -> Iterable[str]:
    previous: object = None
    for item in items:
        if (previous, item) == (",", ")"):
            yield "Empty"
        match item:
            case Layer():
                yield layer_text(item)
            case Merge():
                yield opening(item)
            case _:
                yield item
        previous = item


def opening(merge: Merge) -> str:
    """What the text of a merge begins with."""
    return "[" if merge.mode is None else f"[{merge.mode}"


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
