"""Resolves an edited sentence, reopening the hyper-parameters that no longer fit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from cnngen.errors import MergeError, ResolveError, Source, Span
from cnngen.language.tree import Body, Description, Layer, Merge, gather
from cnngen.network import Network
from cnngen.operations import WINDOW_NAMES
from cnngen.space.resolution.hyperparameters import resolve_sentence
from cnngen.space.space import Space
from cnngen.space.variation.draft import Draft, DraftMerge
from cnngen.space.variation.operators import layer_at, places, put

CHANNELS = frozenset({"filters"})
SIZES = frozenset({"stride", "padding"})
WINDOW = SIZES | set(WINDOW_NAMES.values())
EVERYTHING = CHANNELS | WINDOW

WIDEST = 4
"""The number of steps by which more of a merge is opened; see `_Repair.widen`."""


def resolved(draft: Draft, space: Space, seed: int) -> tuple[Network, tuple[str, ...]]:
    """Resolve a draft; return the network and the names of what was reopened, as `conv3.stride`.

    Where given hyper-parameters contradict each other, as few as possible of the merge where they
    do are opened and drawn anew.
    """
    try:
        return resolve_sentence(draft.description(), space=space, seed=seed), ()
    except ResolveError:
        repair = _Repair(draft)
    while True:
        try:
            network = resolve_sentence(repair.marked(), space=space, seed=seed)
        except ResolveError as error:
            if not repair.open(error):
                raise
            continue
        # The same again, without the marks.
        final = resolve_sentence(draft.description(), space=space, seed=seed)
        return final, repair.names(network)


@dataclass(slots=True)
class _Repair:
    """A draft whose layers and merges are numbered in the order of the text.

    An error of resolving a description with these numbers in the place of spans tells by its span
    which layer or merge it is about.
    """

    draft: Draft
    places: list[tuple[Any, int | str]] = field(init=False)
    merges: list[DraftMerge] = field(init=False)
    around: list[tuple[int, ...]] = field(init=False)
    """The merges around each layer, the outermost first."""
    parents: list[int | None] = field(init=False)
    """The merge around each merge."""
    opened: dict[int, set[str]] = field(default_factory=dict)
    """The names of the hyper-parameters that were opened, by layer."""
    widths: dict[int, int] = field(default_factory=dict)
    """How much of each merge was opened."""
    is_last: bool = False

    def __post_init__(self) -> None:
        self.places = list(places(self.draft))
        self.merges = [merge for merge, _ in self.draft.merges()]
        self.around, self.parents = [], []
        stack: list[int] = []
        for item in self.draft.description().walk():
            if isinstance(item, Layer):
                self.around.append(tuple(stack))
            elif isinstance(item, Merge):
                self.parents.append(stack[-1] if stack else None)
                stack.append(len(self.parents) - 1)
            elif item == "]":
                stack.pop()

    def marked(self) -> Description:
        """The description, with numbers of layers and merges as spans."""
        plain = self.draft.description()
        count = len(self.places)
        layers = merges = 0
        items: list[Layer | Merge | str] = []
        for item in plain.walk():
            if isinstance(item, Layer):
                items.append(replace(item, span=Span(layers, layers + 1)))
                layers += 1
            elif isinstance(item, Merge):
                span = Span(count + merges, count + merges + 1)
                items.append(Merge(item.mode, tuple(Body((), (), span) for _ in item.bodies), span))
                merges += 1
            else:
                items.append(item)
        nodes = gather(items)
        features = len(plain.features)
        head = tuple(node for node in nodes[features:] if isinstance(node, Layer))
        text = Source(" " * (count + merges + 1))
        return replace(plain, features=nodes[:features], head=head, source=text)

    def open(self, error: ResolveError) -> bool:
        """Open more of what an error is about; False if there is nothing more to open."""
        number = error.span.start if error.span else None
        if number is None:
            return self.open_all()
        if number < len(self.places):
            if self.open_layers([number], SIZES) or self.open_layers([number], WINDOW):
                return True
            around = self.around[number]
            return self.widen(around[-1], SIZES) if around else self.open_all()
        of_sizes = isinstance(error, MergeError) and error.sizes is not None
        return self.widen(number - len(self.places), SIZES if of_sizes else CHANNELS)

    def widen(self, merge: int | None, names: frozenset[str]) -> bool:
        """Open some of a merge: what is wanted of its own branches; then of the merges inside it,
        too; then filters and windows of both; then the modes inside it. After that, the same for
        the merge around it.
        """
        while merge is not None:
            width = self.widths[merge] = self.widths.get(merge, 0) + 1
            if width > WIDEST:
                merge = self.parents[merge]
                continue
            own = [i for i, around in enumerate(self.around) if around and around[-1] == merge]
            inside = [i for i, around in enumerate(self.around) if merge in around]
            has_opened = self.open_layers(own if width == 1 else inside, names)
            if width >= 3:
                has_opened |= self.open_layers(inside, EVERYTHING)
            if width == WIDEST:
                has_opened |= self.level_modes(merge)
            if has_opened:
                return True
        return self.open_all()

    def open_layers(self, numbers: Iterable[int], names: frozenset[str]) -> bool:
        """Open hyper-parameters of layers; False if none of them was given."""
        has_opened = False
        for number in numbers:
            owner, key = self.places[number]
            layer = layer_at(owner, key)
            given = names & layer.parameters.keys()
            if given:
                kept = {k: v for k, v in layer.parameters.items() if k not in given}
                put(owner, key, Layer(layer.kind, kept))
                self.opened.setdefault(number, set()).update(given)
                has_opened = True
        return has_opened

    def level_modes(self, merge: int) -> bool:
        """Give all merges inside one its mode; False if they have it."""
        mode = self.merges[merge].mode
        others = [
            self.merges[number]
            for number in range(merge + 1, len(self.merges))
            if merge in self._merges_around(number) and self.merges[number].mode != mode
        ]
        for other in others:
            other.mode = mode
        return bool(others)

    def _merges_around(self, merge: int) -> list[int]:
        around = []
        parent = self.parents[merge]
        while parent is not None:
            around.append(parent)
            parent = self.parents[parent]
        return around

    def open_all(self) -> bool:
        """Open all filters and windows, with one mode for all merges; False the second time."""
        if self.is_last:
            return False
        self.is_last = True
        for merge in self.merges:
            merge.mode = self.merges[0].mode
        self.open_layers(range(len(self.places)), EVERYTHING)
        return True

    def names(self, network: Network) -> tuple[str, ...]:
        """What was opened, by the names of a network with numbers as spans."""
        found = []
        for number, names in sorted(self.opened.items()):
            nodes = [node for node in network.nodes if node.span.start == number]
            for name in sorted(names):
                node = next((n for n in nodes if hasattr(n.operation, name)), nodes[0])
                found.append(f"{node.name}.{name}")
        return tuple(found)
