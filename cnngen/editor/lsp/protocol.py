"""Answers to requests that cannot be understood, which pygls leaves without any."""

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
    """A message that is not one of the protocol's, and why."""

    data: dict[str, object]
    error: JsonRpcException


class RepliesToAll(LanguageServerProtocol):
    """Every request gets an answer, if only what is wrong with its parameters."""

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
                # A notification gets no answer; the person is told, as of other errors.
                cause = JsonRpcInvalidParams(f"{data.get('method', 'a response')}: {_cause(error)}")
                self._server._report_server_error(cause, FeatureNotificationError)
            case dict() | list():
                error = JsonRpcInvalidRequest("not a message of JSON-RPC 2.0")
                self._refuse(message.get("id") if isinstance(message, dict) else None, error)
            case _:
                super().handle_message(message)  # type: ignore[arg-type]

    def _refuse(self, id_: object, error: JsonRpcException) -> None:
        known = id_ if isinstance(id_, int | str) and not isinstance(id_, bool) else None
        self._send_data(types.ResponseErrorMessage(known, error.to_response_error()))


def _cause(error: JsonRpcException) -> str:
    """What is wrong with the parameters, and where."""
    faults = transform_error(error.__cause__, path="message") if error.__cause__ else []
    return "; ".join(faults[:MOST_FAULTS]) or str(error)
