"""The page on the language shows what is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from earley import accepts

from cnngen.errors import DescriptionError
from cnngen.language import parse, parser
from cnngen.language.grammar import grammar
from cnngen.operations import WORDS

PAGE = (Path(__file__).parents[1] / "docs" / "language.md").read_text("utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_every_description_on_the_page_is_one() -> None:
    assert len(blocks("cnn")) >= 4
    for text in blocks("cnn"):
        assert parse(text)
        assert accepts(text)


def test_every_error_on_the_page_is_what_one_gets() -> None:
    assert len(blocks("cnn-error")) == len(blocks("text")) >= 4
    for text, message in zip(blocks("cnn-error"), blocks("text"), strict=True):
        with pytest.raises(DescriptionError) as caught:
            parse(text, "net.cnn")
        assert str(caught.value) == message.rstrip("\n")


def test_the_page_names_every_word_and_limit() -> None:
    written = set(re.findall(r"\w+", PAGE))
    assert grammar().words <= written
    assert f"{parser.MAX_DEPTH:,} merges" in PAGE
    assert f"{parser.MAX_LAYERS:,} layers" in PAGE
    assert f"{parser.MAX_BODIES:,} bodies" in PAGE
    assert f"{parser.MAX_BRANCHES:,} branches" in PAGE
    assert f"{parser.MAX_CHARACTERS >> 20} MiB" in PAGE


def test_the_table_of_words_gives_each_word_its_hyper_parameters() -> None:
    rows = re.findall(r"^\| (`.*?) \| .*? \|(.*)\|$", PAGE.split("## Hyper-parameters")[0], re.M)
    given = {
        word: cell.replace("those of `conv`", dict(rows)["`conv`"])
        for words, cell in rows
        for word in re.findall(r"`(\w+)`", words)
    }
    for name, word in WORDS.items():
        assert sorted(re.findall(r"`(\w+)`", given[name])) == sorted(word.parameter_names)
