"""Parses the values of hyper-parameters."""

from __future__ import annotations

from collections.abc import Callable

from cnngen.operations.hyperparameters import LARGEST, Value, checked, count

__all__ = ["LARGEST", "parse_count", "parse_shape", "parse_value"]


def parse_value(name: str, text: str) -> Value:
    """Parse the value of hyper-parameter `name`. Raises `ValueError` with what would be right."""
    return checked(name, _READERS.get(name, str)(text))


def parse_count(text: str) -> int:
    """Parse a whole number. Raises `ValueError` unless it is from 1 to `LARGEST`."""
    digits = text.lstrip("0") or "0"
    # Python refuses to convert thousands of digits.
    return count(int(digits) if len(digits) <= len(str(LARGEST)) else LARGEST + 1)


def parse_shape(text: str) -> tuple[int, int, int]:
    """Parse `HEIGHTxWIDTHxCHANNELS`."""
    height, width, channels = _counts(text)
    return height, width, channels


def _extent(text: str) -> tuple[int, int]:
    numbers = _counts(text)
    return numbers[0], numbers[-1]


def _counts(text: str) -> list[int]:
    return [parse_count(part.strip()) for part in text.split("x")]


_READERS: dict[str, Callable[[str], object]] = {
    "filters": parse_count,
    "units": parse_count,
    "squeezed": parse_count,
    "kernel": _extent,
    "stride": _extent,
    "size": _extent,
    "dilation": _extent,
    "groups": lambda text: parse_count(text) if text[:1].isdigit() else text,
    "rate": float,
    "epsilon": float,
    "bias": lambda text: text == "true",
}
