"""Which predictors there are: those of CNNGen, and those that packages add."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cnngen.errors import CnnGenError
from cnngen.predict import model_file as saved
from cnngen.predict.examples import TARGETS, Target
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


def load(path: str | Path) -> Predictor:
    """A saved predictor of any kind.

    Raises `CnnGenError` for a file that is none, and for a predictor that is not installed.
    """
    return restored(saved.read(Path(path)))


def restored(read: saved.Saved) -> Predictor:
    """The predictor that was saved so. Raises `CnnGenError` where it is none."""
    from cnngen.predict.predictor import check_params

    kind = get_predictor(read.name)
    if read.target not in TARGETS:
        raise CnnGenError(f"a saved predictor has the target {read.target!r:.40}, which is none")
    check_params(kind, read.params)
    with saved.restoring(f"a saved predictor '{read.name}'"):
        predictor = kind(**read.params)
        predictor.target_ = cast("Target", read.target)
        predictor.restore(read.state)
    return predictor
