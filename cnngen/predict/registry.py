"""Look up predictors by name: CNNGen's own and those of installed packages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from cnngen.system import plugins

if TYPE_CHECKING:
    from cnngen.predict.predictor import Predictor


class _Registry(Mapping[str, "type[Predictor]"]):
    """The class of each predictor by name; a class is imported on first access."""

    def __getitem__(self, name: str) -> type[Predictor]:
        if name not in plugins.PREDICTORS.declared():
            raise KeyError(name)
        kind: type[Predictor] = plugins.PREDICTORS.load(name)
        return kind

    def __iter__(self) -> Iterator[str]:
        return iter(plugins.PREDICTORS.declared())

    def __len__(self) -> int:
        return len(plugins.PREDICTORS.declared())


PREDICTORS: Mapping[str, type[Predictor]] = _Registry()
"""All installed predictors, by name."""


def get_predictor(name: str) -> type[Predictor]:
    """Return the class of a predictor. Raises `CnnGenError` for an unknown name."""
    kind: type[Predictor] = plugins.PREDICTORS.load(name)
    return kind
