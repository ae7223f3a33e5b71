"""Converts the results of `cnngen.editor` to the types of the protocol."""

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
    """Convert a diagnostic, with its hint on a line of its own."""
    message = found.message if found.hint is None else f"{found.message}\n{found.hint}"
    return types.Diagnostic(
        at.range(found.span), message, severity=SEVERITIES[found.severity], source=SOURCE
    )


def completion(found: Completion, rank: int, at: Positions) -> types.CompletionItem:
    """Convert a completion. `rank` is its position in the list, or clients sort by name."""
    return types.CompletionItem(
        label=found.text,
        kind=COMPLETION_KINDS[found.kind],
        detail=found.detail or None,
        sort_text=f"{rank:03}",
        text_edit=types.TextEdit(at.range(found.span), found.text),
    )


def hover_markup(found: Hover, at: Positions) -> types.Hover:
    """Convert a hover to Markdown."""
    content = types.MarkupContent(types.MarkupKind.Markdown, found.markdown)
    return types.Hover(content, at.range(found.span))


def symbol(found: Symbol, at: Positions) -> types.DocumentSymbol:
    """Convert a symbol. Outlines are at most `MAX_DEPTH` deep, so recursion is safe."""
    return types.DocumentSymbol(
        name=found.name,
        kind=SYMBOL_KINDS[found.kind],
        range=at.range(found.span),
        selection_range=at.range(found.word),
        detail=found.detail or None,
        children=[symbol(child, at) for child in found.children],
    )


def fold(span: Span, at: Positions) -> types.FoldingRange:
    """Convert the folding range of a merge, a body or a comment to lines."""
    comment = at.text[span.start] == "/"
    first, last = at.position(span.start).line, at.position(span.end).line
    return types.FoldingRange(
        start_line=first,
        # The closing bracket stays visible.
        end_line=last if comment or last == first + 1 else last - 1,
        kind=types.FoldingRangeKind.Comment if comment else types.FoldingRangeKind.Region,
    )


def hint(found: Hint, at: Positions) -> types.InlayHint:
    """Convert an inlay hint."""
    tooltip = "depends on the seed" if found.drawn else None
    return types.InlayHint(
        at.position(found.offset), found.text, tooltip=tooltip, padding_left=True
    )


def edits(found: Iterable[Edit], at: Positions) -> list[types.TextEdit]:
    """Convert the edits of one text."""
    return [types.TextEdit(at.range(edit.span), edit.text) for edit in found]


def workspace_edit(uri: str, found: Iterable[Edit], at: Positions) -> types.WorkspaceEdit:
    """Convert the edits of one text to a workspace edit."""
    return types.WorkspaceEdit(changes={uri: edits(found, at)})


def action(
    found: Action, uri: str, at: Positions, diagnostics: Sequence[types.Diagnostic]
) -> types.CodeAction:
    """Convert an action. `diagnostics` are those at its position, which a fix mends."""
    fix = found.kind == "fix"
    return types.CodeAction(
        title=found.title,
        kind=types.CodeActionKind.QuickFix if fix else types.CodeActionKind.RefactorRewrite,
        diagnostics=list(diagnostics) if fix else None,
        edit=workspace_edit(uri, found.edits, at),
    )


def semantic_tokens(found: Iterable[Coloured], at: Positions) -> types.SemanticTokens:
    """Encode tokens as five numbers each, relative to the token before, one line per token."""
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
