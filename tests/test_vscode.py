"""The extension for VS Code: its colours are the grammar's, its parts are there."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from sentences import Writer
from texts import ACCEPTED

from cnngen.editor import tokens
from cnngen.editor.lsp.features import FILL, make_server
from cnngen.editor.lsp.settings import read_settings
from cnngen.language.grammar import grammar

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "editors" / "vscode"
sys.path.insert(0, str(ROOT / "editors"))
import textmate  # noqa: E402

PACKAGE = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))
GRAMMAR = json.loads(textmate.FILE.read_text(encoding="utf-8"))
EXTENSION = (FOLDER / "extension.js").read_text(encoding="utf-8")


def coloured(text: str) -> Iterator[tuple[str, str]]:
    """Words with their scopes, as a TextMate tokeniser finds them: line by line, the pattern
    that matches first, of several the first in the list."""
    rules = [
        (p["name"], re.compile(p.get("match") or p["begin"]), p.get("end"))
        for p in GRAMMAR["patterns"]
    ]
    inside: re.Pattern[str] | None = None
    for line in text.splitlines():
        at = 0
        while at < len(line):
            if inside is not None:
                end = inside.search(line, at)
                at, inside = (end.end(), None) if end else (len(line), inside)
                continue
            found = [
                (m.start(), n, m) for n, (_, p, _) in enumerate(rules) if (m := p.search(line, at))
            ]
            if not found:
                break
            _, number, match = min(found, key=lambda each: each[:2])
            name, _, end_pattern = rules[number]
            at = match.end()
            if end_pattern:
                inside = re.compile(end_pattern)
            elif not name.startswith(("comment", "punctuation", "keyword.operator")):
                yield match.group(), name


def told(text: str) -> list[tuple[str, str]]:
    """The same by the language's own lexer."""
    return [
        (text[t.span.start : t.span.end], textmate.SCOPES[t.kind])
        for t in tokens(text)
        if t.kind != "comment"
    ]


def test_the_colours_are_made_from_the_grammar_as_it_is() -> None:
    message = "run `python editors/textmate.py`: the grammar has changed"
    assert textmate.FILE.read_text(encoding="utf-8") == textmate.render() + "\n", message


def test_every_word_of_the_grammar_has_a_colour() -> None:
    for word in grammar().words:
        assert [text for text, _ in coloured(word)] == [word]


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.cnn")), ids=lambda p: p.stem)
def test_examples_are_coloured_as_the_lexer_reads_them(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert list(coloured(text)) == told(text)


def test_sentences_are_coloured_as_the_lexer_reads_them() -> None:
    """For random sentences, TextMate's patterns and the parser find the same words."""
    for seed in range(60):
        text = " ".join(Writer(Random(seed), given=0.5).architecture())
        assert list(coloured(text)) == told(text)
    for text in ACCEPTED.values():
        if "\n" not in text and "\r" not in text:
            assert list(coloured(text)) == told(text)


def test_what_the_package_names_is_there() -> None:
    contributes = PACKAGE["contributes"]
    (language,), (colours,) = contributes["languages"], contributes["grammars"]
    assert language["extensions"] == [".cnn"]
    assert (FOLDER / language["configuration"]).is_file()
    assert FOLDER / colours["path"] == textmate.FILE
    assert (colours["language"], colours["scopeName"]) == (language["id"], GRAMMAR["scopeName"])
    # Made by `npm run build` out of this file.
    assert PACKAGE["main"] == "./dist/extension.js"
    assert "--outfile=dist/extension.js" in PACKAGE["scripts"]["build"]
    configuration = json.loads((FOLDER / "language-configuration.json").read_text(encoding="utf-8"))
    for pattern in (configuration["wordPattern"], *configuration["indentationRules"].values()):
        re.compile(pattern)


def test_commands_are_registered_and_not_the_servers_own() -> None:
    """The client registers the server's commands itself; the same name again would fail."""
    commands = {command["command"] for command in PACKAGE["contributes"]["commands"]}
    assert commands == set(re.findall(r'registerCommand\("([^"]+)"', EXTENSION))
    server = make_server()
    try:
        assert set(server.protocol.fm.commands) == {FILL}
    finally:
        server.end()
    assert FILL not in commands
    assert f'command: "{FILL}"' in EXTENSION


def test_settings_are_those_the_server_reads() -> None:
    properties = PACKAGE["contributes"]["configuration"]["properties"]
    defaults = {name.removeprefix("cnngen."): each["default"] for name, each in properties.items()}
    assert defaults.pop("command") == ["cnngen", "lsp"]
    assert properties["cnngen.command"]["scope"] == "machine"  # a workspace may come from anybody
    assert read_settings({"cnngen": defaults}) == read_settings(None)
    assert defaults.keys() == {"input", "classes", "space", "seed"}


def test_versions_are_exact_and_no_registry_is_named() -> None:
    for version in PACKAGE["devDependencies"].values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    for path in FOLDER.rglob("*"):
        if path.is_file() and not {"node_modules", "dist"} & {*path.relative_to(FOLDER).parts}:
            assert path.name != "package-lock.json"
            assert "registry" not in path.read_text(encoding="utf-8")


def test_the_server_starts_in_the_extensions_own_folder_with_a_safe_path() -> None:
    assert re.search(r"options: \{ cwd: folder, env: \{[^}]*PYTHONSAFEPATH: \"1\"", EXTENSION)
    assert "folder = context.extensionPath" in EXTENSION
