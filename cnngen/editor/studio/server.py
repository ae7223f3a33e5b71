"""Serves a studio to the browsers of this machine."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address

import uvicorn

from cnngen.editor.studio.app import Studio
from cnngen.editor.studio.guard import Guard
from cnngen.editor.studio.settings import StudioSettings, read_file
from cnngen.errors import CnnGenError
from cnngen.training.data.shared import shared


def serve(
    settings: StudioSettings,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    on_ready: Callable[[str], None],
) -> None:
    """Serve the browsers of this machine until Ctrl-C.

    `on_ready` is called with the address to open, including its token. Port 0 is any free port.
    Raises `CnnGenError` for a host that other machines could reach, a port that is in use, or a
    file that cannot be read.
    """
    read_file(settings)
    with _listen(host, port) as listener, shared(settings.data) as data:
        port = listener.getsockname()[1]
        token = secrets.token_urlsafe(32)
        nonce = secrets.token_urlsafe(16)
        address = f"[{host}]" if ":" in host else host
        guard = Guard(
            Studio(settings, data, nonce).app(),
            authorities=frozenset({f"{address}:{port}", f"localhost:{port}"}),
            token=token,
            cookie=f"cnngen-studio-{port}",
            nonce=nonce,
            most=8 * settings.limits.characters,
        )
        server = uvicorn.Server(
            uvicorn.Config(
                guard,
                # Use the same parser and event loop everywhere, whatever else is installed.
                http="h11",
                loop="asyncio",
                ws="none",
                log_level="warning",
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        on_ready(f"http://{address}:{port}/?token={token}")
        with suppress(KeyboardInterrupt):  # which is how it ends
            server.run([listener])


def _listen(host: str, port: int) -> socket.socket:
    """Open a socket that only this machine can reach."""
    try:
        address = ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise CnnGenError(
            f"the studio serves only this machine, and '{host}' is not a loopback address",
            hint="Use 127.0.0.1 or ::1. From another machine, connect with `ssh -L`.",
        )
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(address), port))
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        raise CnnGenError(
            f"the studio cannot listen on port {port}: {error}",
            hint="Another studio may be using it. Choose another with --port; 0 is any free port.",
        ) from None
    return listener
