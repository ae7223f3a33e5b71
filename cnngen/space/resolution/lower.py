"""Lowers a resolved description to the graph of its network."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from cnngen.errors import CnnGenError, LayerError, Span
from cnngen.language.tree import Description, Layer, Merge
from cnngen.network import Branch, Network, Node
from cnngen.operations import WORDS, Add, Concat, Input, Operation


@dataclass(slots=True)
class _OpenMerge:
    """A merge being lowered: the current ends of its columns, and of the sides of an open body."""

    number: int
    mode: str | None
    main: int
    parent: int
    span: Span
    body: int = 0
    columns: list[int] = field(default_factory=list)
    sides: list[int] = field(default_factory=list)

    def start(self) -> int:
        """Where the next side of a body begins: the first at the join before, another where the
        side at its place ended in the body before."""
        place = len(self.sides)
        return self.columns[place] if 0 < place < len(self.columns) else self.main


def lower(description: Description) -> Network:
    """Build the network of a resolved description.

    All hyper-parameters, the input shape and the merge modes must be fixed, as `resolve` does.
    """
    assert description.input_shape is not None
    nodes: list[Node] = []
    branches = [Branch()]
    counts: Counter[str] = Counter()
    merges: list[_OpenMerge] = []
    merge_number = branch = current = 0

    def append(operation: Operation, inputs: tuple[int, ...], span: Span) -> int:
        stem = operation.stem
        counts[stem] += 1
        name = stem if stem == "input" else f"{stem}{counts[stem]}"
        try:
            shape = operation.output_shape(*[nodes[i].shape for i in inputs])
        except CnnGenError as error:
            raise _located(error, span) from None
        nodes.append(Node(name, operation, inputs, shape, branch, span))
        return len(nodes) - 1

    def _located(error: CnnGenError, span: Span) -> LayerError:
        source = description.source
        return LayerError(
            error.message, hint=error.hint, source=source, span=span if source else None
        )

    append(Input(description.input_shape), (), description.input_span)
    for item in description.walk():
        match item:
            case Layer():
                try:
                    operations = WORDS[item.kind].build(item.parameters)
                except CnnGenError as error:
                    raise _located(error, item.span) from None
                for operation in operations:
                    current = append(operation, (current,), item.span)
            case Merge():
                merge_number += 1
                merges.append(_OpenMerge(merge_number, item.mode, current, branch, item.span))
            case "(" | ",":
                merge = merges[-1]
                if item == "(":
                    merge.body += 1
                else:
                    merge.sides.append(current)
                current = merge.start()
                branch = len(branches)
                branches.append(
                    Branch(
                        merge.number,
                        merge.body,
                        "right" if merge.sides else "left",
                        merge.parent,
                        len(merge.sides) + 1,
                    )
                )
            case ")":
                merge = merges[-1]
                merge.columns, merge.sides = [*merge.sides, current], []
                branch = merge.parent
                join = Add() if merge.mode == "add" else Concat()
                current = merge.main = append(join, tuple(merge.columns), merge.span)
            case "]":
                merges.pop()
    return Network(tuple(nodes), tuple(branches), description)
