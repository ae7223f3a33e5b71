"""Help for authors of backends: a network as a program, and lines laid out as `ruff format` does.

`program(network)` decides which variable holds what, so that a backend only writes the
expression of each operation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from cnngen.errors import BackendError, CnnGenError, counted, shorten
from cnngen.network import Network, Node
from cnngen.network.network import GRAPH_NAME
from cnngen.operations import Conv2d, shapes
from cnngen.operations.shapes import Shape

WIDTH = 88
"""The line length of `ruff format`'s default settings."""


@dataclass(frozen=True, slots=True)
class Step:
    """`target` becomes the output of `node`, computed from the variables `sources`.

    `notes` are comments to stand above it: where nested merges and further bodies begin.
    """

    node: Node
    target: str
    sources: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Copy:
    """`target` keeps the value of `source`, which the next step overwrites."""

    target: str
    source: str


@dataclass(frozen=True, slots=True, repr=False)
class Block:
    """Steps in sequence that turn the variable `x` into `x`.

    Block 0 is the main column; a block in its steps stands for the call of one. Every
    other block is a merge of the main column, with the merges nested in it, and is named
    by the merge's number. `bodies` counts a merge's bodies, `columns` the most sides of any.
    """

    number: int
    input: Node
    output: Node
    bodies: int = 0
    columns: int = 0
    steps: list[Step | Copy | Block] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<Block {self.number}: {counted(len(self.steps), 'step')}>"

    @property
    def summary(self) -> str:
        """The docstring of a merge: how many columns and bodies, how joined, and its shapes."""
        how = self.output.operation.joined
        columns = COUNTS.get(self.columns, f"{self.columns:,}")
        bodies = f" of {self.bodies} bodies" if self.bodies > 1 else ""
        ends = f"{shapes.text(self.input.shape)} to {shapes.text(self.output.shape)}"
        return f"{columns} columns{bodies}, {how}: {ends}."


COUNTS = {2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six"}


def program(network: Network) -> Block:
    """A network as straight-line code with merges as blocks; takes time linear in its size.

    The main column lives in `x`, the two columns of a merge in `left` and `right`, more of them in
    `branch1` to `branch4`, those of merges nested in it in `left_2` and `right_2`, and so on. No
    variable is overwritten while its value is still needed. A graph without merges of the language
    is one block.

    Raises `CnnGenError` where a network holds anything but numbers, flags and words that
    operations may have, so that a backend can write its fields as they are.
    """
    check(network)
    if not network.is_described:
        return _graph(network)
    nodes, branches = network.nodes, network.branches
    depths = [0] * len(branches)
    tops = [0] * len(branches)
    for number, branch in enumerate(branches[1:], 1):
        depths[number] = depths[branch.parent] + 1
        tops[number] = tops[branch.parent] or branch.merge

    last_use = [0] * len(nodes)
    for index, node in enumerate(nodes):
        for source in node.inputs:
            last_use[source] = index
    joins: dict[int, list[int]] = {}
    columns: dict[int, int] = {}
    for index, sides in network.sides.items():
        merge = branches[sides[0]].merge
        joins.setdefault(merge, []).append(index)
        columns[merge] = max(columns.get(merge, 0), len(sides))

    def variable(merge: int, place: int, depth: int) -> str:
        if depth == 0:
            return "x"
        side = ("left", "right")[place - 1] if columns[merge] == 2 else f"branch{place}"
        return side if depth == 1 else f"{side}_{depth}"

    main = Block(0, nodes[0], nodes[-1])
    blocks = {0: main}
    held_in = ["x"] * len(nodes)
    held = {"x": 0}
    opened = {0}
    body_ended = 0
    for index, node in enumerate(nodes[1:], 1):
        here = node.branch
        is_join = node.operation.joined
        inside = network.sides[index][0] if is_join else here
        top = tops[inside]
        if top not in blocks:
            entered = nodes[node.inputs[0]]
            ends = joins[top]
            blocks[top] = Block(top, entered, nodes[ends[-1]], len(ends), columns[top])
            main.steps.append(blocks[top])
        steps = blocks[top].steps

        notes = []
        if body_ended:
            notes.append(f"Merge {body_ended}, next body: the right column goes on.")
            body_ended = 0
        entering = []
        branch = branches[inside]
        while branch.merge not in opened:
            opened.add(branch.merge)
            parent = branches[branch.parent]
            if parent.merge:
                how = nodes[joins[branch.merge][-1]].operation.joined
                entering.append(f"Merge {branch.merge}, inside merge {parent.merge}: {how}.")
            branch = parent
        notes += reversed(entering)

        target = variable(branches[here].merge, branches[here].place, depths[here])
        before = held.get(target)
        if before is not None and last_use[before] > index:
            # A column that is still empty begins with this value, and has a variable for it.
            merge = branches[inside].merge
            places = range(columns[merge], 1, -1)
            names = (variable(merge, place, depths[inside]) for place in places)
            kept = next(n for n in names if n not in held or last_use[held[n]] <= index)
            steps.append(Copy(kept, target))
            held_in[before] = kept
            held[kept] = before
        sources = tuple(held_in[source] for source in node.inputs)
        steps.append(Step(node, target, sources, tuple(notes)))
        held_in[index] = target
        held[target] = index

        if is_join:
            merge = branches[inside].merge
            if index != joins[merge][-1]:
                body_ended = merge
    return main


def check(network: Network) -> None:
    """Raises `CnnGenError` where a network holds a value that cannot stand in code."""
    description = network.description
    replace(description)  # through the checks of its name and its ends
    names: set[str] = set()
    for node in network.nodes:
        node.check()
        if names and (node.name in names or not GRAPH_NAME.fullmatch(node.name)):
            raise CnnGenError(f"'{shorten(node.name)}' cannot be the name of an operation here")
        names.add(node.name)


def _graph(network: Network) -> Block:
    """A graph as one block. Values that only the next operation reads live in `x`, others in
    variables named after their operation."""
    nodes = network.nodes
    last_use = [0] * len(nodes)
    for index, node in enumerate(nodes):
        for source in node.inputs:
            last_use[source] = index
    main = Block(0, nodes[0], nodes[-1])
    held_in = ["x"] * len(nodes)
    if last_use[0] > 1:
        held_in[0] = "images"
        main.steps.append(Copy("images", "x"))
    for index, node in enumerate(nodes[1:], 1):
        if last_use[index] > index + 1:
            held_in[index] = node.name
        sources = tuple(held_in[source] for source in node.inputs)
        main.steps.append(Step(node, held_in[index], sources))
    return main


STEPS_NOTE = "The stride comes first: on CPUs with AVX2 oneDNN's own overruns memory."


def steps_before(op: Conv2d, shape: Shape) -> str | None:
    """Indices such as `::2, ::2` that take a convolution's strides before it; None if it can.

    For a window of one pixel the two are the same, but oneDNN's weight gradient overruns memory:
    `docs/backends.md` tells when. Elsewhere indices would be slower.
    """
    strided = op.kernel == (1, 1) != op.stride and shape[2] < 8
    if not strided or shape[0] % op.stride[0] or shape[1] % op.stride[1]:
        return None
    return ", ".join(f"::{step}" if step > 1 else ":" for step in op.stride)


ONE_WIDE_NOTE = "One column needs no stride: with AVX-512 oneDNN's own reads foreign memory."


def covered_columns(op: Conv2d, shape: Shape) -> int | None:
    """How many columns of its input a convolution covers, that must not have its stride across.

    None where it may have that. Elsewhere the output is one pixel wide, so that these columns,
    padded as before, give the same without the stride: `docs/backends.md` tells of the fault.
    """
    if shape[2] != 1 or not op.stride[0] == 1 < op.stride[1] or op.output_shape(shape)[1] != 1:
        return None
    return min(op.window()[1], shape[1])


def title(network: Network) -> Iterator[str]:
    """The lines of a docstring that says what a network is, with its description.

    Raises `BackendError` where a description that was made by hand holds what no
    description's text can, so that nothing can break out of the docstring.
    """
    cost = network.cost
    ends = f"{shapes.text(network.input_shape)} images to "
    if network.classes is None:
        ends += f"{shapes.text(network.output_shape)} features"
    else:
        ends += f"{network.classes} classes"
    yield (
        f"{network.name or 'A network'}: {cost.layers:,} layers, "
        f"{cost.parameters:,} parameters, {ends}."
    )
    if not network.is_described:
        yield ""
        yield "Generated by CNNGen from a graph of operations."
        return
    text = network.to_text()
    if not text.isascii() or not text.isprintable() or '"' in text or "\\" in text:
        raise BackendError("the description holds characters that are not valid in a description")
    yield ""
    yield "Generated by CNNGen from a description that determines it alone:"
    yield ""
    for line in wrap(text, WIDTH - 4):
        yield "    " + line


def wrap(text: str, width: int) -> Iterator[str]:
    """Lines of at most `width` characters, broken at spaces; longer words stand alone."""
    start = 0
    while len(text) - start > width:
        end = text.rfind(" ", start, start + width + 1)
        if end < 0:
            end = text.find(" ", start + width)
            if end < 0:
                break
        yield text[start:end]
        start = end + 1
    yield text[start:]


def call(before: str, arguments: Sequence[str], after: str = "", indent: int = 4) -> list[str]:
    """The lines of `before(arguments)after`, wrapped as `ruff format` wraps a call.

    On one line if it fits, else the arguments on a line of their own, else each on one.
    """
    margin = " " * indent
    joined = ", ".join(arguments)
    line = f"{margin}{before}({joined}){after}"
    if len(line) <= WIDTH:
        return [line]
    if indent + 4 + len(joined) <= WIDTH:
        inner = [f"{margin}    {joined}"]
    else:
        inner = [f"{margin}    {argument}," for argument in arguments]
    return [f"{margin}{before}(", *inner, f"{margin}){after}"]


def long_sum(assign: str, terms: Sequence[str], after: str, indent: int = 8) -> list[str]:
    """The lines of `assign` with a sum too long for one, wrapped as `ruff format` wraps it."""
    margin, inner = " " * indent, " " * (indent + 4)
    rows = [inner + " + ".join(terms)]
    if len(rows[0]) > WIDTH:
        rows = [f"{inner}{terms[0]}", *(f"{inner}+ {term}" for term in terms[1:])]
    return [f"{margin}{assign} (", *rows, f"{margin}){after}"]


def remark(line: str, comment: str) -> list[str]:
    """A line with a comment behind it, or above it where that would be too long."""
    together = f"{line}  # {comment}"
    if len(together) <= WIDTH:
        return [together]
    margin = " " * (len(line) - len(line.lstrip()))
    return [f"{margin}# {comment}", line]
