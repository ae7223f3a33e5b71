"""What the numbers of a description may be."""

from __future__ import annotations

from collections.abc import Callable

from cnngen.language.tree import Value

LARGEST = 1_000_000
"""No count, size or extent is larger: beyond is a slip or an attack."""


def parse_value(name: str, text: str) -> Value:
    """The value of hyper-parameter `name`; `ValueError` says what would be right."""
    return _READERS.get(name, str)(text)


def parse_count(text: str) -> int:
    """A whole number from 1 to `LARGEST`."""
    digits = text.lstrip("0") or "0"
    # Python refuses to read thousands of digits.
    count = int(digits) if len(digits) <= len(str(LARGEST)) else LARGEST + 1
    if not 1 <= count <= LARGEST:
        raise ValueError(f"a whole number from 1 to {LARGEST:,}")
    return count


def parse_shape(text: str) -> tuple[int, int, int]:
    """`HEIGHTxWIDTHxCHANNELS`."""
    height, width, channels = _counts(text)
    return height, width, channels


def _extent(text: str) -> Value:
    numbers = _counts(text)
    return numbers[0], numbers[-1]


def _counts(text: str) -> list[int]:
    return [parse_count(part.strip()) for part in text.split("x")]


def _rate(text: str) -> Value:
    rate = float(text)
    if not 0 <= rate < 1:
        raise ValueError("a share from 0 to below 1")
    return rate


def _epsilon(text: str) -> Value:
    epsilon = float(text)
    if not 0 < epsilon <= 1:
        raise ValueError("a number above 0 and at most 1")
    return epsilon


_READERS: dict[str, Callable[[str], Value]] = {
    "filters": parse_count,
    "units": parse_count,
    "kernel": _extent,
    "stride": _extent,
    "size": _extent,
    "rate": _rate,
    "epsilon": _epsilon,
    "bias": lambda text: text == "true",
}
