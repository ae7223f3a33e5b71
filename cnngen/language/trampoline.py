"""Runs recursive generators on a heap-allocated stack, so depth is limited only by memory."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

Result = TypeVar("Result")
Recursive = Generator["Recursive[Any]", Any, Result]
"""A recursive function as a generator: `x = yield f(argument)` is the recursive call."""


def run_recursive(call: Recursive[Result]) -> Result:
    """Run a recursive generator to its result, at any depth.

    An exception ends the whole run; it does not propagate through the calling generators.
    """
    stack: list[Recursive[Any]] = [call]
    value: Any = None
    while True:
        try:
            stack.append(stack[-1].send(value))
            value = None
        except StopIteration as done:
            stack.pop()
            value = done.value
            if not stack:
                return value  # type: ignore[no-any-return]
