"""Plugins: classes that installed packages declare in an entry-point group, by name.

A checkout that is not installed declares its own in its `pyproject.toml`.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from cnngen.errors import BackendError, CnnGenError

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True)
class PluginGroup:
    """One kind of plugin.

    `base` is the class that a plugin must derive from, as `module:Class`, so that finding
    plugins imports none of them. `interface` is the version of that class, which a plugin
    must state as its own; None where there are no versions. `own` are CNNGen's, which no
    package can replace.
    """

    name: str
    noun: str
    base: str
    interface: int | None = None
    own: Mapping[str, str] = field(default_factory=dict, hash=False)
    error: type[CnnGenError] = CnnGenError

    def declared(self) -> dict[str, EntryPoint]:
        """Name and entry point of each plugin: CNNGen's own first, then alphabetically."""
        own = {name: EntryPoint(name, value, self.name) for name, value in self.own.items()}
        return own | {
            name: entry for name, entry in _declared(self.name).items() if name not in own
        }

    def load(self, name: str) -> Any:
        """The class of a plugin, imported now.

        Raises the group's error for a plugin that is not installed, cannot be imported, does
        not derive from `base`, or was written for another version of the interface.
        """
        entry = self.declared().get(name)
        if entry is None:
            known = ", ".join(self.declared()) or "none"
            raise self.error(f"there is no {self.noun} '{name}'", hint=f"Installed: {known}.")
        what = f"{self.noun} '{name}' ({entry.value})"
        try:
            plugin = entry.load()
        except Exception as error:
            raise self.error(f"{what} cannot be loaded: {error}") from error
        stated = getattr(plugin, "interface", None)
        if self.interface is not None and stated != self.interface:
            raise self.error(
                f"{self.noun} '{name}' is made for interface {stated}, this CNNGen has {self.interface}",
                hint="Install versions of the two that belong together.",
            )
        module, _, base = self.base.partition(":")
        if not (
            isinstance(plugin, type) and issubclass(plugin, getattr(import_module(module), base))
        ):
            raise self.error(f"{what} is not a {base}")
        if getattr(plugin, "name", None) != name:
            raise self.error(f"{what} calls itself '{getattr(plugin, 'name', None)}'")
        return plugin

    def make(self, name: str) -> Any:
        """The instance of a plugin, made once, without arguments. Raises as `load` does."""
        return _made(self, name)


BACKENDS = PluginGroup(
    "cnngen.backends", "backend", "cnngen.backend:Backend", interface=1, error=BackendError
)
PREDICTORS = PluginGroup(
    "cnngen.predictors",
    "predictor",
    "cnngen.predict:Predictor",
    own={
        "trees": "cnngen.predict.trees:Trees",
        "proxies": "cnngen.predict.proxies:Proxies",
        "ensemble": "cnngen.predict.ensemble:Ensemble",
        "image": "cnngen.predict.image:ImagePredictor",
        "code": "cnngen.predict.code:CodePredictor",
        "neural": "cnngen.predict.neural:NeuralPredictor",
        "graph": "cnngen.predict.graph:GraphPredictor",
    },
)
SEARCHERS = PluginGroup(
    "cnngen.searchers",
    "search method",
    "cnngen.search:Searcher",
    interface=1,
    own={
        "random": "cnngen.search.methods.random:RandomSearch",
        "evolution": "cnngen.search.methods.evolution:Evolution",
        "nsga2": "cnngen.search.methods.nsga2:Nsga2",
        "model": "cnngen.search.methods.model:ModelSearch",
        "halving": "cnngen.search.methods.halving:Halving",
    },
)


@cache
def _made(group: PluginGroup, name: str) -> Any:
    plugin = group.load(name)
    try:
        return plugin()
    except Exception as error:
        raise group.error(f"{group.noun} '{name}' cannot be made: {error}") from error


@cache
def _declared(group: str) -> dict[str, EntryPoint]:
    # What is installed comes last and wins over the checkout.
    found = [*_checkout_entry_points(group), *entry_points(group=group)]
    return {entry.name: entry for entry in sorted(found, key=lambda entry: entry.name)}


def _checkout_entry_points(group: str) -> list[EntryPoint]:
    project = CHECKOUT / "pyproject.toml"
    if not (CHECKOUT / "backends").is_dir() or not project.is_file():
        return []
    declared = tomllib.loads(project.read_text("utf-8"))["project"]["entry-points"].get(group, {})
    if str(CHECKOUT / "backends") not in sys.path:
        sys.path.append(str(CHECKOUT / "backends"))
    return [EntryPoint(name, value, group) for name, value in declared.items()]
