"""The inside of a worker process: a loop that does one call after the other."""

from __future__ import annotations

import gc
import os
import pickle
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path

from cnngen.errors import CnnGenError, printable
from cnngen.system.link import connected
from cnngen.system.machine import limit_memory

IDLE = 1.0
"""Seconds without a call after which garbage is collected."""

report: ContextVar[Callable[..., None]] = ContextVar("report", default=lambda *progress: None)
"""Where a call reports its progress; whoever makes the call receives it."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How a worker process does its calls.

    `setup` is a function, `module:name`, that is called before the first call. With
    `bytes_only` calls return bytes, and errors come back as texts: to unpickle the objects of
    a framework would import the framework. `memory` is in bytes, see `limit_memory`. With
    `collect_when_idle` garbage is collected only while no call waits, because a collection
    takes longer than a short call.
    """

    setup: str | None = None
    bytes_only: bool = False
    memory: int | None = None
    collect_when_idle: bool = False


class CallError(Exception):
    """An error of a call in a worker that sends only bytes: its message and hint."""

    def __init__(self, message: str, hint: str | None) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint


def main(address: str, options: WorkerOptions) -> None:
    """Run the whole program of a worker, whose end of the link has that address."""
    connection = connected(address)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if sys.platform == "linux":
        # If memory runs out, this process goes and not its parent, where that may be said.
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500")
    if options.memory is not None:
        limit_memory(options.memory)
    if options.setup is not None:
        module, _, name = options.setup.partition(":")
        getattr(import_module(module), name)()
    if options.collect_when_idle:
        gc.disable()
    serve(connection, options)


def serve(connection: Connection, options: WorkerOptions) -> None:
    """Do the calls that come over a connection until it ends.

    A call is a function with its arguments. Messages go back as pairs: `ready` once,
    `progress` with the arguments of each report, and for each call `done` with its result or
    `failed` with its error.
    """
    report.set(lambda *progress: connection.send(("progress", progress)))
    call = _call_for_bytes if options.bytes_only else _call
    connection.send(("ready", None))
    while True:
        try:
            if options.collect_when_idle and not connection.poll(IDLE):
                gc.collect()
            request = connection.recv_bytes()
        except (EOFError, OSError):
            return
        answer = call(request)
        try:
            connection.send(answer)
        except (TypeError, AttributeError, ValueError, pickle.PicklingError) as error:
            connection.send(("failed", RuntimeError(f"{answer[1]!r} cannot be sent: {error}")))


def _call(request: bytes) -> tuple[str, object]:
    try:
        function, arguments, named = pickle.loads(request)
        return "done", function(*arguments, **named)
    except Exception as error:
        return "failed", error


def _call_for_bytes(request: bytes) -> tuple[str, object]:
    try:
        function, arguments, named = pickle.loads(request)
        result = function(*arguments, **named)
        if not isinstance(result, bytes):
            raise TypeError(f"the call returned {type(result).__name__}, not bytes")
        return "done", bytes(result)
    except CnnGenError as error:
        return "failed", CallError(error.message, error.hint)
    except BaseException as error:  # a backend may well call exit()
        first = (str(error).strip().splitlines() or ["no message"])[0]
        return "failed", CallError(f"{type(error).__name__}: {printable(first)[:300]}", None)


def _end_with_parent() -> None:
    # The parent holds the other end of stdin, and the system closes it, however it dies.
    while os.read(0, 1):
        pass
    os._exit(1)
