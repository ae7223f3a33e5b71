"""The inside of a worker process."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextvars import ContextVar
from multiprocessing.connection import Connection

from cnngen.training.protocol import Epoch

Report = Callable[[str, Epoch], None]
"""Takes a run's key and an epoch that has ended."""

report_epoch: ContextVar[Report] = ContextVar("report_epoch", default=lambda key, epoch: None)
"""Where a job tells of its epochs; whoever runs it says."""


def main(line: Connection) -> None:
    """Do what comes over the line, one call after the other, until it ends.

    Sent are pairs: `ready`, `epoch` with a report's arguments, `done` with what a call gave
    and `failed` with what it raised.
    """
    report_epoch.set(lambda key, epoch: line.send(("epoch", (key, epoch))))
    line.send(("ready", None))
    while True:
        try:
            fn, args, kwargs = line.recv()
        except (EOFError, OSError):
            return
        try:
            answer = ("done", fn(*args, **kwargs))
        except Exception as error:
            answer = ("failed", error)
        try:
            line.send(answer)
        except (TypeError, AttributeError, ValueError, pickle.PicklingError) as error:
            line.send(("failed", RuntimeError(f"{answer[1]!r} cannot be sent: {error}")))
