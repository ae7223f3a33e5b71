"""The inside of the process that answers about texts."""

from __future__ import annotations

import gc
import os
import sys
from multiprocessing.connection import Connection

MEMORY = 4 * 2**30
"""Bytes of address space, most of which NumPy only reserves."""


IDLE = 1.0
"""Seconds without a question, after which garbage is collected."""


def main(line: Connection) -> None:
    """Answer one question after the other, until the line ends.

    A question is a function with its arguments. Sent are pairs: `ready`, `answer` with what
    the function gave, `failed` with what it raised.
    """
    # What is printed must not get into the parent's output, which may be a protocol's.
    os.dup2(2, 1)
    if sys.platform == "linux":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_AS)
        limit = MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    _warm()
    line.send(("ready", None))
    # A collection takes longer than an answer: it waits until nobody asks.
    gc.disable()
    while True:
        try:
            if not line.poll(IDLE):
                gc.collect()
            function, arguments, named = line.recv()
        except (EOFError, OSError):
            return
        try:
            answer = ("answer", function(*arguments, **named))
        except Exception as error:
            answer = ("failed", error)
        line.send(answer)


def _warm() -> None:
    """Compute what every first question needs: the grammar, its repairs, the space."""
    from cnngen.editor import completions, diagnostics

    diagnostics("input conv flatten dense")
    completions("input conv(kernel=", 18)
