"""A folder that one campaign at a time may work in."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cnngen.errors import StoreError, shorten

LOCK = ".lock"
FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep other campaigns out of a folder, which is made if it is not there.

    The system lets go of the lock when this process ends, however it ends. Raises
    `StoreError` where another process holds it, and where the lock is no file of its own: what
    it is linked to would be overwritten.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
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
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise StoreError(f"{folder} cannot be locked: {error.strerror}") from None
        file.seek(0)
        holder = shorten(file.read(200), 200) or "another process"
        raise StoreError(
            f"a campaign is at work in {folder}: {holder}",
            hint="Wait for it, stop it, or take another folder.",
        ) from None
