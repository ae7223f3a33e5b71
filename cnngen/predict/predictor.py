"""The base class of predictors, which follows scikit-learn's conventions."""

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
"""Fraction of networks whose figure an interval is meant to contain."""

NORMAL_QUANTILE = 1.6448536269514722
"""The two-sided quantile of a normal distribution for `LEVEL`."""


@dataclass(frozen=True, slots=True, repr=False)
class Prediction:
    """Mean and standard deviation for each network, in the target's unit: shape (networks,).

    `bounds` are the lower and upper ends of the intervals meant to contain a fraction `LEVEL`
    of the figures; None stands for those of a normal distribution. `note` is a remark on the
    figures learnt from, for example that energies were modelled; "" for none.
    """

    mean: Floats
    std: Floats
    bounds: tuple[Floats, Floats] | None = None
    note: str = ""

    @property
    def low(self) -> Floats:
        """The lower end of the interval, in the target's unit."""
        return self.bounds[0] if self.bounds else self.mean - NORMAL_QUANTILE * self.std

    @property
    def high(self) -> Floats:
        """The upper end of the interval, in the target's unit."""
        return self.bounds[1] if self.bounds else self.mean + NORMAL_QUANTILE * self.std

    def __len__(self) -> int:
        return len(self.mean)

    def __repr__(self) -> str:
        pairs = zip(self.mean[:3], self.std[:3], strict=True)
        shown = [f"{mean:.3g} ± {std:.2g}" for mean, std in pairs]
        more = ["…"] if len(self) > 3 else []
        return f"<Prediction for {counted(len(self), 'network')}: {', '.join(shown + more)}>"


class Predictor(ABC):
    """Base class of predictors of one target. A subclass is a dataclass of hyper-parameters.

    Hyper-parameters have defaults, and the constructor only stores them, so that scikit-learn's
    `clone` works. Fields with `init=False` hold the learnt state; their names end with an
    underscore. Neither importing a predictor's module nor constructing one may import a
    framework.
    """

    name: ClassVar[str]
    """The name by which users choose the predictor."""

    install: ClassVar[str] = "pip install cnngen"
    """The command that installs what the predictor needs."""

    target_: Target

    @abstractmethod
    def fit(
        self, examples: Sequence[Example], target: Target, validation: Sequence[Example] = ()
    ) -> Self:
        """Learn to predict a target from examples; those without the target are ignored.

        `validation` are further examples for early stopping or calibration; a predictor that
        needs none learns from them as well. Equal arguments give equal predictors. Returns the
        predictor itself. Raises `CnnGenError` if there are too few examples.
        """

    @abstractmethod
    def predict(self, networks: Sequence[Network]) -> Prediction:
        """Predict the target of networks, in order. Raises `CnnGenError` before `fit`."""

    @abstractmethod
    def state(self) -> State:
        """Return what was learnt, as JSON values and arrays."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Restore what `state` returned.

        The state may come from an untrusted file: check it, raise `CnnGenError` if it could not
        predict, and execute nothing in it.
        """

    def save(self, path: str | Path) -> None:
        """Write a file that `cnngen.predict.load` reads; it contains no executable code.

        Raises `CnnGenError` before `fit`, and if the file cannot be written.
        """
        check_fitted(self)
        write(Path(path), self.name, self.get_params(), self.target_, self.state())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a saved predictor of this class.

        Raises `CnnGenError` if the file is not valid or contains another predictor.
        """
        predictor = load(path)
        if not isinstance(predictor, cls):
            raise CnnGenError(f"{path} contains a predictor '{predictor.name}', not '{cls.name}'")
        return predictor

    def get_params(self, deep: bool = True) -> dict[str, object]:
        """Return the hyper-parameters, by name."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.init}  # type: ignore[arg-type]

    def set_params(self, **params: object) -> Self:
        """Set hyper-parameters by name. Raises `CnnGenError` for an unknown one."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise CnnGenError(
                    f"unknown hyper-parameter '{name}' of the predictor '{self.name}'",
                    hint=f"Known: {', '.join(known) or 'none'}.",
                )
            setattr(self, name, value)
        return self


def load(path: str | Path) -> Predictor:
    """Read a saved predictor of any kind.

    Raises `CnnGenError` if the file is not valid or its predictor is not installed.
    """
    return restored(model_file.read(Path(path)))


def restored(read: model_file.Saved) -> Predictor:
    """Restore a predictor from what was read. Raises `CnnGenError` if it is not valid."""
    kind: type[Predictor] = PREDICTORS.load(read.name)
    if read.target not in TARGETS:
        raise CnnGenError(f"not a valid predictor file: unknown target {read.target!r:.40}")
    check_params(kind, read.params)
    with model_file.restoring(f"a saved predictor '{read.name}'"):
        predictor = kind(**read.params)
        predictor.target_ = cast("Target", read.target)
        predictor.restore(read.state)
    return predictor


def with_target(
    examples: Sequence[Example], target: Target, least: int = 2
) -> tuple[list[Network], Floats]:
    """Return the networks whose training reached a target, and their figures (networks,).

    Raises `CnnGenError` for an unknown target, and for fewer than `least` examples.
    """
    if target not in TARGETS:
        raise CnnGenError(f"unknown target '{target}'", hint=f"One of: {', '.join(TARGETS)}.")
    found = [
        (example.network, figure)
        for example in examples
        if (figure := example.targets.get(target)) is not None
    ]
    if len(found) < least:
        raise CnnGenError(
            f"only {len(found)} of {len(examples)} examples have the target '{target}', "
            f"at least {least} are needed"
        )
    networks, figures = zip(*found, strict=True)
    return list(networks), np.array(figures, np.float64)


def check_fitted(predictor: Predictor) -> None:
    """Raise `CnnGenError` if a predictor has not been fitted."""
    if not hasattr(predictor, "target_"):
        raise CnnGenError(f"the predictor '{predictor.name}' is not fitted: call fit first")


def check_params(kind: type[Predictor], given: Mapping[str, object]) -> None:
    """Raise `CnnGenError` for hyper-parameters of a file that are unknown or of the wrong type."""
    defaults = kind().get_params()
    for name, value in given.items():
        if name not in defaults:
            raise CnnGenError(f"unknown hyper-parameter '{name}' of the predictor '{kind.name}'")
        if type(value) is not type(defaults[name]):
            raise CnnGenError(f"invalid value {value!r:.40} of the hyper-parameter '{name}'")
