"""A model: one fitted predictor per target, and their domain. `cnngen predict` uses one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self, cast

from cnngen.errors import CnnGenError, shorten
from cnngen.network import Network
from cnngen.predict import model_file as saved
from cnngen.predict.domain import Domain
from cnngen.predict.examples import TARGETS, Example, Target
from cnngen.predict.model_file import Saved, State
from cnngen.predict.predictor import Prediction, Predictor, restored
from cnngen.predict.registry import get_predictor

NAME = "model"
SHIPPED = Path(__file__).parent / "models" / "digits.zip"
"""The model shipped with CNNGen. `docs/predict.md` describes the data it was fitted on."""


@dataclass(frozen=True)
class Model:
    """Predictors of several targets, fitted on the same examples.

    `origin` counts the networks by setting. `energies` counts their energies by origin:
    "modelled", "measured", or "" if unknown.
    """

    predictors: Mapping[Target, Predictor]
    domain: Domain
    origin: Mapping[str, int]
    energies: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        examples: Sequence[Example],
        predictor: str = "trees",
        on_target: Callable[[Target], None] | None = None,
    ) -> Self:
        """Fit a predictor for each target that the examples have.

        `on_target` is called before each target. Raises `CnnGenError` if there are too few
        examples of a target, and for an unknown predictor.
        """
        kind = get_predictor(predictor)
        fitted: dict[Target, Predictor] = {}
        for target in TARGETS:
            if on_target is not None:
                on_target(target)
            if any(example.targets.get(target) is not None for example in examples):
                fitted[target] = kind().fit(examples, target)
        if not fitted:
            raise CnnGenError("a model needs examples, and none of those given has a target")
        domain = Domain.of([example.network for example in examples])
        energies = [one.energy for one in examples if one.targets.get("energy") is not None]
        origin = Counter(example.setting for example in examples)
        return cls(fitted, domain, origin, Counter(energies))

    def predict(self, networks: Sequence[Network]) -> dict[Target, Prediction]:
        """Return the prediction of each target for the networks."""
        found = {target: one.predict(networks) for target, one in self.predictors.items()}
        if "energy" in found:
            found["energy"] = replace(found["energy"], note=self.energy_note)
        return found

    @property
    def energy_note(self) -> str:
        """A note on the origin of the energies learnt from; "" if all were measured."""
        modelled, measured = (self.energies.get(kind, 0) for kind in ("modelled", "measured"))
        if self.energies and set(self.energies) <= {"measured"}:
            return ""
        if modelled and not measured:
            return "Energies are learnt from modelled ones (TDP and load), not from measured ones"
        if modelled:
            return f"Energies are learnt from {modelled:,} modelled and {measured:,} measured ones"
        return "Whether the energies learnt from were measured or modelled is not known"

    def save(self, path: str | Path) -> None:
        """Write a file that `load` reads. Raises `StoreError` if it cannot be written."""
        members = {target: one.state() for target, one in self.predictors.items()}
        domain = self.domain.state()
        values = {
            "origin": dict(self.origin),
            "energies": dict(self.energies),
            "domain": domain.values,
            "members": {
                target: {
                    "predictor": one.name,
                    "params": one.get_params(),
                    "values": members[target].values,
                }
                for target, one in self.predictors.items()
            },
        }
        arrays = {f"domain/{name}": array for name, array in domain.arrays.items()}
        for target, state in members.items():
            arrays |= {f"{target}/{name}": array for name, array in state.arrays.items()}
        saved.write(Path(path), NAME, {}, "", State(values, arrays))

    @classmethod
    def load(cls, path: str | Path = SHIPPED) -> Self:
        """Read a model file. It contains no executable code.

        Raises `CnnGenError` if the file is not a valid model, or needs a predictor that is not
        installed.
        """
        read = saved.read(Path(path))
        members, domain, origin = (
            _object(read.state.values.get(name), path) for name in ("members", "domain", "origin")
        )
        if read.name != NAME or not members.keys() <= TARGETS.keys():
            raise _not_a_model(path)
        predictors: dict[Target, Predictor] = {}
        for target, given in members.items():
            member = _object(given, path)
            state = State(_object(member.get("values"), path), read.state.inside(target))
            params = _object(member.get("params"), path)
            name = str(member.get("predictor"))
            predictors[cast("Target", target)] = restored(Saved(name, params, target, state))
        with saved.restoring(f"the domain of {path}"):
            domain_of_examples = Domain.restored(State(domain, read.state.inside("domain")))
        return cls(
            predictors,
            domain_of_examples,
            {shorten(name, 160): n for name, n in origin.items() if isinstance(n, int)},
            {
                name: n
                for name, n in _object(read.state.values.get("energies", {}), path).items()
                if name in ("modelled", "measured", "") and isinstance(n, int)
            },
        )


def _object(value: object, path: str | Path) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise _not_a_model(path)
    return cast("Mapping[str, object]", value)


def _not_a_model(path: str | Path) -> CnnGenError:
    return CnnGenError(
        f"{path} is not a valid model file", hint="Create one: cnngen predict --fit FOLDER."
    )
