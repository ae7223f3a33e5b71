"""Replies to malformed requests, which pygls leaves unanswered."""

from __future__ import annotations

from dataclasses import dataclass

from cattrs import transform_error
from lsprotocol import types
from pygls.exceptions import (
    FeatureNotificationError,
    JsonRpcException,
    JsonRpcInvalidParams,
    JsonRpcInvalidRequest,
)
from pygls.protocol import LanguageServerProtocol

MOST_FAULTS = 3


@dataclass(frozen=True, slots=True)
class _Unreadable:
    """A message that does not follow the protocol, and why."""

    data: dict[str, object]
    error: JsonRpcException


class RepliesToAll(LanguageServerProtocol):
    """A protocol that replies to every request, with an error if its parameters are wrong."""

    def structure_message(self, data: dict[str, object]) -> object:
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            return _Unreadable(data, error)

    def handle_message(self, message: object) -> None:
        match message:
            case _Unreadable(data, error) if "id" in data and "method" in data:
                self._refuse(data["id"], JsonRpcInvalidParams(_cause(error)))
            case _Unreadable(data, error):
                # Notifications have no reply: show the error to the user instead.
                cause = JsonRpcInvalidParams(f"{data.get('method', 'a response')}: {_cause(error)}")
                self._server._report_server_error(cause, FeatureNotificationError)
            case dict() | list():
                error = JsonRpcInvalidRequest("not a JSON-RPC 2.0 message")
                self._refuse(message.get("id") if isinstance(message, dict) else None, error)
            case _:
                super().handle_message(message)  # type: ignore[arg-type]

    def _refuse(self, id_: object, error: JsonRpcException) -> None:
        known = id_ if isinstance(id_, int | str) and not isinstance(id_, bool) else None
        self._send_data(types.ResponseErrorMessage(known, error.to_response_error()))


def _cause(error: JsonRpcException) -> str:
    """Describe what is wrong with the parameters, and where."""
    faults = transform_error(error.__cause__, path="message") if error.__cause__ else []
    return "; ".join(faults[:MOST_FAULTS]) or str(error)
