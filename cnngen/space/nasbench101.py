"""NAS-Bench-101: its cells, and the networks built from them.

The search space of Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture
Search" (2019, https://arxiv.org/abs/1902.09635), section 2, with the rules for channels and
projections of the reference implementation, google-research/nasbench. The language cannot
describe a cell, whose vertices may be connected to any later vertex.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations, permutations
from random import Random
from typing import Literal, get_args

from cnngen.errors import CnnGenError, shorten
from cnngen.network import Network
from cnngen.operations import (
    Activate,
    Add,
    BatchNorm,
    Concat,
    Conv2d,
    Dense,
    GlobalPool,
    Input,
    Operation,
    Pool,
    Truncate,
)
from cnngen.operations.shapes import Shape

Label = Literal["conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"]
LABELS: tuple[Label, ...] = get_args(Label)

MAX_VERTICES = 7
MAX_EDGES = 9
MAX_MATRIX = 32
"""Most vertices of a matrix before those are pruned that lie on no path."""
STACKS = 3
CELLS = 3
"""Number of cells in a stack. From stack to stack, channels double, height and width halve."""
STEM = 128
"""Channels of the first stack of the published networks."""
EPSILON = 1e-5
SPACE = "nasbench101"
"""Name of the space in records of cells."""

LETTERS = dict(zip("31m", LABELS, strict=True))
NAME = re.compile(rf"{SPACE}_([2-7])_([0-9a-f]{{1,6}})_([31m]{{0,5}})_stem(\d{{1,4}})")


@dataclass(frozen=True, slots=True)
class Cell:
    """A graph of up to 7 vertices and 9 edges, from the first vertex, the input, to the last,
    the output. Vertices that lie on no path between the two are pruned first.

    `matrix[i][j]` is 1 for an edge from i to a later j; `labels` are those of the vertices
    between the ends. Raises `CnnGenError` for a graph that is not a cell of NAS-Bench-101.
    """

    matrix: tuple[tuple[int, ...], ...]
    labels: tuple[Label, ...]

    def __init__(self, matrix: Sequence[Sequence[int]], operations: Sequence[str]) -> None:
        """Create a cell. `operations` labels all vertices, `input` first and `output` last."""
        edges, labels = _checked(matrix, operations)
        kept = _between(edges)
        pruned = tuple(tuple(edges[i][j] for j in kept) for i in kept)
        object.__setattr__(self, "matrix", pruned)
        object.__setattr__(self, "labels", tuple(labels[i - 1] for i in kept[1:-1]))
        if len(pruned) > MAX_VERTICES:
            raise CnnGenError(f"a cell has at most {MAX_VERTICES} vertices on its paths")
        if sum(map(sum, pruned)) > MAX_EDGES:
            raise CnnGenError(f"a cell has at most {MAX_EDGES} edges")

    @property
    def operations(self) -> tuple[str, ...]:
        """The labels of all vertices."""
        return ("input", *self.labels, "output")

    @property
    def hash(self) -> str:
        """The MD5 hash by which NAS-Bench-101 knows the cell; equal for isomorphic cells.

        Each vertex begins with its number of outputs and inputs and its label, and takes up the hashes
        of its neighbours as often as there are vertices (section 2 of the paper, and `hash_module` of
        google-research/nasbench).
        """
        size = len(self.matrix)
        labels = [-1, *map(LABELS.index, self.labels), -2]
        outputs = [[j for j in range(size) if self.matrix[i][j]] for i in range(size)]
        inputs = [self.inputs(i) for i in range(size)]
        hashes = [_md5(str((len(outputs[i]), len(inputs[i]), labels[i]))) for i in range(size)]
        for _ in range(size):
            hashes = [
                _md5(
                    "".join(sorted(hashes[j] for j in inputs[i]))
                    + "|"
                    + "".join(sorted(hashes[j] for j in outputs[i]))
                    + f"|{hashes[i]}"
                )
                for i in range(size)
            ]
        return _md5(str(sorted(hashes)))

    def inputs(self, vertex: int) -> list[int]:
        """Return the inputs of a vertex, in order."""
        return [i for i in range(vertex) if self.matrix[i][vertex]]

    def channels(self, given: int, wanted: int) -> list[int]:
        """Compute the channels of each vertex, from `given` input channels to `wanted` outputs.

        The output channels are divided among the inputs of the output vertex, the first of them
        taking the remainder; any other vertex has as many as the widest vertex that reads it.
        """
        last = len(self.matrix) - 1
        counts = [given, *[0] * (last - 1), wanted]
        joined = [i for i in self.inputs(last) if i]
        for rank, vertex in enumerate(joined):
            counts[vertex] = wanted // len(joined) + (rank < wanted % len(joined))
        for vertex in range(last - 1, 0, -1):
            if not self.matrix[vertex][last]:
                readers = [j for j in range(vertex + 1, last) if self.matrix[vertex][j]]
                counts[vertex] = max(counts[j] for j in readers)
        return counts

    def name(self, stem: int = STEM) -> str:
        """Encode the cell as an identifier, which `from_name` decodes."""
        letters = {label: letter for letter, label in LETTERS.items()}
        ops = "".join(letters[label] for label in self.labels)
        bits = "".join(str(edge) for i, row in enumerate(self.matrix) for edge in row[i + 1 :])
        return f"{SPACE}_{len(self.matrix)}_{int(bits, 2):x}_{ops}_stem{stem}"

    @classmethod
    def from_name(cls, name: str) -> tuple[Cell, int]:
        """Decode a cell and the channels of its stem from the result of `name`.

        Raises `CnnGenError` for any other text.
        """
        match = NAME.fullmatch(name)
        size = int(match[1]) if match else 0
        pairs = [(i, j) for i in range(size) for j in range(i + 1, size)]
        if match is None or int(match[2], 16) >> len(pairs) or len(match[3]) != size - 2:
            raise CnnGenError(f"'{shorten(name)}' is not the name of a NAS-Bench-101 cell")
        bits = f"{int(match[2], 16):0{len(pairs)}b}"
        matrix = [[0] * size for _ in range(size)]
        for (i, j), bit in zip(pairs, bits, strict=True):
            matrix[i][j] = int(bit)
        labels = [LETTERS[letter] for letter in match[3]]
        return cls(matrix, ["input", *labels, "output"]), int(match[4])


def cell_network(
    cell: Cell,
    *,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    stem: int = STEM,
) -> Network:
    """Build the network of nine cells: a 3x3 convolution to `stem` channels, three stacks of
    three cells, max pooling before the second and third, global average pooling, dense.

    The published networks classify CIFAR-10 and have a stem of 128. Networks of isomorphic
    cells have the same id, although remainders of channels may go to different vertices. Raises
    `CnnGenError` for a stem so narrow that a vertex is left without channels.
    """
    graph = _Graph(input_shape)
    value = graph.conv_bn_relu("stem1", 0, 3, stem)
    channels = stem
    for stack in range(STACKS):
        if stack:
            channels *= 2
            pool = Pool("max", (2, 2), (2, 2), "same")
            value = graph.append(f"downsample{stack}", pool, value)
        for number in range(stack * CELLS + 1, (stack + 1) * CELLS + 1):
            value = _append_cell(graph, cell, f"cell{number}", value, channels)
    value = graph.append("pool1", GlobalPool("avg"), value)
    graph.append("dense1", Dense(classes), value)
    form = f"{SPACE} {canonical(cell)} {stem}"
    return Network.from_graph(graph.operations, cell.name(stem), form)


def sample_cell(seed: int = 0) -> Cell:
    """Draw a cell with equal probability for each of the 423,624 isomorphism classes."""
    random = Random(seed)
    sizes = range(2, MAX_VERTICES + 1)
    # Weighted by the number of labelled matrices of each size, most of which are rejected.
    weights = [2 ** (size * (size - 1) // 2) * len(LABELS) ** (size - 2) for size in sizes]
    ends = list(accumulate(weights))
    while True:
        size = sizes[bisect(ends, random.random() * ends[-1])]
        matrix = [[int(j > i and random.random() < 0.5) for j in range(size)] for i in range(size)]
        labels = [LABELS[int(random.random() * len(LABELS))] for _ in range(size - 2)]
        if sum(map(sum, matrix)) > MAX_EDGES or not _is_whole(matrix):
            continue
        cell = Cell(matrix, ["input", *labels, "output"])
        if random.random() * len(_forms(cell)) < 1:  # the number of its matrices
            return cell


def sample_cells(count: int, seed: int = 0) -> Iterator[Cell]:
    """Draw cells, no two of them isomorphic. A larger `count` only extends the list."""
    seen: set[str] = set()
    number = 0
    while len(seen) < count:
        cell = sample_cell(Random(f"{seed} {number}").getrandbits(64))
        number += 1
        form = canonical(cell)
        if form not in seen:
            seen.add(form)
            yield cell


def canonical(cell: Cell) -> str:
    """Return a canonical text, equal for two cells if and only if they are isomorphic."""
    return min(_forms(cell))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _forms(cell: Cell) -> set[str]:
    """Yield the cell as text in each order of its vertices that keeps its matrix triangular."""
    last = len(cell.matrix) - 1
    forms = set()
    for order in permutations(range(1, last)):
        at = [0, *order, last]
        if not any(cell.matrix[j][i] for i, j in combinations(at, 2)):
            labels = ",".join(cell.labels[i - 1] for i in order)
            forms.add(labels + "".join(str(cell.matrix[i][j]) for i, j in combinations(at, 2)))
    return forms


def _is_whole(matrix: Sequence[Sequence[int]]) -> bool:
    """Return whether no vertex would be pruned: each has an input and an output."""
    return all(any(row) for row in matrix[:-1]) and all(
        any(column) for column in list(zip(*matrix, strict=True))[1:]
    )


class _Graph:
    """The operations of a network under construction. `append` returns the new position."""

    def __init__(self, input_shape: tuple[int, int, int]) -> None:
        self.operations: list[tuple[str, Operation, tuple[int, ...]]] = []
        self.shapes: list[Shape] = []
        self.append("input", Input(input_shape))

    def append(self, name: str, operation: Operation, *inputs: int) -> int:
        self.operations.append((name, operation, inputs))
        self.shapes.append(operation.output_shape(*(self.shapes[i] for i in inputs)))
        return len(self.shapes) - 1

    def channels(self, value: int) -> int:
        return self.shapes[value][-1]

    def conv_bn_relu(self, name: str, value: int, kernel: int, channels: int) -> int:
        value = self.append(f"{name}_conv", Conv2d(channels, (kernel, kernel), bias=False), value)
        value = self.append(f"{name}_norm", BatchNorm(EPSILON), value)
        return self.append(f"{name}_relu", Activate("relu"), value)

    def join(self, name: str, operation: Operation, values: list[int]) -> int:
        return values[0] if len(values) == 1 else self.append(name, operation, *values)

    def truncated(self, name: str, value: int, channels: int) -> int:
        if self.channels(value) == channels:
            return value
        return self.append(name, Truncate(channels), value)


def _append_cell(graph: _Graph, cell: Cell, name: str, entered: int, channels: int) -> int:
    """Append a cell and return the position of its output.

    A vertex sums its inputs and applies its operation. The input of the cell passes a 1x1
    projection for each vertex that reads it; other inputs are truncated to the channels of the
    vertex. The output concatenates its inputs, and adds the projected input if it reads it.
    """
    counts = cell.channels(graph.channels(entered), channels)
    if not all(counts):
        raise CnnGenError("the stem is too narrow: it leaves a vertex of the cell without channels")
    last = len(cell.matrix) - 1
    values = [entered]
    for vertex in range(1, last):
        own = f"{name}_v{vertex}"
        read = [
            graph.truncated(f"{own}_from{source}", values[source], counts[vertex])
            for source in cell.inputs(vertex)
            if source
        ]
        if cell.matrix[0][vertex]:
            read.append(graph.conv_bn_relu(f"{own}_in", entered, 1, counts[vertex]))
        value = graph.join(f"{own}_add", Add(), read)
        match cell.labels[vertex - 1]:
            case "conv3x3-bn-relu":
                value = graph.conv_bn_relu(own, value, 3, counts[vertex])
            case "conv1x1-bn-relu":
                value = graph.conv_bn_relu(own, value, 1, counts[vertex])
            case "maxpool3x3":
                value = graph.append(f"{own}_pool", Pool("max", (3, 3), (1, 1), "same"), value)
        values.append(value)
    ends = [values[source] for source in cell.inputs(last) if source]
    put_out = [graph.join(f"{name}_concat", Concat(), ends)] if ends else []
    if cell.matrix[0][last]:
        put_out.append(graph.conv_bn_relu(f"{name}_in", entered, 1, channels))
    return graph.join(f"{name}_add", Add(), put_out)


def _checked(
    matrix: Sequence[Sequence[int]], operations: Sequence[str]
) -> tuple[list[list[int]], list[Label]]:
    """Return the checked matrix and inner labels. Raises `CnnGenError` for an invalid cell."""
    size = len(matrix)
    if not 2 <= size <= MAX_MATRIX or any(len(row) != size for row in matrix):
        raise CnnGenError(f"the matrix of a cell is square, of 2 to {MAX_MATRIX} vertices")
    rows = [[int(edge) for edge in row] for row in matrix]
    if any(rows[i][j] not in ((0, 1) if j > i else (0,)) for i in range(size) for j in range(size)):
        raise CnnGenError("the matrix of a cell is upper triangular, of 0 and 1")
    labels: list[Label] = []
    for name in operations[1:-1]:
        label = next((label for label in LABELS if label == name), None)
        if label is None:
            raise CnnGenError(
                f"unknown operation '{shorten(str(name))}' in a cell",
                hint=f"Known: {', '.join(LABELS)}.",
            )
        labels.append(label)
    if len(operations) != size or (operations[0], operations[-1]) != ("input", "output"):
        raise CnnGenError("a cell's operations are input, one for each vertex between, output")
    return rows, labels


def _between(matrix: list[list[int]]) -> list[int]:
    """Return the vertices that lie on a path from the first to the last.

    Raises `CnnGenError` if there is no path.
    """
    size = len(matrix)
    after, before = {0}, {size - 1}
    for j in range(size):
        if any(matrix[i][j] for i in after):
            after.add(j)
    for i in reversed(range(size)):
        if any(matrix[i][j] for j in before):
            before.add(i)
    if size - 1 not in after:
        raise CnnGenError("no path leads from the cell's input to its output")
    return sorted(after & before)
