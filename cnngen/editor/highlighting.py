"""Colours descriptions wherever Pygments does: documentation, notebooks, terminals.

Pygments finds the lexer by an entry point, under the name `cnn`.
"""

from __future__ import annotations

from pygments.lexer import RegexLexer, words
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, Text

from cnngen.editor.meanings import kind_of
from cnngen.language.grammar import grammar

KINDS = {
    "keyword": Keyword,
    "layer": Name.Function,
    "parameter": Name.Attribute,
    "value": Keyword.Constant,
}


class CnnLexer(RegexLexer):  # type: ignore[misc]
    """Tells the words of the language apart by what they mean; any other text stays plain."""

    name = "CNNGen"
    aliases = ("cnn",)
    filenames = ("*.cnn",)

    tokens = {  # noqa: RUF012 — as Pygments declares it
        "root": [
            (r"//[^\r\n]*", Comment.Single),
            (r"/\*[\s\S]*?\*/", Comment.Multiline),
            (r"[A-Za-z_]\w*(?=\s*(?:->|→))", Name.Class),
            *(
                (
                    words(
                        sorted(word for word in grammar().words if kind_of(word) == kind),
                        prefix=r"\b",
                        suffix=r"\b",
                    ),
                    token,
                )
                for kind, token in KINDS.items()
            ),
            (r"\d+(?:\s*x\s*\d+)+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", Number),
            (r"->|→|=", Operator),
            (r"[\[\](),|]", Punctuation),
            (r"\s+|\w+|.", Text),
        ]
    }
