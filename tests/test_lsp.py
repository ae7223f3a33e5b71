"""The language server, asked by a client over stdin and stdout as an editor asks it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from concurrent.futures import Future
from random import Random

import pytest
import pytest_lsp
from lsprotocol import types as t
from pygls.exceptions import JsonRpcException
from pytest_lsp import ClientServerConfig, LanguageClient, client_capabilities

from cnngen.cli.app import run
from cnngen.editor.lsp.positions import Positions
from cnngen.editor.lsp.settings import read_settings
from cnngen.errors import Span
from cnngen.language import format_text, parse
from cnngen.space.resolution import resolve

published: asyncio.Queue[t.PublishDiagnosticsParams] = asyncio.Queue()
"""All diagnostics that came: of two that come at once, `wait_for_notification` misses one."""

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLOW = (
    "input(990x990x3) [ ( "
    + "conv(stride=1) " * 160
    + ", "
    + "conv(stride=1) " * 160
    + ") ] output"
)
"""Minutes: 320 matrices of 990 sizes are multiplied."""


@pytest_lsp.fixture(
    scope="module",
    config=ClientServerConfig(server_command=[sys.executable, "-m", "cnngen", "lsp", "--stdio"]),
)
async def client(lsp_client: LanguageClient) -> AsyncIterator[None]:
    parameters = t.InitializeParams(
        capabilities=client_capabilities("visual-studio-code"),
        initialization_options={"input": "32x32x3", "seed": 0},
    )
    hear(lsp_client)
    await lsp_client.initialize_session(parameters)
    yield
    await lsp_client.shutdown_session()


def hear(client: LanguageClient) -> None:
    """Keep the next diagnostics that come, and those after them."""

    def heard(params: t.PublishDiagnosticsParams) -> None:
        published.put_nowait(params)
        hear(client)

    client.protocol.wait_for_notification(t.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS, heard)


class Text:
    """A text open in the editor."""

    number = 0

    def __init__(self, client: LanguageClient, text: str, uri: str | None = None) -> None:
        Text.number += 1
        self.client = client
        self.uri = uri or f"file:///{Text.number}.cnn"
        self.id = t.TextDocumentIdentifier(self.uri)
        self.text = text
        self.version: int | None = 1
        document = t.TextDocumentItem(self.uri, "cnn", 1, text)
        client.text_document_did_open(t.DidOpenTextDocumentParams(document))

    def change(self, text: str) -> None:
        assert self.version is not None
        self.version += 1
        self.text = text
        self.client.text_document_did_change(
            t.DidChangeTextDocumentParams(
                t.VersionedTextDocumentIdentifier(self.version, self.uri),
                [t.TextDocumentContentChangeWholeDocument(text)],
            )
        )

    async def diagnostics(self) -> list[t.Diagnostic]:
        """Those of the text as it is now."""
        while True:
            said = await published.get()
            if said.uri == self.uri and said.version == self.version:
                return list(said.diagnostics)

    def at(self, part: str) -> t.Position:
        """Where a part of the text begins, in UTF-16 units, counted the plain way."""
        before = self.text[: self.text.index(part)]
        line = before.rpartition("\n")[2]
        return t.Position(before.count("\n"), len(line.encode("utf-16-le")) // 2)


def edited(text: str, edits: list[t.TextEdit]) -> str:
    lines = text.split("\n")

    def offset(place: t.Position) -> int:
        line = lines[place.line].encode("utf-16-le")[: 2 * place.character].decode("utf-16-le")
        return sum(len(each) + 1 for each in lines[: place.line]) + len(line)

    for edit in sorted(edits, key=lambda each: offset(each.range.start), reverse=True):
        start, end = offset(edit.range.start), offset(edit.range.end)
        text = text[:start] + edit.new_text + text[end:]
    return text


async def test_mistakes_are_told_as_one_types(client: LanguageClient) -> None:
    text = Text(client, "input /* 😀 */ conv(kernel=0)\n /* 𝒳 */ max_poling flatten dense output")
    found = await text.diagnostics()
    assert [each.message[:18] for each in found] == ["'kernel' cannot be", "found 'max_poling'"]
    place = text.at("max_poling")
    assert found[1].range == t.Range(place, t.Position(place.line, place.character + 10))
    text.change("input /* 😀 */ conv\n max_pooling flatten dense output")
    assert await text.diagnostics() == []
    text.change("input /* 😀 */ [add (conv(stride=2), Empty)] output")
    (contradiction, backbone) = await text.diagnostics()
    assert "32x32" in contradiction.message
    assert contradiction.range.start == text.at("(conv")
    assert backbone.severity == t.DiagnosticSeverity.Hint


async def test_a_hover_behind_an_emoji_is_of_the_word_under_it(client: LanguageClient) -> None:
    text = Text(client, "input(8x8x1) /* 😀😀 */ conv(filters=2, kernel=3) flatten dense output")
    hover = await client.text_document_hover_async(t.HoverParams(text.id, text.at("conv")))
    assert hover is not None
    assert isinstance(hover.contents, t.MarkupContent)
    shape = resolve(parse(text.text)).nodes[1].shape
    assert f"**{shape[0]}x{shape[1]}x2**" in hover.contents.value
    assert hover.range is not None
    assert hover.range.start == text.at("conv")


async def test_completion_replaces_what_is_begun(client: LanguageClient) -> None:
    text = Text(client, "input /* 😀 */ conv max_p")
    end = t.Position(0, text.at("max_p").character + 5)
    items = await client.text_document_completion_async(t.CompletionParams(text.id, end))
    assert isinstance(items, list)
    (item,) = [each for each in items if each.label == "max_pooling"]
    assert isinstance(item.text_edit, t.TextEdit)
    assert edited(text.text, [item.text_edit]) == "input /* 😀 */ conv max_pooling"


async def test_fixes_and_fills_are_edits_that_leave_no_error(client: LanguageClient) -> None:
    text = Text(client, "// 😀\ninput [add (conv(stride=2), Empty)] flatten dense output")
    found = await text.diagnostics()
    parameters = t.CodeActionParams(text.id, found[0].range, t.CodeActionContext(found))
    (first, *_) = await client.text_document_code_action_async(parameters) or ()
    assert isinstance(first, t.CodeAction)
    assert first.kind == t.CodeActionKind.QuickFix
    assert first.edit
    assert first.edit.changes
    text.change(edited(text.text, list(first.edit.changes[text.uri])))
    assert await text.diagnostics() == []
    everything = t.Range(t.Position(0, 0), t.Position(2, 0))
    parameters = t.CodeActionParams(text.id, everything, t.CodeActionContext([]))
    actions = await client.text_document_code_action_async(parameters)
    fill = next(each for each in actions or () if each.title.startswith("Fill in all"))
    assert isinstance(fill, t.CodeAction)
    assert fill.edit
    assert fill.edit.changes
    filled = edited(text.text, list(fill.edit.changes[text.uri]))
    assert resolve(parse(filled), seed=9).id == resolve(parse(text.text), seed=0).id


async def test_the_command_fills_from_a_seed(client: LanguageClient) -> None:
    text = Text(client, "input conv flatten dense output")
    asked: asyncio.Future[t.ApplyWorkspaceEditParams] = asyncio.get_running_loop().create_future()

    @client.feature(t.WORKSPACE_APPLY_EDIT)
    def apply(params: t.ApplyWorkspaceEditParams) -> t.ApplyWorkspaceEditResult:
        asked.set_result(params)
        return t.ApplyWorkspaceEditResult(applied=True)

    command = t.ExecuteCommandParams("cnngen.fill", [text.uri, 7])
    await client.workspace_execute_command_async(command)
    changes = (await asked).edit.changes
    assert changes
    filled = edited(text.text, list(changes[text.uri]))
    assert resolve(parse(filled)).id == resolve(parse(text.text), seed=7).id


async def test_outline_folds_hints_and_colours(client: LanguageClient) -> None:
    text = Text(client, "N -> input(8x8x1)\n[\n (conv,\n Empty)\n] flatten dense output")
    (root,) = (
        await client.text_document_document_symbol_async(t.DocumentSymbolParams(text.id)) or ()
    )
    assert isinstance(root, t.DocumentSymbol)
    assert root.name == "N"
    assert [child.name for child in root.children or ()][-2:] == ["dense", "output"]
    folds = await client.text_document_folding_range_async(t.FoldingRangeParams(text.id))
    assert [(fold.start_line, fold.end_line) for fold in folds or ()] == [(1, 3), (2, 3)]
    whole = t.Range(t.Position(0, 0), t.Position(9, 0))
    hints = await client.text_document_inlay_hint_async(t.InlayHintParams(text.id, whole))
    assert [hint.label for hint in hints or ()][-1] == "→ 10"
    found = await client.text_document_semantic_tokens_full_async(t.SemanticTokensParams(text.id))
    assert found is not None
    assert list(found.data[:10]) == [0, 0, 1, 0, 0, 0, 5, 5, 1, 0]


async def test_formatting_is_that_of_the_command_line(client: LanguageClient) -> None:
    text = Text(client, "input /* 😀 */ conv   dropout // why\n flatten dense output")
    edits = await client.text_document_formatting_async(
        t.DocumentFormattingParams(text.id, t.FormattingOptions(4, False))
    )
    assert edited(text.text, list(edits or ())) == format_text(text.text)


async def test_the_name_is_renamed_and_nothing_else(client: LanguageClient) -> None:
    text = Text(client, "/* 😀 */ Net -> input conv output")
    here = text.at("Net")
    assert await client.text_document_prepare_rename_async(t.PrepareRenameParams(text.id, here))
    elsewhere = t.PrepareRenameParams(text.id, text.at("conv"))
    assert await client.text_document_prepare_rename_async(elsewhere) is None
    edit = await client.text_document_rename_async(t.RenameParams(text.id, here, "Other"))
    assert edit is not None
    assert edit.changes
    changed = edited(text.text, list(edit.changes[text.uri]))
    assert changed == "/* 😀 */ Other -> input conv output"
    with pytest.raises(Exception, match="cannot be a name"):
        await client.text_document_rename_async(t.RenameParams(text.id, here, "conv"))


async def test_settings_may_change_and_wrong_ones_are_told(client: LanguageClient) -> None:
    text = Text(client, "input conv(kernel=9, padding=valid) flatten dense output")
    assert await text.diagnostics() == []
    small = {"cnngen": {"input": "8x8x1", "classes": None}}
    client.workspace_did_change_configuration(t.DidChangeConfigurationParams(small))
    assert "fits its input of 8x8" in (await text.diagnostics())[0].message
    wrong = {"cnngen": {"input": "tiny"}}
    client.workspace_did_change_configuration(t.DidChangeConfigurationParams(wrong))
    await client.wait_for_notification(t.WINDOW_SHOW_MESSAGE)
    assert "cnngen.input is not a shape" in client.messages[-1].message
    back = {"cnngen": {}}
    client.workspace_did_change_configuration(t.DidChangeConfigurationParams(back))


async def test_a_text_that_takes_too_long_is_left_and_the_next_answered(
    client: LanguageClient,
) -> None:
    text = Text(client, SLOW)
    (said, _) = await text.diagnostics()
    assert said.severity == t.DiagnosticSeverity.Information
    assert "took too long" in said.message
    hover = await client.text_document_hover_async(t.HoverParams(text.id, text.at("conv")))
    assert hover is not None
    text.change("input conv flatten dense output")
    assert await text.diagnostics() == []


async def test_huge_and_hostile_texts_are_answered(client: LanguageClient) -> None:
    text = Text(client, "input " + "conv " * 250_000 + "output")
    (said,) = await text.diagnostics()
    assert "100,000 characters" in said.message
    text.change("input " + "[(" * 30_000)
    assert await text.diagnostics()
    symbols = t.DocumentSymbolParams(text.id)
    assert not await client.text_document_document_symbol_async(symbols)
    text.change("input conv flatten dense output")
    assert await text.diagnostics() == []


@pytest.mark.parametrize(
    ("uri", "other"),
    [
        ("file:///a%20b/net.cnn", "file:///a b/net.cnn"),
        ("file:///%C3%A9/%E7%BD%91.cnn", "file:///é/网.cnn"),
        ("file:///c%3A/nets/a%2Bb.cnn", "file:///c:/nets/a+b.cnn"),
        ("file:///100%25.cnn", "file:///%3100%25.cnn"),
        ("untitled:Untitled-1", "untitled:Untitled%2D1"),
        ("vscode-remote://wsl%2Bubuntu/a.cnn", "vscode-remote://wsl+ubuntu/a.cnn"),
    ],
)
async def test_a_text_is_known_by_any_spelling_of_its_uri(
    client: LanguageClient, uri: str, other: str
) -> None:
    for opened, asked in ((uri, other), (other, uri)):
        text = Text(client, "input convv output", opened)
        (mistake,) = await text.diagnostics()  # under the spelling of the editor
        assert "convv" in mistake.message
        text.change("N -> input(8x8x1) conv flatten dense output")
        assert await text.diagnostics() == []
        for spelt in (opened, asked):
            document = t.TextDocumentIdentifier(spelt)
            hover = t.HoverParams(document, text.at("conv"))
            assert await client.text_document_hover_async(hover) is not None
            rename = t.RenameParams(document, text.at("N"), "M")
            changed = await client.text_document_rename_async(rename)
            assert changed is not None
            assert list(changed.changes or ()) == [spelt]
        client.workspace_did_change_configuration(
            t.DidChangeConfigurationParams({"input": "32x32x3", "seed": 0})
        )
        assert await text.diagnostics() == []
        client.text_document_did_close(t.DidCloseTextDocumentParams(document))
        while (said := await published.get()).uri != spelt:
            pass
        assert not said.diagnostics


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("textDocument/hover", None),
        ("textDocument/hover", {}),
        ("textDocument/hover", []),
        ("textDocument/hover", {"textDocument": {"uri": "file:///1.cnn"}, "position": {"line": 0}}),
        ("textDocument/completion", {"textDocument": 1, "position": {"line": 0, "character": 0}}),
        ("textDocument/codeAction", {"textDocument": {"uri": "file:///1.cnn"}, "range": "all"}),
        ("textDocument/rename", {"textDocument": {"uri": None}}),
        ("workspace/executeCommand", {"command": "cnngen.fill", "arguments": []}),
        ("workspace/executeCommand", {"command": "rm"}),
        ("workspace/executeCommand", {"arguments": 5}),
    ],
)
async def test_parameters_that_are_none_are_refused_and_the_server_lives_on(
    client: LanguageClient, method: str, params: object
) -> None:
    protocol = client.protocol
    answer: Future[object] = Future()
    protocol._request_futures["wrong"] = answer
    message = {"jsonrpc": "2.0", "id": "wrong", "method": method, "params": params}
    protocol._send_data(message)
    with pytest.raises(JsonRpcException) as refused:
        await asyncio.wrap_future(answer)
    assert refused.value.code == t.ErrorCodes.InvalidParams
    protocol._send_data({key: message[key] for key in ("jsonrpc", "method", "params")})
    text = Text(client, "input convv output")
    assert len(await text.diagnostics()) == 1


async def test_a_closed_text_has_no_mistakes_and_no_answers(client: LanguageClient) -> None:
    text = Text(client, "input")
    assert await text.diagnostics()
    client.text_document_did_close(t.DidCloseTextDocumentParams(text.id))
    text.version = None  # what is closed has none
    assert await text.diagnostics() == []
    assert await client.text_document_hover_async(t.HoverParams(text.id, t.Position(0, 1))) is None


@pytest.mark.parametrize("encoding", list(t.PositionEncodingKind))
async def test_positions_lead_there_and_back(encoding: t.PositionEncodingKind) -> None:
    """offset(position(i)) == i, and columns are code units of the line before."""
    codec = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}[encoding.value]
    width = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding.value]
    for seed in range(30):
        text = "".join(Random(seed).choices("aé😀𝒳\u2028\x0c\n\r", k=30)).replace("\r", "\r\n")
        positions = Positions(text, encoding)
        for offset in range(len(text) + 1):
            if text[offset - 1 : offset + 1] == "\r\n":
                continue
            lines = text[:offset].replace("\r\n", "\n").split("\n")
            place = positions.position(offset)
            assert place == t.Position(len(lines) - 1, len(lines[-1].encode(codec)) // width)
            assert positions.offset(place) == offset
    assert positions.offset(t.Position(999, 0)) == len(text)
    assert positions.range(Span(0, 0)).start == t.Position(0, 0)


async def test_wrong_settings_are_refused() -> None:
    from cnngen.errors import CnnGenError

    for wrong in (
        {"input": "0x1x1"},
        {"classes": 0},
        {"classes": "ten"},
        {"seed": -1},
        {"space": 3},
    ):
        with pytest.raises(CnnGenError, match="cnngen"):
            read_settings(wrong)
    assert read_settings({"input": "", "classes": None}) == read_settings("nothing")


async def test_without_pygls_the_command_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cnngen.editor.lsp.features", None)
    assert run(["lsp"]) == 2
    assert "pip install 'cnngen[lsp]'" in capsys.readouterr().err
