"""The page on editors shows what is true."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from cnngen.editor.analysis import MAX_CHARACTERS, MAX_LAYERS
from cnngen.editor.bounded_process import MEMORY, SECONDS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "editor.md").read_text("utf-8")


def block(kind: str) -> str:
    (text,) = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(text)


def test_the_python_on_the_page_prints_what_stands_below_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    exec(compile(block("python"), "docs/editor.md", "exec"), {})
    assert capsys.readouterr().out == block("text")


def test_helix_starts_the_command_for_our_files() -> None:
    settings = tomllib.loads(block("toml"))
    (language,) = settings["language"]
    server = settings["language-server"][language["language-servers"][0]]
    assert [server["command"], *server["args"]] == ["cnngen", "lsp"]
    assert language["file-types"] == ["cnn"]


def test_neovim_starts_the_same_and_its_brackets_close() -> None:
    lua = block("lua")
    assert 'cmd = { "cnngen", "lsp" }' in lua
    assert 'vim.lsp.enable("cnngen")' in lua
    assert lua.count("{") == lua.count("}")
    assert lua.count("(") == lua.count(")")


def test_settings_and_limits_are_those_of_the_code() -> None:
    package = json.loads((ROOT / "editors" / "vscode" / "package.json").read_text("utf-8"))
    properties = package["contributes"]["configuration"]["properties"].keys()
    assert set(re.findall(r"`(cnngen\.(?!py`)\w+)`", PAGE)) == properties
    assert f"{MAX_CHARACTERS:,} characters" in PAGE
    assert f"{MAX_LAYERS:,}\nlayers" in PAGE
    assert f"{SECONDS:.0f} seconds of computing or {MEMORY >> 30} GiB" in PAGE
