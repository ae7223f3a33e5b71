"""The order of the rooms: no import runs back up, and no circle is larger than it must be."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

from cnngen.system.moved import MOVED

PACKAGE = Path(__file__).parents[1] / "cnngen"

LAYERS = (
    "errors",
    "system",
    "operations",
    "language",
    "network",
    "space",
    "training",
    "backend",
    "runs",
    "importing",
    "diagnosis",
    "comparison",
    "predict",
    "search",
    "report",
    "editor",
    "cli",
)
"""From the lowest to the highest. A room imports from those before it."""

DOORS = "cnngen.network"
"""`Network` has methods that open its neighbours: the one circle of files that is allowed."""


def modules() -> dict[str, Path]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = ["cnngen", *path.relative_to(PACKAGE).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(name: str) -> Iterator[str]:
    """The modules of this package that a module imports, wherever in it, for types too."""
    for node in ast.walk(ast.parse(MODULES[name].read_text("utf-8"))):
        match node:
            case ast.Import(names):
                targets = [alias.name for alias in names]
            case ast.ImportFrom(module=str(module), names=names, level=0):
                targets = [f"{module}.{alias.name}" for alias in names]
            case _:
                continue
        for target in targets:
            if target.split(".")[0] == "cnngen":
                while target not in MODULES:
                    target = target.rpartition(".")[0]
                if target != name:
                    yield target


def room(name: str) -> str:
    return [*name.split("."), ""][1]


def test_the_rooms_are_those_of_the_table():
    rooms = {path.stem for path in PACKAGE.iterdir() if not path.name.startswith(("_", "."))}
    assert rooms - {"grammar", "py"} == set(LAYERS)


def test_no_import_runs_back_up():
    up = [
        f"{name} imports {target}"
        for name in MODULES
        if room(name) in LAYERS
        for target in imports(name)
        if room(target) in LAYERS and LAYERS.index(room(target)) > LAYERS.index(room(name))
    ]
    assert up == []


def test_files_import_each_other_in_circles_behind_one_door_only():
    # The package itself offers names of everything, and the finder of moved names none.
    graph = {
        name: {target for target in imports(name) if target != "cnngen"}
        for name in MODULES
        if name != "cnngen"
    }
    for name, targets in graph.items():
        if room(name) == room(DOORS):
            graph[name] = {target for target in targets if room(target) != room(DOORS)}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(f"a circle of imports: {' -> '.join(error.args[1])}") from None


@pytest.mark.parametrize(("old", "new"), MOVED.items())
def test_an_old_name_imports_what_the_new_one_does(old: str, new: str) -> None:
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"{old} is now {new}"):
        module = import_module(old)
    there = import_module(new)
    public = [name for name in vars(there) if not name.startswith("_")]
    assert public
    assert all(getattr(module, name) is getattr(there, name) for name in public)
