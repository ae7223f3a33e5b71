"""Which predictors there are: those of CNNGen, and those that packages add."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from cnngen.system import plugins

if TYPE_CHECKING:
    from cnngen.predict.predictor import Predictor


class _Registry(Mapping[str, "type[Predictor]"]):
    """Name and class of each predictor; a class is imported when it is asked for."""

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
"""All predictors that are installed, by name."""


def get_predictor(name: str) -> type[Predictor]:
    """The predictor of that name. Raises `CnnGenError` where there is none."""
    kind: type[Predictor] = plugins.PREDICTORS.load(name)
    return kind
