"""A folder that one campaign at a time may work in."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cnngen.errors import StoreError

LOCK = ".lock"


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep other campaigns out of a folder, which is made if it is not there.

    The system lets go of the lock when this process ends, however it ends. Raises
    `StoreError` where another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+")
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror}") from None
    with file:
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
        holder = file.read(200) or "another process"
        raise StoreError(
            f"a campaign is at work in {folder}: {holder}",
            hint="Wait for it, stop it, or take another folder.",
        ) from None
