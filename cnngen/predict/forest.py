"""A sum of decision trees as plain arrays, grown by LightGBM and evaluated without it.

Untrusted files are checked as arrays of numbers. LightGBM's own text format is never parsed,
because its reader does not validate its input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from cnngen.errors import CnnGenError
from cnngen.predict.model_file import check_arrays
from cnngen.predict.predictor import Floats

if TYPE_CHECKING:
    from lightgbm import Booster

Ints = NDArray[np.int32]

ROWS = 256
"""Rows evaluated at a time, few enough that their state stays in the CPU cache."""

MAX_NODES = 2**20
MAX_DEPTH = 64
"""Most nodes of all trees together, and greatest depth of a tree, that a file may have."""

LEAF = np.finfo(np.float64).max
"""The threshold of a leaf, which no value exceeds."""


@dataclass(frozen=True)
class Forest:
    """A sum of decision trees.

    Node i compares column `feature[i]` with `threshold[i]`: rows up to the threshold continue
    at node `below[i]`, others at node `below[i] + 1`; both come after i. A leaf points to
    itself and has the value `value[i]`. `roots` are the root nodes of the trees.
    """

    feature: Ints
    threshold: Floats
    below: Ints
    value: Floats
    roots: Ints

    def __call__(self, rows: Floats) -> Floats:
        """Return the sum of the trees' values for rows (rows, columns): shape (rows,)."""
        sums = [self._sums(rows[at : at + ROWS]) for at in range(0, len(rows), ROWS)]
        return np.concatenate(sums) if sums else np.zeros(0)

    def _sums(self, rows: Floats) -> Floats:
        height, width = rows.shape
        flat = rows.ravel()
        starts = np.repeat(np.arange(height, dtype=np.int64) * width, len(self.roots))
        node = np.tile(self.roots, height)
        under_way = np.arange(len(node))
        reached = node.copy()
        while len(under_way):
            above = flat[starts + self.feature[node]] > self.threshold[node]
            then = self.below[node] + above
            reached[under_way] = then
            going = self.below[then] != then
            under_way, node, starts = under_way[going], then[going], starts[going]
        return np.asarray(self.value[reached].reshape(height, -1).sum(1), np.float64)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return the arrays to save; values are rounded to single precision."""
        return {
            "feature": self.feature.astype(np.int16),
            "threshold": self.threshold,
            "below": self.below,
            "value": self.value.astype(np.float32),
            "roots": self.roots,
        }

    @classmethod
    def restored(cls, arrays: Mapping[str, NDArray[np.generic]], columns: int) -> Self:
        """Restore a forest over rows of `columns` columns from a file.

        Raises `CnnGenError` unless every row reaches a leaf of every tree.
        """
        nodes = len(arrays["value"]) if "value" in arrays else 0
        names = ("feature", "threshold", "below", "value")
        check_arrays(arrays, {**dict.fromkeys(names, (nodes,)), "roots": (None,)})
        if nodes > MAX_NODES or len(arrays["roots"]) > nodes:
            raise CnnGenError(
                f"not a valid predictor file: its trees have {nodes:,} nodes "
                f"(at most {MAX_NODES:,}) and {len(arrays['roots']):,} roots"
            )
        feature, below, roots = (
            arrays[name].astype(np.int32) for name in ("feature", "below", "roots")
        )
        threshold, value = (arrays[name].astype(np.float64) for name in ("threshold", "value"))
        own = np.arange(nodes)
        is_leaf = (below == own) & (threshold == LEAF)
        if not (
            (is_leaf | ((below > own) & (below < nodes - 1))).all()
            and ((feature >= 0) & (feature < columns)).all()
            and ((roots >= 0) & (roots < nodes)).all()
        ):
            raise CnnGenError("not a valid predictor file: its trees are malformed")
        level = np.unique(roots)
        for _ in range(MAX_DEPTH + 1):
            inner = level[~is_leaf[level]]
            level = np.unique(np.concatenate([below[inner], below[inner] + 1]))
        if len(level):
            raise CnnGenError(f"not a valid predictor file: a tree is deeper than {MAX_DEPTH}")
        return cls(feature, threshold, below, value, roots)

    @classmethod
    def of(cls, boosters: Sequence[Booster]) -> Self:
        """Return the mean of LightGBM boosters, before any link function."""
        feature: list[int] = []
        threshold: list[float] = []
        below: list[int] = []
        value: list[float] = []
        roots: list[int] = []

        def add() -> int:
            at = len(feature)
            feature.append(0)
            threshold.append(LEAF)
            below.append(at)
            value.append(0.0)
            return at

        for booster in boosters:
            for tree in booster.dump_model()["tree_info"]:
                roots.append(add())
                under_way = [(roots[-1], tree["tree_structure"])]
                while under_way:
                    at, grown = under_way.pop()
                    if "leaf_value" in grown:
                        value[at] = grown["leaf_value"] / len(boosters)
                        continue
                    feature[at], threshold[at] = grown["split_feature"], grown["threshold"]
                    below[at], above = add(), add()
                    under_way += [(below[at], grown["left_child"]), (above, grown["right_child"])]
        return cls(
            np.array(feature, np.int32),
            np.array(threshold, np.float64),
            np.array(below, np.int32),
            np.array(value, np.float32).astype(np.float64),
            np.array(roots, np.int32),
        )
