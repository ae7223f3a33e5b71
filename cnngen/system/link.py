"""The connection between a process and its worker, on every system.

POSIX processes inherit one end of a pair of sockets. Elsewhere the worker connects to a port of this
machine, and says a secret first, so that nobody else can send calls: they are pickles.
"""

from __future__ import annotations

import hmac
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection

from cnngen.system.machine import inherits_files

KEY = "CNNGEN_WORKER_KEY"
"""The environment variable with the secret, which the worker removes."""

KEY_BYTES = 32

Start = Callable[[str, Mapping[str, str], Sequence[int]], "subprocess.Popen[bytes]"]
"""Starts a worker that has the address of the link, these variables, and these open files."""


def linked(start: Start, patience: float) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start a worker and return it with our end of the link to it.

    Raises `TimeoutError` if it does not connect within so many seconds, or ends before.
    """
    if inherits_files():
        ours, theirs = socket.socketpair()
        with theirs:
            process = start(f"fd:{theirs.fileno()}", {}, [theirs.fileno()])
        return process, Connection(ours.detach())
    key = secrets.token_bytes(KEY_BYTES)
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = start(f"port:{server.getsockname()[1]}", {KEY: key.hex()}, [])
        try:
            return process, Connection(_accepted(server, key, process, patience).detach())
        except TimeoutError:
            process.kill()
            raise


def connected(address: str) -> Connection:
    """The worker's end of the link that `linked` gave it the address of."""
    kind, _, number = address.partition(":")
    if kind == "fd":
        return Connection(int(number))
    key = bytes.fromhex(os.environ.pop(KEY))
    ours = socket.create_connection(("127.0.0.1", int(number)))
    ours.sendall(key)
    return Connection(ours.detach())


def _accepted(
    server: socket.socket, key: bytes, process: subprocess.Popen[bytes], patience: float
) -> socket.socket:
    """The socket of the worker; whoever does not know the key is sent away."""
    deadline = time.monotonic() + patience
    server.settimeout(0.2)
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(TimeoutError, ConnectionError):
            candidate, _ = server.accept()
            candidate.settimeout(5)
            told = b""
            while len(told) < KEY_BYTES and (part := candidate.recv(KEY_BYTES - len(told))):
                told += part
            if hmac.compare_digest(told, key):
                candidate.settimeout(None)
                return candidate
            candidate.close()
    raise TimeoutError("the worker did not connect")
