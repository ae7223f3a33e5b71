"""`Network`: an immutable graph of operations with all shapes inferred.

Backends, pictures, costs and predictors read nothing else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal

from cnngen.errors import CnnGenError, Span, counted, shorten
from cnngen.language.tree import NOWHERE, Description
from cnngen.operations import Operation, shapes
from cnngen.operations.hyperparameters import shown
from cnngen.operations.shapes import Shape

if TYPE_CHECKING:
    from cnngen.network.cost import Cost

MOST_SHOWN = 400
"""Most operations of a network that a notebook draws."""

GRAPH_NAME = re.compile(r"[a-z][a-z_]*[0-9][a-z0-9_]*")
"""Names of this form clash with no name of Python or a framework."""

NODE_NAME = re.compile(r"[a-z][a-z0-9_]*")
"""Also matches the name of the input, which does not become a variable."""

# Most networks have the same names.
_is_name = lru_cache(maxsize=2**12)(NODE_NAME.fullmatch)


def id_of_text(text: str) -> str | None:
    """Compute the id of the network of a resolved description without parsing it.

    Correct for text as CNNGen writes it, whatever its white space; any other text gives None or
    a different id. A hundred times faster than parsing.
    """
    words = _RESOLVED.fullmatch(" ".join(text.split()))
    return None if words is None else _hash(words["text"], words["shape"], words["classes"] or "")


_RESOLVED = re.compile(
    r"(?:\w+ -> )?(?P<text>input\((?P<shape>\d+x\d+x\d+)\) .*output(?:\((?P<classes>\d+)\))?)"
)


def _hash(text: str, shape: str, classes: str) -> str:
    return hashlib.sha256(f"{text}\n{shape}\n{classes}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Branch:
    """One side of a body of a merge. Branch 0 of a network is its main column.

    `merge` numbers the merges from 1 in the order of the text, `body` the bodies of a merge,
    `place` the sides of a body; `side` is `right` for all but the first of these. `parent` is the
    branch that contains the merge. Of a merge's bodies, the right sides at one place continue each
    other.
    """

    merge: int = 0
    body: int = 0
    side: Literal["main", "left", "right"] = "main"
    parent: int = 0
    place: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class Node:
    """An operation in a network, with its inputs and the shape of its output.

    `inputs` are positions in `Network.nodes`, all smaller than the node's own. `shape` is the
    shape of the output for one example. `branch` is a position in `Network.branches`, `span`
    the range of the description that the node comes from. Raises `CnnGenError` for a name that
    has other characters than lower-case letters, digits and `_`.
    """

    name: str
    operation: Operation
    inputs: tuple[int, ...]
    shape: Shape
    branch: int = 0
    span: Span = field(default=NOWHERE, compare=False)

    def __repr__(self) -> str:
        return f"<Node {self.name}: {self.operation} -> {shapes.text(self.shape)}>"

    def __post_init__(self) -> None:
        if type(self.name) is not str or not _is_name(self.name):
            raise CnnGenError(f"{shown(self.name)} cannot be the name of an operation")

    def check(self) -> None:
        """Check the types of all fields, for a node that was unpickled or mutated.

        Raises `CnnGenError` for a field of the wrong type.
        """
        self.__post_init__()
        if not isinstance(self.operation, Operation):
            raise CnnGenError(f"{self.name} holds {shown(self.operation)}, not an operation")
        Operation.__post_init__(self.operation)
        for number in (*self.inputs, *self.shape, self.branch):
            if type(number) is not int:
                raise CnnGenError(f"{self.name} has {shown(number)} where a whole number belongs")


@dataclass(frozen=True, repr=False)
class Network:
    """An immutable graph of operations, in which every shape is known.

    `nodes` are in topological order: the first is the input, the last gives the output.
    `description` is the resolved description, which alone determines the network. It is empty
    for a graph that the language cannot describe, such as a cell of NAS-Bench-101; for these,
    `form` is a canonical text that equal networks share.
    """

    nodes: tuple[Node, ...]
    branches: tuple[Branch, ...] = (Branch(),)
    description: Description = field(default=Description(()), compare=False)
    form: str = field(default="", compare=False)
    drawn: tuple[str, int] | None = field(default=None, compare=False)
    """The space and the seed with which `sample` drew the network."""

    @classmethod
    def from_graph(
        cls,
        operations: Iterable[tuple[str, Operation, Sequence[int]]],
        name: str | None = None,
        form: str = "",
    ) -> Network:
        """Create a network from a graph, without a description.

        `operations` are triples of a name, the operation and the positions of its inputs, with
        the input of the network first. The id is computed from `form` if given.

        Names become variables of generated code. Raises `CnnGenError` for a duplicate name or
        one that is not lower case with a number in it, such as `conv1`.
        """
        nodes: list[Node] = []
        names: set[str] = set()
        for own, operation, inputs in operations:
            if nodes and (own in names or not GRAPH_NAME.fullmatch(own)):
                raise CnnGenError(f"{shown(own)} cannot be the name of an operation here")
            names.add(own)
            shape = operation.output_shape(*(nodes[i].shape for i in inputs))
            nodes.append(Node(own, operation, tuple(inputs), shape))
        return cls(tuple(nodes), description=Description((), name=name), form=form)

    @property
    def name(self) -> str | None:
        return self.description.name

    @property
    def is_described(self) -> bool:
        """Whether the network has a description that determines it."""
        return bool(self.description.features)

    @cached_property
    def sides(self) -> dict[int, tuple[int, ...]]:
        """Of each join of a described network, the branches of the sides that it joins.

        Both are positions, in `nodes` and `branches`; a join's inputs have the order of its sides.
        """
        joins = (at for at, node in enumerate(self.nodes) if node.operation.joined)
        found: dict[int, tuple[int, ...]] = {}
        open_bodies: list[list[int]] = []
        for number, branch in enumerate(self.branches[1:], 1):
            # A body has ended where a branch begins that is neither one of its sides nor in one.
            while open_bodies:
                last = self.branches[open_bodies[-1][-1]]
                goes_on = (last.merge, last.body) == (branch.merge, branch.body)
                if goes_on or open_bodies[-1][-1] == branch.parent:
                    break
                found[next(joins)] = tuple(open_bodies.pop())
            if branch.side == "left":
                open_bodies.append([])
            open_bodies[-1].append(number)
        while open_bodies:
            found[next(joins)] = tuple(open_bodies.pop())
        return found

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
        """Number of classes; None for a backbone."""
        last = self.nodes[-1]
        return last.shape[0] if last.operation.gives_logits else None

    @property
    def is_backbone(self) -> bool:
        """Whether the network has no classification head, so that it cannot be trained."""
        return self.classes is None

    @cached_property
    def id(self) -> str:
        """16 hexadecimal digits, identical for equal networks in every process.

        A hash of the resolved text without its name, the input shape and the number of
        classes. Without a description, the form or else the graph takes the place of the text.
        """
        from cnngen.language.formatter import format
        from cnngen.network.adjacency import graph

        if self.is_described:
            text = format(self.description, named=False)
        else:
            text = self.form or graph(self).to_json()
        return _hash(text, shapes.text(self.input_shape), str(self.classes or ""))

    @cached_property
    def cost(self) -> Cost:
        """Weights, multiply-adds and activations, counted from the graph."""
        from cnngen.network.cost import cost

        return cost(self)

    def input_shapes(self, node: Node) -> Sequence[Shape]:
        """Return the shapes of a node's inputs."""
        return [self.nodes[i].shape for i in node.inputs]

    def to_text(self) -> str:
        """Format the resolved description on one line."""
        from cnngen.language.formatter import format

        return format(self.description)

    def to_source(self, backend: str, *, script: bool = False) -> str:
        """Generate source code of the network with an installed backend.

        With `script`, the code has a main program that trains the network. Raises
        `BackendError` for an unknown backend.
        """
        from cnngen.system.plugins import BACKENDS

        source: str = BACKENDS.make(backend).emit(self, script=script)
        return source

    def build(self, backend: str = "torch") -> Any:
        """The untrained model in a framework: an `nn.Module`, a `keras.Model`, an `nnx.Module`.

        Raises `BackendError` for an unknown backend, one that is not installed, and one whose files
        are no models.
        """
        from cnngen.errors import BackendError
        from cnngen.system.plugins import BACKENDS

        chosen = BACKENDS.make(backend)
        if chosen.version() is None:
            raise BackendError(f"the {backend} backend is not installed", hint=chosen.install)
        chosen.prepare()
        runner = chosen.runner()
        return runner.own_model(runner.build(chosen.emit(self)))

    def to_svg(self) -> str:
        """Draw the network as SVG. Raises `CnnGenError` if it is too large to draw."""
        from cnngen.network.picture import to_svg

        return to_svg(self)

    def to_png(self, *, scale: float = 1.0) -> bytes:
        """Draw the network as PNG, with `scale` pixels for each pixel of the SVG."""
        from cnngen.network.picture import to_png

        return to_png(self, scale)

    def _repr_svg_(self) -> str | None:
        """The drawing in a notebook, which shows the text of a larger network."""
        return self.to_svg() if len(self) <= MOST_SHOWN else None

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        from cnngen.network.cost import short

        name = f" {shorten(self.name, 24)}" if self.name else ""
        weights = f"{short(self.cost.parameters)} weights"
        ends = f"{shapes.text(self.input_shape)} -> {shapes.text(self.output_shape)}"
        return f"<Network {self.id}{name}: {counted(len(self), 'layer')}, {weights}, {ends}>"
