"""The features of the language server: the handler of each request of the protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol, TypeVar

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from cnngen import editor
from cnngen.editor.bounded_process import SECONDS
from cnngen.editor.lsp import convert
from cnngen.editor.lsp.server import Document, Server
from cnngen.errors import CnnGenError

FILL = "cnngen.fill"
"""The command `cnngen.fill(uri, seed)`: writes out what is open as a seed draws it."""


class _OfText(Protocol):
    @property
    def text_document(self) -> types.TextDocumentIdentifier: ...


Params = TypeVar("Params", bound=_OfText)
Answer = TypeVar("Answer")


def serve_stdio() -> None:
    """Serve one client over stdin and stdout until it exits."""
    server = make_server()
    try:
        server.start_io()
    finally:
        server.end()


def make_server(seconds: float = SECONDS) -> Server:
    """Create a server with all features. `seconds` limits the time for one request."""
    server = Server(seconds)
    _follow(server)
    _answer(server)
    _change(server)
    return server


def _follow(server: Server) -> None:
    """Register the handlers for settings, and for opened, changed and closed texts."""

    @server.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        server.set_up(params.initialization_options)

    @server.feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    async def configure(params: types.DidChangeConfigurationParams) -> None:
        server.set_up(params.settings)
        for document in list(server.workspace.text_documents.values()):
            await server.diagnose(document.uri)  # as the client spelt it
        workspace = server.client_capabilities.workspace
        if workspace and workspace.inlay_hint and workspace.inlay_hint.refresh_support:
            await server.workspace_inlay_hint_refresh_async(None)

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    async def opened(params: types.DidOpenTextDocumentParams) -> None:
        await server.diagnose(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    async def changed(params: types.DidChangeTextDocumentParams) -> None:
        await server.diagnose(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: types.DidCloseTextDocumentParams) -> None:
        server.publish(params.text_document.uri, [])


def _on(
    server: Server, feature: str, options: object = None
) -> Callable[[Callable[[Document, Params], Awaitable[Answer]]], None]:
    """Register the handler of a request about a text. The result is null if it is not open."""

    def register(answer: Callable[[Document, Params], Awaitable[Answer]]) -> None:
        @server.feature(feature, options)
        async def handle(params: Params) -> Answer | None:
            document = server.document(params.text_document.uri)
            return None if document is None else await answer(document, params)

    return register


def _answer(server: Server) -> None:
    """Register the features that show a text."""

    @_on(server, types.TEXT_DOCUMENT_HOVER)
    async def hover(document: Document, params: types.HoverParams) -> types.Hover | None:
        offset = document.at.offset(params.position)
        found = await server.ask(document, editor.hover, offset, settings=server.settings)
        return convert.hover_markup(found, document.at) if found else None

    @_on(server, types.TEXT_DOCUMENT_INLAY_HINT)
    async def hints(document: Document, params: types.InlayHintParams) -> list[types.InlayHint]:
        within = document.at.span(params.range)
        found = await server.ask(document, editor.hints, settings=server.settings, within=within)
        return [convert.hint(each, document.at) for each in found or ()]

    @_on(server, types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    async def outline(
        document: Document, params: types.DocumentSymbolParams
    ) -> list[types.DocumentSymbol]:
        found = await server.ask(document, editor.symbols, settings=server.settings)
        return [convert.symbol(each, document.at) for each in found or ()]

    @_on(server, types.TEXT_DOCUMENT_FOLDING_RANGE)
    async def folds(
        document: Document, params: types.FoldingRangeParams
    ) -> list[types.FoldingRange]:
        found = await server.ask(document, editor.folds)
        return [convert.fold(each, document.at) for each in found or ()]

    @_on(server, types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, convert.LEGEND)
    async def colours(
        document: Document, params: types.SemanticTokensParams
    ) -> types.SemanticTokens:
        found = await server.ask(document, editor.tokens)
        return convert.semantic_tokens(found or (), document.at)


def _change(server: Server) -> None:
    """Register the features that change a text."""

    @_on(
        server,
        types.TEXT_DOCUMENT_COMPLETION,
        types.CompletionOptions(trigger_characters=list("(=,[ ")),
    )
    async def complete(
        document: Document, params: types.CompletionParams
    ) -> list[types.CompletionItem]:
        offset = document.at.offset(params.position)
        found = await server.ask(document, editor.completions, offset, settings=server.settings)
        return [convert.completion(each, n, document.at) for n, each in enumerate(found or ())]

    @_on(server, types.TEXT_DOCUMENT_FORMATTING)
    async def format(
        document: Document, params: types.DocumentFormattingParams
    ) -> list[types.TextEdit]:
        found = await server.ask(document, editor.formatting)
        return convert.edits(found or (), document.at)

    @_on(server, types.TEXT_DOCUMENT_PREPARE_RENAME)
    async def name(document: Document, params: types.PrepareRenameParams) -> types.Range | None:
        span = await server.ask(document, editor.name_span)
        offset = document.at.offset(params.position)
        here = span is not None and span.start <= offset <= span.end
        return document.at.range(span) if span and here else None

    @_on(server, types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
    async def rename(document: Document, params: types.RenameParams) -> types.WorkspaceEdit | None:
        try:
            found = await server.ask(document, editor.rename, params.new_name)
        except CnnGenError as error:
            raise JsonRpcInvalidParams(message=f"{error.message}. {error.hint}") from None
        return convert.workspace_edit(document.uri, found, document.at) if found else None

    @_on(
        server,
        types.TEXT_DOCUMENT_CODE_ACTION,
        types.CodeActionOptions(
            [types.CodeActionKind.QuickFix, types.CodeActionKind.RefactorRewrite]
        ),
    )
    async def actions(document: Document, params: types.CodeActionParams) -> list[types.CodeAction]:
        span = document.at.span(params.range)
        found = await server.ask(document, editor.actions, span, settings=server.settings)
        here = params.context.diagnostics
        return [convert.action(each, document.uri, document.at, here) for each in found or ()]

    @server.command(FILL)
    async def fill(uri: str, seed: int) -> None:
        if (document := server.document(uri)) is None:
            return
        settings = replace(server.settings, seed=max(0, seed))
        found = await server.ask(document, editor.fill, settings=settings)
        if not found:
            server.say("nothing is left open here, or the text has errors")
            return
        edit = convert.workspace_edit(uri, found, document.at)
        await server.workspace_apply_edit_async(types.ApplyWorkspaceEditParams(edit, "Fill in"))
