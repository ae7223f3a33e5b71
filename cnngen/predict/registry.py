"""Which predictors there are: those of CNNGen, and those that packages add."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cnngen.errors import CnnGenError
from cnngen.predict import model_file as saved
from cnngen.predict.examples import TARGETS, Target

if TYPE_CHECKING:
    from cnngen.predict.predictor import Predictor

GROUP = "cnngen.predictors"

OWN: Mapping[str, str] = {
    "trees": "cnngen.predict.trees:Trees",
    "proxies": "cnngen.predict.proxies:Proxies",
    "ensemble": "cnngen.predict.ensemble:Ensemble",
    "image": "cnngen.predict.image:Image",
    "code": "cnngen.predict.code:Code",
    "neural": "cnngen.predict.neural:Neural",
    "graph": "cnngen.predict.graph:Graph",
}
"""CNNGen's own, which no package can replace."""


class _Registry(Mapping[str, "type[Predictor]"]):
    """Name and class of each predictor; a class is imported when it is asked for."""

    def __getitem__(self, name: str) -> type[Predictor]:
        entry = _declared()[name]
        from cnngen.predict.predictor import Predictor

        try:
            kind = entry.load()
        except Exception as error:
            raise CnnGenError(
                f"predictor '{name}' ({entry.value}) cannot be loaded: {error}"
            ) from error
        if not (isinstance(kind, type) and issubclass(kind, Predictor) and kind.name == name):
            raise CnnGenError(f"predictor '{name}' ({entry.value}) is no Predictor of that name")
        return kind

    def __iter__(self) -> Iterator[str]:
        return iter(_declared())

    def __len__(self) -> int:
        return len(_declared())


PREDICTORS: Mapping[str, type[Predictor]] = _Registry()
"""All predictors that are installed, by name."""


@cache
def _declared() -> dict[str, EntryPoint]:
    own = {name: EntryPoint(name, value, GROUP) for name, value in OWN.items()}
    added = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    return own | {entry.name: entry for entry in added if entry.name not in own}


def get_predictor(name: str) -> type[Predictor]:
    """The predictor of that name. Raises `CnnGenError` where there is none."""
    if name not in PREDICTORS:
        raise CnnGenError(
            f"there is no predictor '{name}'", hint=f"Installed: {', '.join(PREDICTORS)}."
        )
    return PREDICTORS[name]


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
