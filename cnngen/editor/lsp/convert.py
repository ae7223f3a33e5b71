"""What `cnngen.editor` gives, as the protocol's types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lsprotocol import types

from cnngen.editor import (
    Action,
    Coloured,
    Completion,
    Diagnostic,
    Edit,
    Hint,
    Hover,
    Symbol,
)
from cnngen.editor.lsp.positions import Positions
from cnngen.errors import Span

SOURCE = "cnngen"

SEVERITIES = {
    "error": types.DiagnosticSeverity.Error,
    "information": types.DiagnosticSeverity.Information,
    "hint": types.DiagnosticSeverity.Hint,
}
COMPLETION_KINDS = {
    "layer": types.CompletionItemKind.Function,
    "parameter": types.CompletionItemKind.Property,
    "value": types.CompletionItemKind.Value,
    "keyword": types.CompletionItemKind.Keyword,
    "sign": types.CompletionItemKind.Operator,
}
SYMBOL_KINDS = {
    "network": types.SymbolKind.Module,
    "end": types.SymbolKind.Interface,
    "layer": types.SymbolKind.Function,
    "merge": types.SymbolKind.Object,
    "side": types.SymbolKind.Array,
}
TOKEN_KINDS = {
    "name": types.SemanticTokenTypes.Class,
    "keyword": types.SemanticTokenTypes.Keyword,
    "layer": types.SemanticTokenTypes.Function,
    "parameter": types.SemanticTokenTypes.Parameter,
    "value": types.SemanticTokenTypes.EnumMember,
    "number": types.SemanticTokenTypes.Number,
    "comment": types.SemanticTokenTypes.Comment,
}
LEGEND = types.SemanticTokensLegend([kind.value for kind in TOKEN_KINDS.values()], [])


def diagnostic(found: Diagnostic, at: Positions) -> types.Diagnostic:
    """A mistake, with what would be right on a line of its own."""
    message = found.message if found.hint is None else f"{found.message}\n{found.hint}"
    return types.Diagnostic(
        at.range(found.span), message, severity=SEVERITIES[found.severity], source=SOURCE
    )


def completion(found: Completion, place: int, at: Positions) -> types.CompletionItem:
    """`place` is its number in the list, which clients would sort by its letters."""
    return types.CompletionItem(
        label=found.text,
        kind=COMPLETION_KINDS[found.kind],
        detail=found.detail or None,
        sort_text=f"{place:03}",
        text_edit=types.TextEdit(at.range(found.span), found.text),
    )


def hover_markup(found: Hover, at: Positions) -> types.Hover:
    """What a word gives."""
    content = types.MarkupContent(types.MarkupKind.Markdown, found.markdown)
    return types.Hover(content, at.range(found.span))


def symbol(found: Symbol, at: Positions) -> types.DocumentSymbol:
    """An outline is at most `MAX_DEPTH` deep, so that this and the client may recurse."""
    return types.DocumentSymbol(
        name=found.name,
        kind=SYMBOL_KINDS[found.kind],
        range=at.range(found.span),
        selection_range=at.range(found.word),
        detail=found.detail or None,
        children=[symbol(child, at) for child in found.children],
    )


def fold(span: Span, at: Positions) -> types.FoldingRange:
    """The lines of a merge, a body or a comment."""
    comment = at.text[span.start] == "/"
    first, last = at.position(span.start).line, at.position(span.end).line
    return types.FoldingRange(
        start_line=first,
        # The closing bracket stays to be seen.
        end_line=last if comment or last == first + 1 else last - 1,
        kind=types.FoldingRangeKind.Comment if comment else types.FoldingRangeKind.Region,
    )


def hint(found: Hint, at: Positions) -> types.InlayHint:
    """A shape behind a layer."""
    tooltip = "depends on what is drawn with the seed" if found.drawn else None
    return types.InlayHint(
        at.position(found.offset), found.text, tooltip=tooltip, padding_left=True
    )


def edits(found: Iterable[Edit], at: Positions) -> list[types.TextEdit]:
    """Changes of one text."""
    return [types.TextEdit(at.range(edit.span), edit.text) for edit in found]


def workspace_edit(uri: str, found: Iterable[Edit], at: Positions) -> types.WorkspaceEdit:
    """Changes of one text, as a change of the workspace."""
    return types.WorkspaceEdit(changes={uri: edits(found, at)})


def action(
    found: Action, uri: str, at: Positions, diagnostics: Sequence[types.Diagnostic]
) -> types.CodeAction:
    """`diagnostics` are those at its place, which a fix mends."""
    fix = found.kind == "fix"
    return types.CodeAction(
        title=found.title,
        kind=types.CodeActionKind.QuickFix if fix else types.CodeActionKind.RefactorRewrite,
        diagnostics=list(diagnostics) if fix else None,
        edit=workspace_edit(uri, found.edits, at),
    )


def semantic_tokens(found: Iterable[Coloured], at: Positions) -> types.SemanticTokens:
    """Five numbers a token, places counted from the token before; a token is on one line."""
    kinds = list(TOKEN_KINDS)
    data: list[int] = []
    line = column = 0
    for token in found:
        start, end = at.position(token.span.start), at.position(token.span.end)
        if start.line != end.line:
            continue
        data += (
            start.line - line,
            start.character - (column if start.line == line else 0),
            end.character - start.character,
            kinds.index(token.kind),
            0,
        )
        line, column = start.line, start.character
    return types.SemanticTokens(data)
