"""A model: a predictor for each target, and what they have seen. `cnngen predict` asks one."""

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
"""The model that CNNGen brings. `docs/predict.md` tells what it was fitted on."""


@dataclass(frozen=True)
class Model:
    """Predictors of several targets, fitted on the same examples.

    `origin` says how many networks of which setting they were, `energies` how many of their
    energies were modelled and how many measured; those of which nothing says it are under "".
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
        """A model of all targets that the examples have.

        Raises `CnnGenError` where they have too few of any, and for an unknown predictor.
        """
        kind = get_predictor(predictor)
        fitted: dict[Target, Predictor] = {}
        for target in TARGETS:
            if on_target is not None:
                on_target(target)
            if any(example.targets.get(target) is not None for example in examples):
                fitted[target] = kind().fit(examples, target)
        if not fitted:
            raise CnnGenError("there is nothing to learn from: no example has any target")
        domain = Domain.of([example.network for example in examples])
        energies = [one.energy for one in examples if one.targets.get("energy") is not None]
        origin = Counter(example.setting for example in examples)
        return cls(fitted, domain, origin, Counter(energies))

    def predict(self, networks: Sequence[Network]) -> dict[Target, Prediction]:
        """What each of the predictors says of the networks."""
        said = {target: one.predict(networks) for target, one in self.predictors.items()}
        if "energy" in said:
            said["energy"] = replace(said["energy"], note=self.energy_note)
        return said

    @property
    def energy_note(self) -> str:
        """Where the energies that were learnt come from; "" where all were measured."""
        modelled, measured = (self.energies.get(kind, 0) for kind in ("modelled", "measured"))
        if self.energies and set(self.energies) <= {"measured"}:
            return ""
        if modelled and not measured:
            return "Energies are learnt from modelled ones (TDP and load), not from measured ones"
        if modelled:
            return f"Energies are learnt from {modelled:,} modelled and {measured:,} measured ones"
        return "Whether the energies learnt from were measured or modelled is not known"

    def save(self, path: str | Path) -> None:
        """Write a file that `load` reads. Raises `StoreError` where that cannot be done."""
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
        """Read what `save` wrote. Nothing in it can run.

        Raises `CnnGenError` for a file that is none, or whose predictors are not installed.
        """
        read = saved.read(Path(path))
        members, domain, origin = (
            _object(read.state.values.get(name), path) for name in ("members", "domain", "origin")
        )
        if read.name != NAME or not members.keys() <= TARGETS.keys():
            raise CnnGenError(f"{path} is no model", hint="Make one: cnngen predict --fit FOLDER.")
        predictors: dict[Target, Predictor] = {}
        for target, given in members.items():
            member = _object(given, path)
            state = State(_object(member.get("values"), path), read.state.inside(target))
            params = _object(member.get("params"), path)
            name = str(member.get("predictor"))
            predictors[cast("Target", target)] = restored(Saved(name, params, target, state))
        with saved.restoring(f"the domain of {path}"):
            seen = Domain.restored(State(domain, read.state.inside("domain")))
        return cls(
            predictors,
            seen,
            {shorten(name, 160): n for name, n in origin.items() if isinstance(n, int)},
            {
                name: n
                for name, n in _object(read.state.values.get("energies", {}), path).items()
                if name in ("modelled", "measured", "") and isinstance(n, int)
            },
        )


def _object(value: object, path: str | Path) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise CnnGenError(f"{path} is no model", hint="Make one: cnngen predict --fit FOLDER.")
    return cast("Mapping[str, object]", value)
