"""Answers about a text that is being written: what is wrong, what could come next, what it gives.

Pure functions of the text, the place in it (characters from 0) and `Settings`; no protocol.
The language server and the studio ask them.
"""

from cnngen.editor.analysis import Settings
from cnngen.editor.diagnostics import Diagnostic, diagnostics
from cnngen.editor.outline import Symbol, folds, symbols

__all__ = ["Diagnostic", "Settings", "Symbol", "diagnostics", "folds", "symbols"]
