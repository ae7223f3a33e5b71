"""Search spaces: the distributions of networks and of open hyper-parameters, as data.

A space is a TOML file. Shares are probabilities from 0 to 1. Ranges are `[from, to]`, both
inclusive. A choice is a list, drawn uniformly, or a table of weights such as
`strides = { 1 = 3, 2 = 1 }`. A file with `base = "compact"` holds only what differs from it.
"""

from __future__ import annotations

import json
import re
import tomllib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Self, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from cnngen.errors import SpaceError, shorten
from cnngen.language.tree import MergeMode
from cnngen.operations import WORDS, Activation
from cnngen.operations.shapes import Padding
from cnngen.system.untrusted import read_text

Item = TypeVar("Item")
Random = Callable[[], float]
"""Draws uniformly from [0, 1). `random.Random(seed).random` is reproducible on every machine and
Python version, unlike the other functions of the module.
"""

MAX_FILE = 2**20
"""Maximum size of a space's file in bytes."""

BUILTIN = Path(__file__).parent / "spaces"
"""The folder of the spaces that come with CNNGen."""

NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"
"""The pattern of a space's name."""

SECTIONS = ("features", "convolution", "pooling", "merge", "classification")
"""The tables of a space, of which a file with a base may set some keys."""


@dataclass(frozen=True, slots=True)
class WeightedChoice(Generic[Item]):
    """A discrete distribution: values, each with a weight."""

    values: tuple[Item, ...]
    weights: tuple[float, ...]
    _sums: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[Item], weights: Sequence[float] | None = None) -> Self:
        """Create a choice from values and their weights, by default equal."""
        weights = tuple(weights or [1.0] * len(values))
        return cls(tuple(values), weights, tuple(accumulate(weights)))

    def pairs(self) -> Iterator[tuple[Item, float]]:
        """Each value with its weight."""
        return zip(self.values, self.weights, strict=True)

    def draw(self, random: Random) -> Item:
        """Draw one of the values."""
        return self.values[bisect_right(self._sums, random() * self._sums[-1])]


def _choice(kind: Any, low: float | None = None, high: float | None = None) -> Any:
    """Return the pydantic type of a choice among values of a kind."""
    words = get_args(kind)

    def read(raw: object) -> WeightedChoice[Any]:
        if isinstance(raw, dict):
            keys, weights = list(raw), list(raw.values())
        elif isinstance(raw, list):
            keys, weights = raw, [1.0] * len(raw)
        else:
            raise ValueError("must be a list of values, or a table of values and weights")
        if not keys:
            raise ValueError("must not be empty")
        values = [_value(key) for key in keys]
        if len(set(values)) < len(values):
            raise ValueError("names a value twice")
        for weight in weights:
            if isinstance(weight, bool) or not isinstance(weight, (int, float)):
                raise ValueError("has a weight that is not a number")
            # Products of three weights are summed, which must not overflow or underflow.
            if not 1e-90 <= weight <= 1e90:
                raise ValueError("has a weight that is not between 1e-90 and 1e90")
        return WeightedChoice.of(values, [float(weight) for weight in weights])

    def _value(key: object) -> Any:
        if words:
            if key not in words:
                raise ValueError(f"has {key!r}; it may hold {', '.join(words)}")
            return key
        try:
            if isinstance(key, bool) or (kind is int and isinstance(key, float)):
                raise ValueError
            value = kind(key)  # the keys of a TOML table are strings
        except (TypeError, ValueError):
            raise ValueError(f"has {key!r}, which is not a number of the right kind") from None
        # Written so that NaN is refused.
        if low is not None and high is not None and not low <= value <= high:
            raise ValueError(f"has {value}, which is not between {low} and {high}")
        return value

    return Annotated[WeightedChoice[kind], BeforeValidator(read)]


def _ordered(pair: tuple[int, int]) -> tuple[int, int]:
    if pair[0] > pair[1]:
        raise ValueError("is an empty range: it runs from more to less")
    return pair


Share = Annotated[float, Field(ge=0, le=1)]
Range = Annotated[
    tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1, le=1000)]],
    AfterValidator(_ordered),
]
RangeFrom0 = Annotated[
    tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0, le=1000)]],
    AfterValidator(_ordered),
]
Kind = Literal["conv", "convbn", "bnconv"]
PoolKind = Literal["max_pooling", "avg_pooling"]
IntersticeKind = Literal["flatten", "global_avg_pooling", "global_max_pooling"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Features(_Section):
    """The main column: the number of feature extractions, and the layers that follow each."""

    count: Range
    merge: Share
    dropout: Share
    pooling: Share


class _Windows(_Section):
    """With `bounded`, windows are drawn as the authors' program draws them: no larger than the
    map, or than half of it where they pad and may reduce it, with strides no larger than the window.
    """

    strides: _choice(int, 1, 64)  # type: ignore[valid-type]
    paddings: _choice(Padding)  # type: ignore[valid-type]
    bounded: bool = False

    def _keeps_size(self, windows: WeightedChoice[int]) -> None:
        if 1 not in self.strides.values or not (
            "same" in self.paddings.values or 1 in windows.values
        ):
            raise ValueError(
                "cannot keep a size, which merges need: it must offer stride 1, and padding "
                "'same' or a window of 1"
            )


class Convolution(_Windows):
    """Convolutions. Filters start at `first_filters`, and each `growing` convolution has
    `filter_growth` more than the one before: each that reduces the map, or each that is free to.
    """

    kinds: _choice(Kind)  # type: ignore[valid-type]
    kernels: _choice(int, 1, 256)  # type: ignore[valid-type]
    activations: _choice(Activation)  # type: ignore[valid-type]
    first_filters: Annotated[int, Field(ge=1, le=4096)]
    filter_growth: Annotated[int, Field(ge=0, le=4096)]
    growing: Literal["reducing", "free"] = "reducing"

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._keeps_size(self.kernels)
        return self


class Pooling(_Windows):
    """Poolings."""

    kinds: _choice(PoolKind)  # type: ignore[valid-type]
    sizes: _choice(int, 1, 256)  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._keeps_size(self.sizes)
        return self


class Merges(_Section):
    """Merges. A left branch is a sequence of convolutions or, with the probability `nested`,
    contains merges. The right side of a lone body is Empty with the probability `empty_right`.

    With `reducing = "one"`, one layer of a side, drawn among its own, is free to reduce the map, and
    none beside Empty; the others have stride 1 and padding `same`. The convolution behind a
    `concat` counts its filters from a share of the channels there, drawn from `compression`.
    """

    modes: _choice(MergeMode)  # type: ignore[valid-type]
    reducing: Literal["any", "one"] = "any"
    compression: _choice(float, 0.01, 1) | None = None  # type: ignore[valid-type]
    bodies: Range
    empty_right: Share
    right_convolutions: Range
    left_convolutions: Range
    pooling_first: Share
    pooling_last: Share
    dropout: Share
    nested: Share
    nested_merges: Range
    nested_bodies: Range
    convolutions_before_nested: RangeFrom0
    convolutions_after_nested: RangeFrom0
    max_depth: Annotated[int, Field(ge=1, le=100)]


class Classification(_Section):
    """The head. The units of a hidden dense layer are a share of its inputs: `wide` from 1000
    inputs on, otherwise a share in the range `narrow`. Wide layers that would have more than
    `limited_from` units, by default `wide_limit`, have `wide_limit`.
    """

    interstices: _choice(IntersticeKind)  # type: ignore[valid-type]
    dense: Range
    dropout: Share
    wide: Share
    wide_limit: Annotated[int, Field(ge=2, le=65536)]
    limited_from: Annotated[int, Field(ge=2, le=65536)] | None = None
    narrow: tuple[Share, Share]


class Space(_Section):
    """A distribution over networks, such as `cnngen/space/spaces/paper.toml`.

    Load one with `load_space`.
    """

    name: str = Field(pattern=NAME)
    description: str = ""
    max_layers: Annotated[int, Field(ge=10, le=100_000)] = 2000
    features: Features
    convolution: Convolution
    pooling: Pooling
    merge: Merges
    dropout_rates: _choice(float, 0, 0.99)  # type: ignore[valid-type]
    batch_norm_epsilons: _choice(float, 1e-30, 1)  # type: ignore[valid-type]
    classification: Classification

    def __repr__(self) -> str:
        about = f": {shorten(self.description, 60)}" if self.description else ""
        return f"<Space {self.name}{about}>"

    def __str__(self) -> str:
        return repr(self)

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def draw_kind(self, word: str, random: Random) -> str:
        """Draw the layer that an open word such as `pooling` becomes."""
        if word == "pooling":
            kind: str = self.pooling.kinds.draw(random)
            return kind
        options = WORDS[word].choice
        return options[int(random() * len(options))]


def builtin_spaces() -> list[str]:
    """List the names of the spaces that come with CNNGen."""
    return sorted(path.stem for path in BUILTIN.glob("*.toml"))


@cache
def _read(path: Path, stamp: int) -> Space:
    raw = _settings(path)
    try:
        space = Space.model_validate(raw)
    except ValidationError as error:
        lines = [f"  {_key_path(e['loc'])}: {_reason(e)}" for e in error.errors()[:5]]
        raise SpaceError(f"{path}: not a valid space:\n" + "\n".join(lines)) from None
    return space if path.parent == BUILTIN else _own_name(space, path)


def _settings(path: Path) -> dict[str, Any]:
    """The settings in a file, with those of its base for all that it leaves out."""
    try:
        raw = tomllib.loads(read_text(path, MAX_FILE))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SpaceError(f"{path}: not valid TOML: {error}") from None
    base = raw.pop("base", None)
    if base is None:
        return raw
    if base not in builtin_spaces():
        raise SpaceError(
            f"{path}: 'base' is not the name of a space",
            hint=f"One of: {', '.join(builtin_spaces())}.",
        )
    settings = tomllib.loads((BUILTIN / f"{base}.toml").read_text(encoding="utf-8"))
    del settings["description"]
    settings["name"] = path.stem
    for name, value in raw.items():
        if name in SECTIONS and isinstance(value, dict):
            settings[name] = settings[name] | value
        else:
            settings[name] = value
    return settings


def _own_name(space: Space, path: Path) -> Space:
    """A space from a file, not under the name of one of ours that it differs from: records name it."""
    if space.name not in builtin_spaces() or _content(space) == _content(load_space(space.name)):
        return space
    own = path.stem
    if own in builtin_spaces() or not re.fullmatch(NAME, own):
        raise SpaceError(
            f"{path}: differs from the space '{space.name}' that comes with CNNGen",
            hint='Give it a name of its own: name = "mine".',
        )
    return space.model_copy(update={"name": own})


def _content(space: Space) -> dict[str, Any]:
    return space.model_dump(exclude={"name", "description"})


def load_space(name: str | Path | Space) -> Space:
    """Load a space by its name or from a TOML file; a `Space` is returned unchanged.

    Raises `SpaceError` for an unknown name and for a file that is not a valid space.
    """
    if isinstance(name, Space):
        return name
    path = _path(name)
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise SpaceError(f"{path}: cannot be read: {error.strerror}") from None


def space_text(name: str | Path) -> str:
    """The TOML text of a space: its file, or all settings where the file holds only some.

    Raises `SpaceError` as `load_space` does.
    """
    path = _path(name)
    space = load_space(name)
    text = read_text(path, MAX_FILE)
    if "base" not in tomllib.loads(text):
        return text
    settings = {**_settings(path), "name": space.name}
    sections = {key: settings.pop(key) for key in list(settings) if key in SECTIONS}
    lines = [f"{key} = {_toml(value)}" for key, value in settings.items()]
    for section, values in sections.items():
        lines += ["", f"[{section}]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _path(name: str | Path) -> Path:
    """The file of a space."""
    if str(name) in builtin_spaces():
        return BUILTIN / f"{name}.toml"
    path = Path(name)
    if path.suffix != ".toml":
        raise SpaceError(
            f"unknown space '{name}'",
            hint=f"Known: {', '.join(builtin_spaces())}, or a file ending in .toml.",
        )
    return path


def _toml(value: object) -> str:
    """A setting as TOML writes it."""
    match value:
        case dict():
            inner = ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items())
            return f"{{ {inner} }}"
        case list():
            return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)


def _key_path(location: tuple[int | str, ...]) -> str:
    return ".".join(part for part in location if isinstance(part, str)) or "the space"


def _reason(error: Any) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "is not a key of a space"
        case "missing":
            return "is missing"
        case _:
            return str(error["msg"]).removeprefix("Value error, ")
