"""A backend in a process of its own, in one of the modes that its framework can be run in.

A mode is written as the backend's name, or `backend:mode`, and perhaps the precision to train in:
`torch`, `torch:compiled`, `keras:jax`, `torch@bfloat16`. Frameworks do not share a process, and what one of them does to its own, such as to
hang or to print, reaches ours as an error with the mode's name.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Concatenate, ParamSpec, Self, get_args

from cnngen.backend.registry import get_backend
from cnngen.errors import BackendError, printable
from cnngen.system.process import Worker, WorkerDied
from cnngen.system.worker import CallError, WorkerOptions
from cnngen.training.protocol import Precision

P = ParamSpec("P")

PATIENCE = 300.0
"""Seconds after which a call that has not come back counts as hung."""

OPTIONS = WorkerOptions(bytes_only=True)

TAIL = 4000
"""How many bytes are kept of what a process prints."""


@dataclass(frozen=True, slots=True)
class Mode:
    """A backend by name, and how its framework is run; None is as the backend chooses.

    `precision` is the one to train in, None for the protocol's. `environment` is set before the
    framework is loaded.
    """

    backend: str
    name: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict, compare=False)
    precision: Precision | None = None

    def __str__(self) -> str:
        name = f"{self.backend}:{self.name}" if self.name else self.backend
        return f"{name}@{self.precision}" if self.precision else name


class ModeError(BackendError):
    """A backend failed in a mode: it raised, hung, died or returned the wrong type.

    `is_end`: its process is at an end.
    """

    def __init__(self, message: str, *, hint: str | None = None, is_end: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.is_end = is_end


def split_mode(text: str) -> tuple[str, str | None, str | None]:
    """The backend, the mode and the precision that a text names; None for what it leaves out."""
    where, at, precision = text.strip().partition("@")
    backend, colon, name = where.partition(":")
    return backend, name if colon else None, precision if at else None


def parse_mode(text: str) -> Mode:
    """The mode that a text such as `torch`, `keras:jax` or `torch@bfloat16` names.

    Raises `BackendError` if the backend, the mode or the precision does not exist.
    """
    backend, name, asked = split_mode(text)
    precision = next((one for one in get_args(Precision) if one == asked), None)
    if asked is not None and precision is None:
        where = text.strip().partition("@")[0]
        raise BackendError(
            f"there is no precision '{asked}'",
            hint=f"Known: {', '.join(f'{where}@{one}' for one in get_args(Precision))}.",
        )
    modes = get_backend(backend).modes
    if name is None:
        return Mode(backend, precision=precision)
    if name not in modes:
        known = ", ".join(f"{backend}:{mode}" for mode in modes)
        raise BackendError(
            f"backend '{backend}' has no mode '{name}'",
            hint=f"Known: {known}." if known else f"It has none: write {backend}.",
        )
    return Mode(backend, name, modes[name], precision)


class ModeProcess:
    """A process for a mode, started when it is needed, and anew after it has died.

    A call that does not return within `patience` seconds is ended with its process.
    """

    def __init__(
        self,
        mode: Mode,
        *,
        patience: float = PATIENCE,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.mode = mode
        self.patience = patience
        self.environment = {**(environment or {}), **mode.environment}
        self._worker: Worker | None = None
        self._printed = _Printed()

    def framework(self) -> str:
        """Names and versions of the mode's framework, once it is loaded.

        Raises `ModeError` where it is not installed, or cannot be loaded.
        """
        return self.call(_framework).decode()

    def devices(self) -> tuple[str, ...]:
        """Names of the devices that the mode's framework can use, the one that it takes first.

        Raises `ModeError` where it is not installed, or cannot be loaded.
        """
        return tuple(map(str, json.loads(self.call(_devices))))

    def call(
        self, fn: Callable[Concatenate[str, P], bytes], /, *args: P.args, **kwargs: P.kwargs
    ) -> bytes:
        """Call a module's function in that process; the backend's name is its first argument.

        Bytes come back, and no objects: to load those of a framework would load the framework.
        Raises `ModeError` for whatever goes wrong there.
        """
        worker = self._started()
        try:
            result = worker.call(fn, (self.mode.backend, *args), kwargs, patience=self.patience)
        except WorkerDied as death:
            self.end()
            hint = self._printed.hint()
            raise ModeError(
                f"{self.mode}: {death.training_cause}", hint=hint, is_end=True
            ) from None
        except CallError as error:
            raise ModeError(f"{self.mode}: {error.message}", hint=error.hint) from None
        assert isinstance(result, bytes)
        return result

    def end(self) -> None:
        """End the process; the next call starts another."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None
            self._printed.finish()

    def _started(self) -> Worker:
        if self._worker is None:
            self._worker = Worker(OPTIONS, self.environment, capture=True)
            self._printed = _Printed(self._worker.process.stdout)
        return self._worker

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()


class _Printed:
    """The last that a process printed, read as it comes so that it never waits for us."""

    def __init__(self, file: IO[bytes] | None = None) -> None:
        self._last = b""
        self._thread = threading.Thread(target=self._read, args=[file], daemon=True)
        self._thread.start()

    def _read(self, file: IO[bytes] | None) -> None:
        while file is not None and (chunk := os.read(file.fileno(), 65536)):
            self._last = (self._last + chunk)[-TAIL:]

    def finish(self) -> None:
        """Wait for the rest of what a process that has ended printed."""
        self._thread.join(1)  # whatever it has started may hold the file open

    def hint(self) -> str | None:
        """The last lines, if there are any, as a hint."""
        lines = [printable(line) for line in self._last.decode(errors="replace").splitlines()]
        lines = [line for line in lines if line.strip()]
        return "The last that it printed:\n  " + "\n  ".join(lines[-8:]) if lines else None


def installed(name: str) -> bytes:
    """Return the version of a backend's framework. Raises `BackendError` if it is missing."""
    backend = get_backend(name)
    version = backend.version()
    if version is None:
        raise BackendError("its framework is not installed", hint=f"Install: {backend.install}")
    return version.encode()


def _framework(name: str) -> bytes:
    version = installed(name)
    get_backend(name).prepare()
    return version


def _devices(name: str) -> bytes:
    installed(name)
    return json.dumps(get_backend(name).devices()).encode()
