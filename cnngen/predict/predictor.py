"""What every predictor is: scikit-learn's conventions, for networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from cnngen.errors import CnnGenError, counted
from cnngen.network import Network
from cnngen.predict import model_file
from cnngen.predict.examples import TARGETS, Example, Target
from cnngen.predict.model_file import State, write
from cnngen.system.plugins import PREDICTORS

Floats = NDArray[np.float64]

LEVEL = 0.9
"""Share of networks whose figure is meant to lie in an interval."""

NORMAL_QUANTILE = 1.6448536269514722
"""Of `LEVEL`, on both sides."""


@dataclass(frozen=True, slots=True, repr=False)
class Prediction:
    """Mean and standard deviation for each network, in the target's unit: shape (networks,).

    `bounds` are the ends of the interval that holds `LEVEL` of the figures; those of a
    normal distribution, where a predictor gives none. `note` says what is to be known of the
    figures that were learnt from, such as that energies were modelled; "" where nothing is.
    """

    mean: Floats
    std: Floats
    bounds: tuple[Floats, Floats] | None = None
    note: str = ""

    @property
    def low(self) -> Floats:
        return self.bounds[0] if self.bounds else self.mean - NORMAL_QUANTILE * self.std

    @property
    def high(self) -> Floats:
        return self.bounds[1] if self.bounds else self.mean + NORMAL_QUANTILE * self.std

    def __len__(self) -> int:
        return len(self.mean)

    def __repr__(self) -> str:
        pairs = zip(self.mean[:3], self.std[:3], strict=True)
        shown = [f"{mean:.3g} ± {std:.2g}" for mean, std in pairs]
        more = ["…"] if len(self) > 3 else []
        return f"<Prediction for {counted(len(self), 'network')}: {', '.join(shown + more)}>"


class Predictor(ABC):
    """One way to predict one target. A subclass is a dataclass of its hyper-parameters.

    Fields with `init=False` hold what was learnt; their names end with an underscore. All
    fields have defaults. The constructor does nothing but keep them, so that scikit-learn's
    `clone` works. Neither importing the module of a predictor nor making one imports a
    framework.
    """

    name: ClassVar[str]
    """The name users type."""

    install: ClassVar[str] = "pip install cnngen"
    """The command that installs what the predictor needs."""

    target_: Target

    @abstractmethod
    def fit(
        self, examples: Sequence[Example], target: Target, validation: Sequence[Example] = ()
    ) -> Self:
        """Learn a target from examples; those that lack it are left out.

        `validation` are further examples, to see when to stop or how far off predictions
        are. A predictor that needs none learns from them, too. Equal arguments give equal
        predictors. Raises `CnnGenError` where there are too few.
        """

    @abstractmethod
    def predict(self, networks: Sequence[Network]) -> Prediction:
        """Predictions for networks, in their order. Raises `CnnGenError` before `fit`."""

    @abstractmethod
    def state(self) -> State:
        """What was learnt, as JSON values and arrays."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Take over what `state` gave.

        The state may come from a stranger: raises `CnnGenError` for anything that would not
        predict, and runs nothing in it.
        """

    def save(self, path: str | Path) -> None:
        """Write a file that `cnngen.predict.load` reads, with nothing in it that could run.

        Raises `CnnGenError` before `fit`, and where the file cannot be written.
        """
        check_fitted(self)
        write(Path(path), self.name, self.get_params(), self.target_, self.state())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises `CnnGenError` for a file that is none, or that holds another predictor.
        """
        predictor = load(path)
        if not isinstance(predictor, cls):
            raise CnnGenError(f"{path} holds a predictor '{predictor.name}', not '{cls.name}'")
        return predictor

    def get_params(self, deep: bool = True) -> dict[str, object]:
        """The hyper-parameters, by name."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.init}  # type: ignore[arg-type]

    def set_params(self, **params: object) -> Self:
        """Set hyper-parameters by name. Raises `CnnGenError` for one that is not there."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise CnnGenError(
                    f"'{self.name}' has no hyper-parameter '{name}'",
                    hint=f"It has: {', '.join(known) or 'none'}.",
                )
            setattr(self, name, value)
        return self


def load(path: str | Path) -> Predictor:
    """A saved predictor of any kind.

    Raises `CnnGenError` for a file that is none, and for a predictor that is not installed.
    """
    return restored(model_file.read(Path(path)))


def restored(read: model_file.Saved) -> Predictor:
    """The predictor that was saved so. Raises `CnnGenError` where it is none."""
    kind: type[Predictor] = PREDICTORS.load(read.name)
    if read.target not in TARGETS:
        raise CnnGenError(f"a saved predictor has the target {read.target!r:.40}, which is none")
    check_params(kind, read.params)
    with model_file.restoring(f"a saved predictor '{read.name}'"):
        predictor = kind(**read.params)
        predictor.target_ = cast("Target", read.target)
        predictor.restore(read.state)
    return predictor


def with_target(
    examples: Sequence[Example], target: Target, least: int = 2
) -> tuple[list[Network], Floats]:
    """The networks whose training reached a target, and the figures.

    Raises `CnnGenError` for a target that is none, and for fewer than `least` examples.
    """
    if target not in TARGETS:
        raise CnnGenError(f"there is no target '{target}'", hint=f"One of: {', '.join(TARGETS)}.")
    found = [
        (example.network, figure)
        for example in examples
        if (figure := example.targets.get(target)) is not None
    ]
    if len(found) < least:
        raise CnnGenError(
            f"{len(found)} of {len(examples)} examples have the target '{target}', "
            f"at least {least} are needed"
        )
    networks, figures = zip(*found, strict=True)
    return list(networks), np.array(figures, np.float64)


def check_fitted(predictor: Predictor) -> None:
    """Raise `CnnGenError` where a predictor has learnt nothing yet."""
    if not hasattr(predictor, "target_"):
        raise CnnGenError(f"this predictor '{predictor.name}' has learnt nothing: fit it first")


def check_params(kind: type[Predictor], given: Mapping[str, object]) -> None:
    """Raise `CnnGenError` for hyper-parameters from a file that are not of the class's types."""
    defaults = kind().get_params()
    for name, value in given.items():
        if name not in defaults:
            raise CnnGenError(f"'{kind.name}' has no hyper-parameter '{name}'")
        if type(value) is not type(defaults[name]):
            raise CnnGenError(f"{value!r:.40} is no value of the hyper-parameter '{name}'")
