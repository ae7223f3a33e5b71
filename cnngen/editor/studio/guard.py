"""Access control: only the studio's own pages, on this machine and with its token, get through.

Any web page that is open in the same browser can send requests to the loopback interface, and so
can any page whose name an attacker points there (DNS rebinding). So each request must have the
studio's own address as its host and, if given, as its origin, and must carry a token that nobody
can guess. Websockets are refused, as the studio uses none.
"""

from __future__ import annotations

import secrets
from http import HTTPStatus
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

READS = ("GET", "HEAD")
OWN_SITE = ("same-origin", "none")
"""Accepted values of Sec-Fetch-Site: from this page, or from the address bar."""


class Guard:
    """An ASGI middleware that passes on only authorised requests.

    `authorities` are the hosts, with port, under which the studio is reached. `cookie` is the
    name of the cookie that holds the token. With `nonce`, the editor's library may add a style
    sheet to the page. `most` is the maximum size of a request in bytes.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        authorities: frozenset[str],
        token: str,
        cookie: str,
        nonce: str,
        most: int,
    ) -> None:
        self.app = app
        self.authorities = authorities
        self.token = token
        self.cookie = cookie
        self.nonce = nonce
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            answer = self._answer(scope)
            if answer is None:
                await self.app(scope, self._measured(receive), self._sealed(send))
            else:
                await answer(scope, receive, self._sealed(send))
        else:
            # Responds to a websocket's handshake with 403.
            await send({"type": "websocket.close", "code": 1008})

    def _answer(self, scope: Scope) -> Response | None:
        """Return the response to a refused request; None for a request to pass on."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0] not in self.authorities:
            return _refuse(HTTPStatus.MISDIRECTED_REQUEST, "This is not an address of the studio.")
        origin = headers.get("origin")
        if origin is None and scope["method"] not in READS:
            return _refuse(HTTPStatus.FORBIDDEN, "The request does not say which page it is from.")
        if origin is not None and origin != f"http://{hosts[0]}":
            return _refuse(HTTPStatus.FORBIDDEN, "The request is from another page.")
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if scope["path"] == "/" and scope["method"] == "GET" and given:
            return self._enter(given)
        if headers.get("sec-fetch-site", "none") not in OWN_SITE:
            return _refuse(HTTPStatus.FORBIDDEN, "The request is from another page.")
        if not self._is_token(cookie_parser(headers.get("cookie", "")).get(self.cookie, "")):
            return _refuse(
                HTTPStatus.FORBIDDEN,
                "Open the address with its token, as `cnngen studio` printed it.",
            )
        return None

    def _enter(self, given: list[str]) -> Response:
        """Exchange the token in the address for a cookie, so that no history keeps it."""
        if len(given) != 1 or not self._is_token(given[0]):
            return _refuse(HTTPStatus.FORBIDDEN, "The token is not that of this studio.")
        answer = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        answer.set_cookie(self.cookie, self.token, httponly=True, samesite="strict")
        return answer

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.token.encode())

    def _measured(self, receive: Receive) -> Receive:
        """Wrap a request to cut off a body that is too long."""
        left = self.most

        async def measured() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            return message if left >= 0 else {"type": "http.disconnect"}

        return measured

    def _sealed(self, send: Send) -> Send:
        """Wrap a response with headers that keep other pages from reading or embedding it."""

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers())
            await send(message)

        return sealed

    def _headers(self) -> dict[str, str]:
        return {
            "Content-Security-Policy": (
                "default-src 'none'; script-src 'self'; connect-src 'self'; "
                f"style-src 'self' 'nonce-{self.nonce}'; img-src 'self' data:; "
                "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }


def _refuse(status: HTTPStatus, reason: str) -> Response:
    return PlainTextResponse(reason + "\n", status)
