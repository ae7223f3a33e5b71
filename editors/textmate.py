"""Writes the TextMate grammar of the language, for syntax highlighting in VS Code and others.

    python editors/textmate.py

The words come from `grammar.tx`; run it again when they change (a test says so).
"""

from __future__ import annotations

import json
from pathlib import Path

from cnngen.editor.meanings import kind_of
from cnngen.language.grammar import grammar

FILE = Path(__file__).parent / "vscode" / "syntaxes" / "cnn.tmLanguage.json"

SCOPES = {
    "keyword": "keyword.control.cnn",
    "layer": "support.function.cnn",
    "parameter": "variable.parameter.cnn",
    "value": "constant.language.cnn",
    "number": "constant.numeric.cnn",
    "name": "entity.name.type.cnn",
    "comment": "comment.cnn",
}


def render() -> str:
    """Render the grammar as JSON. If two patterns match at one position, the first wins."""
    patterns: list[dict[str, object]] = [
        {"name": SCOPES["comment"], "match": "//.*$"},
        {"name": SCOPES["comment"], "begin": r"/\*", "end": r"\*/"},
        {"name": SCOPES["name"], "match": r"\b[A-Za-z_]\w*(?=\s*(?:->|→))"},
    ]
    for kind in ("keyword", "layer", "parameter", "value"):
        words = "|".join(sorted(word for word in grammar().words if kind_of(word) == kind))
        patterns.append({"name": SCOPES[kind], "match": rf"\b(?:{words})\b"})
    patterns += [
        {
            "name": SCOPES["number"],
            "match": r"(?<!\w)(?:\d+(?:\s*x\s*\d+)+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?![\w.])",
        },
        {"name": "keyword.operator.cnn", "match": "->|→|="},
        {"name": "punctuation.cnn", "match": r"[\[\](),|]"},
    ]
    return json.dumps(
        {
            "name": "CNNGen",
            "scopeName": "source.cnn",
            "fileTypes": ["cnn"],
            "patterns": patterns,
        },
        indent=2,
        ensure_ascii=False,
    )


if __name__ == "__main__":
    FILE.write_text(render() + "\n", encoding="utf-8")
