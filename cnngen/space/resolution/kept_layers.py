"""Which layers of merges keep the size of their map, where a space has one layer a side reduce it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cnngen.language.tree import Body, Layer, Merge
from cnngen.operations import WINDOW_NAMES
from cnngen.space.resolution.reach import Item
from cnngen.space.space import Random, Space


@dataclass(slots=True)
class _Side:
    """A side of a body: whether all of it keeps its size, and its own layers with a window."""

    keeps: bool
    layers: list[int] = field(default_factory=list)


def kept_layers(items: Sequence[Item], space: Space, random: Random) -> frozenset[int]:
    """The positions in a walk of the layers that keep the size of their map, if it is open.

    None where the space's `merge.reducing` is `any`. Else all that lie beside Empty, however deep,
    and of any other side all of its own layers but one, drawn uniformly.
    """
    kept: list[int] = []
    if space.merge.reducing == "any":
        return frozenset()
    sides = [_Side(keeps=False)]  # the main column, whose layers are all free
    merges: list[list[Body]] = []  # of each open merge, those to come
    for position, item in enumerate(items):
        match item:
            case Layer() if item.kind in WINDOW_NAMES and merges:
                sides[-1].layers.append(position)
            case Merge():
                merges.append([*reversed(item.bodies)])
            case "(":
                beside_empty = not all(merges[-1].pop().sides)
                sides.append(_Side(sides[-1].keeps or beside_empty))
            case "," | ")":
                side = sides.pop()
                if side.layers and not side.keeps:
                    del side.layers[int(random() * len(side.layers))]
                kept += side.layers
                if item == ",":
                    sides.append(_Side(side.keeps))
            case "]":
                merges.pop()
    return frozenset(kept)
