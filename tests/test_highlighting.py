"""Pygments finds the lexer and colours whole descriptions."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import pytest
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Error, Keyword, Name, Number

from cnngen.editor.highlighting import CnnLexer

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.cnn"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_character_of_an_example_is_told_apart_and_kept(path: Path) -> None:
    text = path.read_text("utf-8")
    tokens = list(CnnLexer(ensurenl=False, stripnl=False).get_tokens(text))
    assert "".join(value for _, value in tokens) == text
    assert not [value for kind, value in tokens if kind is Error]


def test_words_are_coloured_by_what_they_mean() -> None:
    text = "NET -> input(8x8x1) conv(filters=16, padding=same) dense output // end"
    kinds = {value: kind for kind, value in CnnLexer().get_tokens(text)}
    assert kinds["NET"] is Name.Class
    assert kinds["input"] is Keyword
    assert kinds["8x8x1"] is kinds["16"] is Number
    assert kinds["conv"] is kinds["dense"] is Name.Function
    assert kinds["filters"] is Name.Attribute
    assert kinds["same"] is Keyword.Constant
    assert kinds["// end"] is Comment.Single


def test_pygments_finds_it_by_its_entry_point() -> None:
    (found,) = entry_points(group="pygments.lexers", name="cnn")
    assert found.load() is CnnLexer
    assert isinstance(get_lexer_by_name("cnn"), CnnLexer)
