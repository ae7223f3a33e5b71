"""The part of emitting source that is the same for every framework.

A backend gives a table of what each operation becomes, and how one statement looks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from cnngen.backend.program import Block, Copy, Step, program, remark, title
from cnngen.errors import BackendError
from cnngen.network import Network
from cnngen.operations import OperationTable, shapes
from cnngen.operations.shapes import Shape

Layer = TypeVar("Layer")

LayerTable = OperationTable[Callable[[Any, Shape], Layer]]
"""From each operation to a function that gives its layer, of the operation and the shape of its
first input."""


class Renderer(ABC, Generic[Layer]):
    """One network on its way to source, for a backend to derive from.

    Raises `BackendError` for an operation that the backend's table lacks.
    """

    table: ClassVar[LayerTable[Any]]

    merge: ClassVar[str]
    """The line that begins the function of a merge, with `{number}` in it."""

    called: ClassVar[str] = "self.merge{number}(x)"
    """The call of that function."""

    between: ClassVar[int] = 1
    """Blank lines before a function."""

    def __init__(self, network: Network, *, script: bool = False, weights: str = "") -> None:
        self.network = network
        self.script = script
        self.weights = weights
        self.main = program(network)
        self.layers: dict[str, Layer] = layers(network, self.table)

    @classmethod
    def emit(cls, network: Network, *, script: bool = False, weights: str = "") -> str:
        """The whole file; with `script` it trains the network when it is run.

        With `weights`, the name of a file beside it, it has a function that loads them.

        Raises `BackendError` for the script of a backbone, which has nothing to train on.
        """
        if script and network.is_backbone:
            raise BackendError(
                "a backbone cannot be trained, so it has no script",
                hint="Give the description a classification, or leave the script out.",
            )
        return file_text(network, cls(network, script=script, weights=weights).lines())

    @abstractmethod
    def lines(self) -> list[str]:
        """The lines of the file below its docstring."""

    @abstractmethod
    def statement(self, assign: str, step: Step, layer: Layer) -> list[str]:
        """The lines of one operation; `assign` is `return`, or as `x =`."""

    @property
    def margin(self) -> str:
        """The spaces before a statement."""
        return " " * (4 + len(self.merge) - len(self.merge.lstrip()))

    def merges(self) -> list[str]:
        """The functions of all merges, with the blank lines before them."""
        lines: list[str] = []
        for block in self.main.steps:
            if isinstance(block, Block):
                lines += [""] * self.between
                lines.append(self.merge.format(number=block.number))
                lines.append(f'{self.margin}"""{block.summary}"""')
                lines += self.body(block)
        return lines

    def body(self, block: Block, *, returns: bool = True) -> list[str]:
        """The statements of a function, the last of which returns its value."""
        lines: list[str] = []
        last = block.steps[-1] if returns else None
        for step in block.steps:
            match step:
                case Copy(target, source):
                    lines.append(f"{self.margin}{target} = {source}")
                case Block():
                    assign = "return" if step is last else "x ="
                    call = f"{self.margin}{assign} {self.called.format(number=step.number)}"
                    lines += remark(call, shapes.text(step.output.shape))
                case Step(node, target, _, notes):
                    assign = "return" if step is last else f"{target} ="
                    lines += [f"{self.margin}# {note}" for note in notes]
                    lines += self.statement(assign, step, self.layers[node.name])
        return lines

    @property
    def learns_kernels(self) -> bool:
        """Whether any operation has a kernel, which begins Glorot-uniform."""
        return any(node.operation.learns_kernel for node in self.network.nodes)


def layers(network: Network, table: LayerTable[Layer]) -> dict[str, Layer]:
    """The layer of each operation but the input, by the operation's name."""
    return {
        node.name: table.of(node.operation)(node.operation, network.nodes[node.inputs[0]].shape)
        for node in network.nodes[1:]
    }


def file_text(network: Network, lines: Sequence[str]) -> str:
    """The text of a file: a docstring that says what the network is, and the lines."""
    return "\n".join(['"""' + "\n".join(title(network)), '"""', "", *lines, ""])


def pair(extent: tuple[int, int]) -> str:
    """A height and a width as code: one number for a square."""
    return f"{extent[0]}" if extent[0] == extent[1] else f"({extent[0]}, {extent[1]})"


def batch(shape: Sequence[int]) -> str:
    """The shape of a batch for a docstring: `(batch, 32, 32, 3)`."""
    return f"(batch, {', '.join(map(str, shape))})"
