"""Lowers a resolved description to the graph of its network."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from cnngen.errors import CnnGenError, LayerError, Span
from cnngen.language.tree import Description, Layer, Merge
from cnngen.network import Branch, Network, Node
from cnngen.operations import WORDS, Add, Concat, Input, Operation


@dataclass(slots=True)
class _OpenMerge:
    """A merge being lowered, with the current ends of its two columns."""

    number: int
    mode: str | None
    main: int
    right: int
    parent: int
    span: Span
    body: int = 0
    left: int = 0


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
                merges.append(
                    _OpenMerge(merge_number, item.mode, current, current, branch, item.span)
                )
            case "(":
                merge = merges[-1]
                merge.body += 1
                current = merge.main
                branch = len(branches)
                branches.append(Branch(merge.number, merge.body, "left", merge.parent))
            case ",":
                merge = merges[-1]
                merge.left, current = current, merge.right
                branch = len(branches)
                branches.append(Branch(merge.number, merge.body, "right", merge.parent))
            case ")":
                merge = merges[-1]
                merge.right, branch = current, merge.parent
                join = Add() if merge.mode == "add" else Concat()
                current = merge.main = append(join, (merge.left, merge.right), merge.span)
            case "]":
                merges.pop()
    return Network(tuple(nodes), tuple(branches), description)
