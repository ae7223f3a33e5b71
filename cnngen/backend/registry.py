"""Which backends there are. Nothing in `cnngen` names one."""

from __future__ import annotations

from cnngen.backend.interface import Backend
from cnngen.system.plugins import BACKENDS


def backend_names() -> list[str]:
    """The names of all installed backends, in alphabetical order."""
    return list(BACKENDS.declared())


def get_backend(name: str) -> Backend:
    """The backend of that name.

    Raises `BackendError` where there is none, or where it cannot be loaded or was made for
    another interface.
    """
    backend: Backend = BACKENDS.make(name)
    return backend
