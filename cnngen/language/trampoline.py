"""Recursion limited by memory alone."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

Result = TypeVar("Result")
Recursive = Generator["Recursive[Any]", Any, Result]
"""A recursive function written as a generator: `x = yield f(child)` calls itself."""


def run_recursive(call: Recursive[Result]) -> Result:
    """Run a recursive generator on a stack of its own, however deep it goes.

    An exception ends the whole run_recursive: it does not pass through the callers on the stack.
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
