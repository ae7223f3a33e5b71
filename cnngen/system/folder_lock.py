"""A folder that one campaign at a time may work in."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from filelock import lock_descriptor

from cnngen.errors import StoreError, shorten
from cnngen.system.untrusted import refuse_links

LOCK = ".lock"
FLAGS = (
    os.O_RDWR
    | os.O_CREAT
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # to open a pipe would wait for its other end
    | getattr(os, "O_CLOEXEC", 0)
)


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep other campaigns out of a folder, which is made if it is not there.

    The system releases the lock when this process ends, however it ends. Raises `StoreError`
    if another process holds it, or if the lock is a link or a file with other names, which
    would be overwritten.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        refuse_links(folder / LOCK, folder)
        file = os.fdopen(os.open(folder / LOCK, FLAGS, 0o666), "r+", errors="replace")
    except OSError as error:
        raise StoreError(
            f"{folder / LOCK} cannot be opened: {error.strerror}",
            hint="It must be a file, not a link, in a folder that you may write to.",
        ) from None
    with file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise StoreError(f"{folder / LOCK} is not a file of its own", hint="Remove it.")
        _lock(file, folder)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield


def _lock(file: IO[str], folder: Path) -> None:
    try:
        is_locked = lock_descriptor(file.fileno(), blocking=False)
    except OSError as error:
        raise StoreError(f"{folder} cannot be locked: {error.strerror}") from None
    if not is_locked:
        holder = ""
        with suppress(OSError):  # Windows lets nobody else read a locked file
            holder = shorten(file.read(200), 200)
        raise StoreError(
            f"a campaign is at work in {folder}: {holder or 'another process'}",
            hint="Wait for it, stop it, or take another folder.",
        )
