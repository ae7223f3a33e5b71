"""`vary` and `cross`: children of networks, and whether a network is inside a space."""

from __future__ import annotations

import random as random_module
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cnngen.errors import CnnGenError, SpaceError
from cnngen.language.tree import Layer, MergeMode, Value
from cnngen.network import Network
from cnngen.operations import WORDS
from cnngen.space.sampling import NO_BOUNDS, Bounds
from cnngen.space.space import Space, load_space
from cnngen.space.variation import operators as edits
from cnngen.space.variation.draft import Draft, first_fault
from cnngen.space.variation.operators import Edit, Site, layer_at, layers_of, places, put
from cnngen.space.variation.repair import resolved
from cnngen.system.ranges import MAX_SEED

TRIES = 200
"""Edits that are tried until one gives a child inside the space and its bounds."""

OPERATORS = (*edits.OPERATORS, "cross")
"""The names of all operators; `cross` takes two parents, the others one."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A network that an operator made of its parents.

    `reopened` names hyper-parameters that the parents had and that no longer fitted, as
    `conv3.stride`, by the child's names of operations; they were drawn anew.
    """

    network: Network
    operator: str
    reopened: tuple[str, ...] = ()


def vary(
    network: Network,
    space: str | Path | Space = "paper",
    *,
    seed: int = 0,
    operators: Sequence[str] = tuple(edits.OPERATORS),
    bounds: Bounds = NO_BOUNDS,
) -> Variant:
    """Make a child of a network by one of the operators, each as likely, at a random place.

    The child is a sentence of the space within the bounds, and differs from its parent. Layers
    that the edit does not touch keep their hyper-parameters, except where these no longer fit;
    see `Variant`. Equal arguments give an equal child on every machine.

    Raises `CnnGenError` for an unknown operator, and `SpaceError` for an invalid space, for a
    parent outside the space, and if no child was found that meets the bounds.
    """
    for name in operators:
        if name not in edits.OPERATORS:
            raise CnnGenError(
                f"there is no operator '{name}' of one parent",
                hint=f"One of: {', '.join(edits.OPERATORS)}.",
            )
    if not operators:
        raise CnnGenError("no operator is given", hint=f"One of: {', '.join(edits.OPERATORS)}.")

    def possible(site: Site) -> tuple[str, list[Edit]]:
        name = site.pick(operators)
        return name, list(edits.OPERATORS[name](site))

    return _child((network,), load_space(space), seed, bounds, possible)


def cross(
    first: Network,
    second: Network,
    space: str | Path | Space = "paper",
    *,
    seed: int = 0,
    bounds: Bounds = NO_BOUNDS,
) -> Variant:
    """Make a child of a network by putting a part of another in the place of one of its own.

    The parts are of the same rule of the grammar. Else as `vary`; the child differs from both
    parents. Raises `CnnGenError` too if their input shapes or classes are not the same.
    """
    if (first.input_shape, first.classes) != (second.input_shape, second.classes):
        raise CnnGenError("networks for other images or classes cannot be crossed")
    space = load_space(space)
    donor = _inside(second, space)

    def possible(site: Site) -> tuple[str, list[Edit]]:
        return "cross", list(edits.crossing(site, donor))

    return _child((first, second), space, seed, bounds, possible)


def inside(network: Network, space: str | Path | Space, bounds: Bounds = NO_BOUNDS) -> str | None:
    """Return what about a network lies outside a space or its bounds, in words; None if nothing.

    A network is inside if the space could draw its sentence and each of its hyper-parameters by
    itself. Filters and units follow from the layers around them, so any number is inside.
    """
    if not network.is_described:
        return "it has no description"
    try:
        draft = Draft.of(network.description)
    except SpaceError as error:
        return error.message
    return first_fault(draft, load_space(space)) or bounds.broken_by(network)


def _inside(network: Network, space: Space) -> Draft:
    if not network.is_described:
        raise SpaceError("a network without a description cannot be varied")
    draft = Draft.of(network.description)
    fault = first_fault(draft, space)
    if fault is not None:
        raise SpaceError(
            f"the network is outside the space '{space.name}', which does not draw {fault}",
            hint="Choose a space that has it, or widen this one.",
        )
    return draft


def _child(
    parents: tuple[Network, ...],
    space: Space,
    seed: int,
    bounds: Bounds,
    possible: Callable[[Site], tuple[str, list[Edit]]],
) -> Variant:
    random = random_module.Random(seed).random
    style = _Style.of(_inside(parents[0], space))
    limit = min(bounds.layers[1] or space.max_layers, space.max_layers)
    ids = {parent.id for parent in parents}
    missed: dict[str, None] = {}
    for _ in range(TRIES):
        draft = Draft.of(parents[0].description)
        site = Site(draft, space, random, limit)
        name, choices = possible(site)
        if not choices:
            continue
        # First what is edited, then where: there are many more layers than merges.
        kinds = list(dict.fromkeys(what for what, _ in choices))
        what = site.pick(kinds)
        site.pick([edit for own, edit in choices if own == what])()
        if first_fault(draft, space) is not None:
            continue
        style.give(draft)
        network, reopened = resolved(draft, space, int(random() * (MAX_SEED + 1)))
        if network.id in ids:
            continue
        broken = bounds.broken_by(network)
        if broken is None:
            return Variant(network, name, reopened)
        missed[broken] = None
    seen = f" They had, for example, {'; '.join(list(missed)[:3])}." if missed else ""
    raise SpaceError(
        f"no child was found in {TRIES} edits",
        hint=f"Widen the bounds or the space, or allow other operators.{seen}",
    )


@dataclass(frozen=True, slots=True)
class _Style:
    """The commonest activation and merge mode of a network, which what is new in its children gets:
    a space draws one of each for a whole network."""

    activation: Value | None
    mode: MergeMode | None

    @classmethod
    def of(cls, draft: Draft) -> _Style:
        layers = (layer for layer in layers_of(draft) if layer is not draft.output.dense)
        activations = Counter(
            layer.parameters["activation"] for layer in layers if "activation" in layer.parameters
        )
        modes = Counter(merge.mode for merge, _ in draft.merges())
        return cls(
            activations.most_common(1)[0][0] if activations else None,
            modes.most_common(1)[0][0] if modes else None,
        )

    def give(self, draft: Draft) -> None:
        """Fill in what is open."""
        for owner, key in list(places(draft)):
            layer = layer_at(owner, key)
            if (
                self.activation is not None
                and "activation" not in layer.parameters
                and "activation" in WORDS[layer.kind].parameter_names
                and owner is not draft.output
            ):
                given = {**layer.parameters, "activation": self.activation}
                put(owner, key, Layer(layer.kind, given))
        for merge, _ in draft.merges():
            merge.mode = merge.mode or self.mode
