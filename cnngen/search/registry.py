"""Look up search methods by name: CNNGen's own and those of installed packages."""

from __future__ import annotations

from cnngen.search.searcher import Searcher
from cnngen.system.plugins import SEARCHERS


def searcher_names() -> list[str]:
    """List the names of the installed search methods."""
    return list(SEARCHERS.declared())


def get_searcher(name: str) -> type[Searcher]:
    """Return the class of a search method. Raises `CnnGenError` for an unknown name."""
    kind: type[Searcher] = SEARCHERS.load(name)
    return kind
