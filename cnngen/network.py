"""The network: a frozen graph of operations with every shape inferred.

This is all that backends, pictures, costs and predictors read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from cnngen import shapes
from cnngen.errors import Span
from cnngen.language.tree import NOWHERE, Description
from cnngen.operations import Dense, Operation
from cnngen.shapes import Shape

if TYPE_CHECKING:
    from cnngen.cost import Cost


@dataclass(frozen=True, slots=True)
class Branch:
    """One column of a merge; branch 0 of a network is its main column.

    `merge` numbers the merges from 1 in the order of the text; `parent` is the branch in
    which the merge stands; the right sides of a merge's bodies continue each other.
    """

    merge: int = 0
    body: int = 0
    side: Literal["main", "left", "right"] = "main"
    parent: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """An operation in its place: where its inputs come from and what comes out.

    `inputs` are positions in `Network.nodes`, all smaller than the node's own. `shape` is
    the output of one example. `span` is the place in the description it came from.
    """

    name: str
    operation: Operation
    inputs: tuple[int, ...]
    shape: Shape
    branch: int = 0
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True)
class Network:
    """Nodes in topological order: the first is the input, the last gives the output.

    `description` is the resolved description, which determines the network alone.
    """

    nodes: tuple[Node, ...]
    branches: tuple[Branch, ...] = (Branch(),)
    description: Description = field(default=Description(()), compare=False, repr=False)

    @property
    def name(self) -> str | None:
        return self.description.name

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, channels = self.nodes[0].shape
        return height, width, channels

    @property
    def output_shape(self) -> Shape:
        return self.nodes[-1].shape

    @property
    def classes(self) -> int | None:
        """How many classes the logits tell apart; None for a backbone."""
        last = self.nodes[-1]
        return last.shape[0] if isinstance(last.operation, Dense) else None

    @property
    def is_backbone(self) -> bool:
        """Whether there is no classification, so that it cannot be trained."""
        return self.classes is None

    @cached_property
    def id(self) -> str:
        """16 hexadecimal digits, the same for equal networks in every process.

        Hash of the resolved text without its name, the input shape and the class count.
        """
        from cnngen.language.formatter import format

        text = format(self.description, named=False)
        key = f"{text}\n{shapes.text(self.input_shape)}\n{self.classes or ''}"
        return hashlib.sha256(key.encode()).hexdigest()[:16]

    @cached_property
    def cost(self) -> Cost:
        """Weights, multiply-adds and activations, counted from the graph."""
        from cnngen.cost import cost

        return cost(self)

    def input_shapes(self, node: Node) -> Sequence[Shape]:
        """The shapes of what a node reads."""
        return [self.nodes[i].shape for i in node.inputs]

    def to_text(self) -> str:
        """The resolved description on one line."""
        from cnngen.language.formatter import format

        return format(self.description)

    def to_source(self, backend: str, *, script: bool = False) -> str:
        """Source code of the network for an installed backend.

        Raises `BackendError` for a backend that is not there.
        """
        from cnngen.backend import get_backend

        return get_backend(backend).emit(self, script=script)

    def to_svg(self) -> str:
        """A drawing of the network."""
        from cnngen.picture import to_svg

        return to_svg(self)

    def to_png(self, *, scale: float = 1.0) -> bytes:
        """The same drawing as a PNG, `scale` pixels for each of the SVG's."""
        from cnngen.picture import to_png

        return to_png(self, scale)

    def __len__(self) -> int:
        return len(self.nodes)
