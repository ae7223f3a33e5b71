"""The server's state: texts, settings, and the process in which questions are answered.

Texts come whole with each change (they are small), are kept by pygls, and are asked about
one question after the other. A change that was overtaken by the next is not looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar
from urllib.parse import unquote

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.workspace import TextDocument

import cnngen
from cnngen import editor
from cnngen.editor.bounded_process import BoundedProcess, TooLongError
from cnngen.editor.lsp import convert
from cnngen.editor.lsp.positions import Positions
from cnngen.editor.lsp.protocol import RepliesToAll
from cnngen.editor.lsp.settings import read_settings
from cnngen.errors import CnnGenError, Span

P = ParamSpec("P")
T = TypeVar("T")

MAX_SLOW = 16


@dataclass(frozen=True, slots=True)
class Document:
    """An open text at one moment."""

    uri: str
    version: int | None
    text: str
    at: Positions


class Server(LanguageServer):
    """A language server with its settings and the process it asks."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            "cnngen",
            cnngen.__version__,
            text_document_sync_kind=types.TextDocumentSyncKind.Full,
            protocol_cls=RepliesToAll,
        )
        self.settings = editor.TextSettings()
        self.apart = BoundedProcess(seconds)
        self._asking = ThreadPoolExecutor(1, "asking")
        self._slow: dict[str, None] = {}
        """Texts whose dimensions took too long, so that they are not inferred again."""

    def set_up(self, raw: object) -> None:
        """Take over a client's settings; what is wrong with them is said and leaves them."""
        try:
            self.settings = read_settings(raw)
        except CnnGenError as error:
            self.say(error.message)

    def say(self, message: str) -> None:
        """Show a person a message."""
        self.window_show_message(
            types.ShowMessageParams(types.MessageType.Warning, f"CNNGen: {message}")
        )

    def document(self, uri: str) -> Document | None:
        """A text as it is now; None for one that is not open."""
        document = self._open(uri)
        if document is None:
            return None
        text = document.source
        encoding = types.PositionEncodingKind(self.workspace.position_encoding or "utf-16")
        positions = Positions(text, encoding)
        return Document(uri, document.version, text, positions)

    def _open(self, uri: str) -> TextDocument | None:
        # Of a URI there are several spellings, such as `c:` and `c%3A`: pygls has the plain one.
        documents: Mapping[str, TextDocument] = self.workspace.text_documents
        return documents.get(unquote(uri))

    async def ask(
        self,
        document: Document,
        function: Callable[Concatenate[str, P], T],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> T | None:
        """What a function of `cnngen.editor` says of a text; None where that took too long."""
        loop = asyncio.get_running_loop()
        call = partial(self._ask, function, document.text, arguments, named)
        return await loop.run_in_executor(self._asking, call)

    async def diagnose(self, uri: str) -> None:
        """Tell the client what is wrong with a text, unless it changes meanwhile."""
        document = self.document(uri)
        if document is None:
            return
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._asking, self._diagnostics, document)
        if found is None or self.is_overtaken(document):
            return
        self.publish(uri, [convert.diagnostic(each, document.at) for each in found])

    def publish(self, uri: str, found: list[types.Diagnostic]) -> None:
        """Replace what the client shows as wrong with a text."""
        document = self._open(uri)
        version = document.version if document else None
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, found, version))

    def is_overtaken(self, document: Document) -> bool:
        """Whether a text has changed, or was closed."""
        now = self._open(document.uri)
        return now is None or now.version != document.version

    def end(self) -> None:
        """End the process that is asked."""
        self.apart.close()
        self._asking.shutdown(wait=False, cancel_futures=True)

    # In the thread that asks, one call after the other:

    def _ask(
        self,
        function: Callable[..., T],
        text: str,
        arguments: tuple[object, ...],
        named: dict[str, object],
    ) -> T | None:
        settings = named.get("settings")
        if text in self._slow and isinstance(settings, editor.TextSettings):
            named = named | {"settings": replace(settings, dimensions=False)}
        try:
            return self.apart.call(function, text, *arguments, **named)
        except TooLongError:
            self._slow[text] = None
            while len(self._slow) > MAX_SLOW:
                del self._slow[next(iter(self._slow))]
            return None

    def _diagnostics(self, document: Document) -> list[editor.Diagnostic] | None:
        for _ in range(2):  # the second time without dimensions, if they took too long
            if self.is_overtaken(document):
                return None
            named: dict[str, object] = {"settings": self.settings}
            found = self._ask(editor.diagnostics, document.text, (), named)
            if found is not None:
                return found
        return [editor.Diagnostic(Span(0, 0), "information", "reading this text takes too long")]
