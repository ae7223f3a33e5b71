"""Editor features: diagnostics, completion, hover, code actions and more.

These are pure functions of the text, an offset in it (in characters, from 0) and `TextSettings`,
independent of any protocol. The language server and the studio build on them.
"""

from cnngen.editor.actions import Action, actions
from cnngen.editor.analysis import TextSettings
from cnngen.editor.completion import Completion, completions
from cnngen.editor.diagnostics import Diagnostic, diagnostics
from cnngen.editor.edits import Edit, apply
from cnngen.editor.fill import fill
from cnngen.editor.formatting import formatting
from cnngen.editor.hints import Hint, hints
from cnngen.editor.hover import Hover, hover
from cnngen.editor.outline import Symbol, folds, symbols
from cnngen.editor.rename import name_span, rename
from cnngen.editor.tokens import Coloured, tokens

__all__ = [
    "Action",
    "Coloured",
    "Completion",
    "Diagnostic",
    "Edit",
    "Hint",
    "Hover",
    "Symbol",
    "TextSettings",
    "actions",
    "apply",
    "completions",
    "diagnostics",
    "fill",
    "folds",
    "formatting",
    "hints",
    "hover",
    "name_span",
    "rename",
    "symbols",
    "tokens",
]
