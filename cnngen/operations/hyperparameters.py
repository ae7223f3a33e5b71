"""The valid values of each hyper-parameter: of a word, of an operation, of an image.

Values reach generated code and texts, so trees and operations hold nothing else: a value
given in Python stands for the one that it equals (`numpy.int64(3)` is 3, 1 is true), and all
others are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from numbers import Real
from typing import Literal, get_args

from cnngen.errors import CnnGenError, shorten
from cnngen.operations.shapes import Padding

PublishedActivation = Literal["linear", "relu", "selu", "tanh", "gelu", "sigmoid"]
"""Those of the published language, which saved predictors know one by one."""

Activation = Literal[
    "linear", "relu", "selu", "tanh", "gelu", "sigmoid",
    "silu", "hardswish", "hardsigmoid", "relu6", "leaky_relu", "elu", "mish",
]  # fmt: skip

Order = Literal["conv_act_norm", "conv_norm_act", "norm_conv_act", "norm_act_conv"]

Gate = Literal["sigmoid", "hardsigmoid"]
"""The function that opens and closes a channel, with values from 0 to 1."""

DEPTHWISE: Literal["depthwise"] = "depthwise"
"""The value of `groups` that stands for as many groups as there are channels."""

Value = int | float | bool | str | tuple[int, ...]
"""A hyper-parameter: a count, a number, a flag, a word, an extent or a shape."""

LARGEST = 1_000_000
"""The largest count, size or extent: a larger one is a slip or an attack."""


def checked(name: str, value: object) -> Value:
    """The value of hyper-parameter `name` in Python's own types.

    Raises `ValueError` that says what would be right.
    """
    reader = _READERS.get(name)
    if reader is None:
        raise ValueError("not the name of a hyper-parameter")
    return reader(value)


def refusal(name: str, value: object, right: ValueError) -> str:
    """The message for an invalid value, with what would be right."""
    return f"'{shorten(name)}' cannot be {shown(value)}; it is {right}"


def shown(value: object) -> str:
    """A value of any kind for a message."""
    try:
        return shorten(str(value) if isinstance(value, (int, float)) else repr(value))
    except Exception:  # its own code may do anything, and numbers can be too long to print
        return f"this {type(value).__name__}"


def checked_or_refuse(name: str, value: object) -> Value:
    """As `checked`. Raises `CnnGenError`."""
    try:
        return checked(name, value)
    except ValueError as right:
        raise CnnGenError(refusal(name, value, right)) from None


def count(value: object) -> int:
    """A whole number from 1 to `LARGEST`."""
    number = _number(value)
    if number is None or not 1 <= number <= LARGEST or number != int(number):
        raise ValueError(f"a whole number from 1 to {LARGEST:,}")
    return int(number)


def _counts(value: object, length: int, right: str) -> tuple[int, ...]:
    if not isinstance(value, Sequence) or len(value) != length:
        raise ValueError(right)
    try:
        first, *others = map(count, value[:length])
    except ValueError:
        raise ValueError(right) from None
    return first, *others


def _extent(value: object) -> tuple[int, ...]:
    return _counts(value, 2, f"a height and a width, each from 1 to {LARGEST:,}")


def shape(value: object) -> tuple[int, int, int]:
    """Height, width and channels of an image."""
    right = f"a height, a width and channels, each from 1 to {LARGEST:,}"
    height, width, channels = _counts(value, 3, right)
    return height, width, channels


def _groups(value: object) -> Value:
    if value == DEPTHWISE:
        return DEPTHWISE
    try:
        return count(value)
    except ValueError as right:
        raise ValueError(f"{right}, or {DEPTHWISE}") from None


def _rate(value: object) -> float:
    number = _number(value)
    if number is None or not 0 <= number < 1:
        raise ValueError("a share from 0 to below 1")
    return abs(number)  # the language cannot write -0.0


def _epsilon(value: object) -> float:
    number = _number(value)
    if number is None or not 0 < number <= 1:
        raise ValueError("a number above 0 and at most 1")
    return number


def _flag(value: object) -> bool:
    number = _number(value)
    if number not in (0, 1):
        raise ValueError("true or false")
    return number == 1


def _number(value: object) -> float | None:
    """A number as a float, which holds every count exactly; None for all else."""
    # NumPy's flags are not among the numbers.
    if not isinstance(value, Real) and type(value).__name__ not in ("bool", "bool_"):
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (OverflowError, TypeError, ValueError):
        return None


def _word(words: dict[str, str], value: object) -> str:
    if not isinstance(value, str) or value not in words:
        *most, last = words
        raise ValueError(f"{', '.join(most)} or {last}")
    return words[value]


def _one_of(kind: object) -> Callable[[object], str]:
    return partial(_word, {word: word for word in get_args(kind)})


VALUE_WORDS: dict[str, str] = {
    word: word
    for kind in (Padding, Activation, Gate, Literal["depthwise"], Order)
    for word in get_args(kind)
}
"""The words that are values in a description."""

_READERS: dict[str, Callable[[object], Value]] = {
    **dict.fromkeys(("filters", "units", "squeezed", "channels", "classes"), count),
    **dict.fromkeys(("kernel", "stride", "size", "dilation"), _extent),
    "groups": _groups,
    "shape": shape,
    "rate": _rate,
    "epsilon": _epsilon,
    "bias": _flag,
    "padding": _one_of(Padding),
    "activation": _one_of(Activation),
    "gate": _one_of(Gate),
    "order": _one_of(Order),
    "pooling": _one_of(Literal["max", "avg"]),
}
