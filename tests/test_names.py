"""One name, one meaning: no two public classes or functions of cnngen share a name."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "cnngen"

COMMAND = "a command, and the function of the library that it calls or is named after"
VERB = "a verb that says which thing only with its module, as in `model_file.read`"
PREDICTOR = "each neural predictor turns its own examples into a batch"
NOUN = "a noun that says whose only with its module, as in `features.table`"

SHARED = {
    "check": VERB,
    "claim": VERB,
    "collate": PREDICTOR,
    "compare": COMMAND,
    "cut": VERB,
    "differences": NOUN,
    "encode": PREDICTOR,
    "figures": NOUN,
    "graph": NOUN,
    "layers": NOUN,
    "load": VERB,
    "main": "the entry of a process, by convention",
    "read": VERB,
    "reading": NOUN,
    "restored": VERB,
    "run": VERB,
    "sample": COMMAND,
    "serve": VERB,
    "table": NOUN,
    "text": NOUN,
    "title": NOUN,
    "train": COMMAND,
    "warm_up": VERB,
    "windows": NOUN,
}
"""Functions that several modules define under one name, with the reason. No class is among them."""


def defined(*kinds: type[ast.stmt]) -> dict[str, list[str]]:
    """The files that define each public name at their top level."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, kinds) and not node.name.startswith("_"):  # type: ignore[attr-defined]
                found[node.name].append(str(path.relative_to(PACKAGE)))  # type: ignore[attr-defined]
    return found


def repeated(names: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: files for name, files in names.items() if len(files) > 1}


def test_a_class_has_a_name_of_its_own() -> None:
    assert repeated(defined(ast.ClassDef)) == {}


def test_a_function_shares_its_name_only_where_that_has_a_reason() -> None:
    names = repeated(defined(ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
    assert {name: files for name, files in names.items() if name not in SHARED} == {}
