"""The state of the language server: texts, settings, and the process that computes results.

Clients send the whole text with each change, as texts are small. Requests are processed one
after the other. A change that is superseded by the next is skipped.
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
    """A version of an open text."""

    uri: str
    version: int | None
    text: str
    at: Positions


class Server(LanguageServer):
    """A language server with its settings and its worker process."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            "cnngen",
            cnngen.__version__,
            text_document_sync_kind=types.TextDocumentSyncKind.Full,
            protocol_cls=RepliesToAll,
        )
        self.settings = editor.TextSettings()
        self.worker = BoundedProcess(seconds)
        self._asking = ThreadPoolExecutor(1, "asking")
        self._slow: dict[str, None] = {}
        """Texts whose dimensions took too long, and are not inferred again."""

    def set_up(self, raw: object) -> None:
        """Apply a client's settings. If they are wrong, show why and keep the current ones."""
        try:
            self.settings = read_settings(raw)
        except CnnGenError as error:
            self.say(error.message)

    def say(self, message: str) -> None:
        """Show a message to the user."""
        self.window_show_message(
            types.ShowMessageParams(types.MessageType.Warning, f"CNNGen: {message}")
        )

    def document(self, uri: str) -> Document | None:
        """Return the current version of a text; None if it is not open."""
        document = self._open(uri)
        if document is None:
            return None
        text = document.source
        encoding = types.PositionEncodingKind(self.workspace.position_encoding or "utf-16")
        positions = Positions(text, encoding)
        return Document(uri, document.version, text, positions)

    def _open(self, uri: str) -> TextDocument | None:
        # A URI has several spellings, such as `c:` and `c%3A`; pygls keeps the plain one.
        documents: Mapping[str, TextDocument] = self.workspace.text_documents
        return documents.get(unquote(uri))

    async def ask(
        self,
        document: Document,
        function: Callable[Concatenate[str, P], T],
        *arguments: P.args,
        **named: P.kwargs,
    ) -> T | None:
        """Call a function of `cnngen.editor` on a text; None if it takes too long."""
        loop = asyncio.get_running_loop()
        call = partial(self._ask, function, document.text, arguments, named)
        return await loop.run_in_executor(self._asking, call)

    async def diagnose(self, uri: str) -> None:
        """Send a text's diagnostics to the client, unless the text changes meanwhile."""
        document = self.document(uri)
        if document is None:
            return
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._asking, self._diagnostics, document)
        if found is None or self.is_overtaken(document):
            return
        self.publish(uri, [convert.diagnostic(each, document.at) for each in found])

    def publish(self, uri: str, found: list[types.Diagnostic]) -> None:
        """Replace the diagnostics that the client shows for a text."""
        document = self._open(uri)
        version = document.version if document else None
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, found, version))

    def is_overtaken(self, document: Document) -> bool:
        """Return whether a text has changed since, or was closed."""
        now = self._open(document.uri)
        return now is None or now.version != document.version

    def end(self) -> None:
        """End the worker process."""
        self.worker.close()
        self._asking.shutdown(wait=False, cancel_futures=True)

    # These run in the thread of the worker process, one call after the other:

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
            return self.worker.call(function, text, *arguments, **named)
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
