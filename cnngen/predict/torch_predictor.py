"""The base class of predictors that are PyTorch modules: `image`, `code`, `neural`, `graph`.

A subclass defines how to encode a network (`encode`), how to batch encoded networks as tensors
(`collate`), and which module reads them (`module`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar, Generic, Self, TypeVar

import numpy as np

from cnngen.errors import CnnGenError
from cnngen.network import Network
from cnngen.predict.examples import Example, Target
from cnngen.predict.model_file import State, check_arrays
from cnngen.predict.predictor import (
    LEVEL,
    NORMAL_QUANTILE,
    Floats,
    Prediction,
    Predictor,
    check_fitted,
    with_target,
)
from cnngen.predict.target_scale import Scale

if TYPE_CHECKING:
    from torch import Tensor

    from cnngen.predict.torch_fit import FitSettings, Regressor

Encoded = TypeVar("Encoded")

LEAST = 10
"""Fewest examples; one of them is held out."""

HELD_OUT = 10
"""A member holds out one in this many examples."""


@dataclass
class ModulePredictor(Predictor, Generic[Encoded]):
    """Fits one module, or an ensemble of `members`, and calibrates its standard deviation.

    Each member is stopped early by means of held-out examples: the validation examples, or a
    tenth of all. In an ensemble, each member holds out a different tenth. The standard
    deviation is scaled so that intervals contain a fraction `LEVEL` of the held-out examples.
    """

    install: ClassVar[str] = "pip install 'cnngen[predict]'"

    needs: ClassVar[tuple[str, ...]] = ("torch",)
    """The packages that the predictor imports, which `install` provides."""

    limits: ClassVar[Mapping[str, tuple[float, float]]] = {}
    """Bounds of hyper-parameters, which protect against untrusted files."""

    seed: int = 0
    members: int = 1
    epochs: int = 50
    batch: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.01

    modules_: list[Regressor] = field(init=False, repr=False)
    scale_: Scale = field(init=False, repr=False)
    calibration_: float = field(init=False, repr=False)

    @abstractmethod
    def encode(self, network: Network) -> Encoded:
        """Encode a network as numbers; results should be cached."""

    @abstractmethod
    def collate(self, encoded: Sequence[Encoded]) -> tuple[Tensor, ...]:
        """Return the arguments of the module for a batch."""

    @abstractmethod
    def module(self) -> Regressor:
        """Return a new module with random weights."""

    def begin(self, module: Regressor) -> None:
        """Called with each module before it is fitted, but not when it is read from a file."""

    def fit_settings(self) -> FitSettings:
        """Return the settings with which the module is fitted."""
        from cnngen.predict.torch_fit import FitSettings

        return FitSettings(self.epochs, self.batch, self.learning_rate, self.weight_decay)

    def size(self, encoded: Encoded) -> int:
        """Return a network's share of a batch's time; similar sizes are batched together."""
        return 1

    def fit(
        self, examples: Sequence[Example], target: Target, validation: Sequence[Example] = ()
    ) -> Self:
        self._check()
        from cnngen.predict.torch_fit import fit_module, seeded

        networks, figures = with_target([*examples, *validation], target, LEAST)
        known = sum(example.targets.get(target) is not None for example in examples)
        self.scale_ = Scale.of(target, figures)
        encoded = [self.encode(network) for network in networks]
        wanted = self.scale_.scaled(figures)
        modules, errors = [], []
        for member, (train, held_out) in enumerate(self._folds(known, len(encoded))):
            with seeded(self.seed + member):
                module = self.module()
                self.begin(module)
                estimate = fit_module(
                    module,
                    self.collate,
                    [encoded[at] for at in train],
                    wanted[train],
                    [encoded[at] for at in held_out],
                    wanted[held_out],
                    self.fit_settings(),
                    self.size,
                )
            modules.append(module)
            errors.append(np.abs(estimate.mean - wanted[held_out]) / estimate.std)
        self.modules_ = modules
        self.calibration_ = _calibration(np.concatenate(errors))
        self.target_ = target
        return self

    def predict(self, networks: Sequence[Network]) -> Prediction:
        from cnngen.predict.torch_fit import estimates

        check_fitted(self)
        if not networks:
            return Prediction(np.zeros(0), np.zeros(0))
        encoded = [self.encode(network) for network in networks]
        each = [estimates(module, self.collate, encoded, self.size) for module in self.modules_]
        means = np.stack([estimate.mean for estimate in each])
        variances = np.stack([estimate.std**2 for estimate in each])
        mean = means.mean(0)
        # The variance of an equally weighted mixture, within its components and between them.
        std = self.calibration_ * np.sqrt(variances.mean(0) + means.var(0))
        return self._in_unit(mean, std)

    def state(self) -> State:
        arrays = {
            f"members/{member}/{name}": tensor.numpy()
            for member, module in enumerate(self.modules_)
            for name, tensor in module.state_dict().items()
        }
        values = {
            "scale": self.scale_.values(),
            "calibration": self.calibration_,
            "members": len(self.modules_),
        }
        return State(values, arrays)

    def restore(self, state: State) -> None:
        self._check()
        from cnngen.predict.torch_fit import restored, shapes_of

        calibration, members = state.values.get("calibration"), state.values.get("members")
        if not (isinstance(calibration, float) and 0 < calibration < np.inf):
            raise CnnGenError(f"not a valid predictor file: its calibration is {calibration!r:.40}")
        if members != self.members:
            raise CnnGenError(
                f"not a valid predictor file: it has {members!r:.40} members, not {self.members}"
            )
        self.scale_ = Scale.restored(self.target_, state.values.get("scale"))
        self.calibration_ = calibration
        shapes = shapes_of(self.module)
        self.modules_ = []
        for member in range(self.members):
            arrays = state.inside(f"members/{member}")
            check_arrays(arrays, shapes)
            self.modules_.append(restored(self.module, arrays))

    def _folds(self, known: int, count: int) -> Iterator[tuple[list[int], list[int]]]:
        """Yield the positions of each member's training and held-out examples."""
        if self.members == 1 and known < count:
            yield list(range(known)), list(range(known, count))
            return
        order = np.random.default_rng(self.seed).permutation(count).tolist()
        for member in range(self.members):
            held_out = order[member % HELD_OUT :: HELD_OUT]
            yield sorted(set(order) - set(held_out)), held_out

    def _in_unit(self, mean: Floats, std: Floats) -> Prediction:
        half = NORMAL_QUANTILE * std
        unit = self.scale_.in_unit
        return Prediction(
            unit(mean),
            (unit(mean + std) - unit(mean - std)) / 2,
            (unit(mean - half), unit(mean + half)),
        )

    def _check(self) -> None:
        """Raise `CnnGenError` if a package is missing or a hyper-parameter is out of bounds."""
        for package in self.needs:
            if find_spec(package) is None:
                raise CnnGenError(
                    f"the predictor '{self.name}' needs {package}, which is not installed",
                    hint=f"Install it: {self.install}",
                )
        limits = {
            "seed": (0, 2**63 - 1),
            "members": (1, HELD_OUT),
            "epochs": (1, 10_000),
            "batch": (1, 10_000),
            **self.limits,
        }
        for name, (least, most) in limits.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise CnnGenError(
                    f"{name}={value!r:.40} is out of bounds for the predictor '{self.name}'",
                    hint=f"It must be from {least:g} to {most:g}.",
                )


def _calibration(errors: Floats) -> float:
    """Return the factor for standard deviations, given held-out errors in units of them.

    The quantile is that of split conformal prediction (Vovk et al., "Algorithmic Learning in a
    Random World", 2005), which is a little more extreme for few examples.
    """
    share = min(1.0, LEVEL * (1 + 1 / len(errors)))
    return max(1e-6, float(np.quantile(errors, share)) / NORMAL_QUANTILE)
