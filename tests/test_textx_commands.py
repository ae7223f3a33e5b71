"""The language and its generators as textX calls them; `test_packaging` runs textX itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from textx import TextXError

from cnngen.cli import textx_commands
from cnngen.cli.textx_commands import language
from cnngen.language import parse
from cnngen.space.resolution import resolve


def test_what_is_there_is_overwritten_only_when_told(tmp_path: Path) -> None:
    file, written = tmp_path / "net.cnn", tmp_path / "net_torch.py"
    file.write_text("input conv flatten dense output", "utf-8")
    written.write_text("mine")
    model = language.metamodel().model_from_file(str(file))
    generator = textx_commands.torch.generator
    generator(model._tx_metamodel, model, None, False, False)
    assert written.read_text() == "mine"
    generator(model._tx_metamodel, model, None, True, False)
    network = resolve(parse("input conv flatten dense output"))
    assert written.read_text("utf-8") == network.to_source("torch")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("input\nconv poling output", "net.cnn:2:6: found 'poling'"),
        (
            "input(8x8x3) [add (conv(kernel=3, stride=2, padding=valid), Empty)] output",
            "net.cnn:1:19: the sides of this merge can never meet",
        ),
        (f"input {'[(' * 900} conv {', Empty)]' * 900} output", "cannot nest merges so deep"),
        (None, "net.cnn: cannot be read"),
    ],
)
def test_textx_reports_errors_as_its_own(text: str | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "net.cnn"
    if text is not None:
        file.write_text(text, "utf-8")
    with pytest.raises(TextXError) as raised:
        language.metamodel().model_from_file(str(file))
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": "-1"}, "--seed cannot be '-1'"),
        ({"seed": True}, "--seed needs a value"),
        ({"input": "28x28"}, "--input cannot be '28x28'"),
        ({"space": "none.txt"}, "unknown space 'none.txt'"),
        ({"script": "yes"}, "--script takes no value"),
    ],
)
def test_textx_refuses_arguments_that_cannot_be(
    arguments: dict[str, str | bool], message: str, tmp_path: Path
) -> None:
    metamodel = language.metamodel()
    model = metamodel.model_from_str("input conv flatten dense output")
    generator = textx_commands.torch.generator
    assert generator is not None
    with pytest.raises(TextXError, match=re.escape(message)):
        generator(metamodel, model, str(tmp_path / "out"), False, False, **arguments)
    assert not (tmp_path / "out").exists()
