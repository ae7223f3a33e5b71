"""Writes rows of operations as words of the language, by what may stand where.

A row is the main column, a side of a merge, or the head. Its operations are letters, a word is a few
letters, and `ROWS` says which word may follow which. Where several readings are possible, the first
in `READINGS` is taken from the left: `convbn conv` rather than `conv bnconv`, which are one network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnngen.errors import ModelError
from cnngen.importing.columns import ColumnItem, Fork
from cnngen.importing.matching import MatchedStep
from cnngen.language.tree import Layer
from cnngen.operations import (
    Activate,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Operation,
    Pool,
    is_usual,
)

LETTERS: dict[type[Operation], str] = {
    Conv2d: "c",
    BatchNorm: "n",
    Activate: "a",
    Dropout: "d",
    Pool: "p",
    Flatten: "f",
    GlobalPool: "g",
    Dense: "D",
}
"""The letter of each operation; that of a merge is M, that of a convolution without an
activation L."""

MERGE = "M"


def _given(operation: Operation, *hidden: str) -> dict[str, Any]:
    """The hyper-parameters that a text writes of an operation."""
    return {
        name: getattr(operation, name)
        for name in operation.field_names()
        if name not in hidden and not is_usual(name, getattr(operation, name))
    }


def _of(word: str, *hidden: str, **more: Any) -> Callable[..., Layer]:
    """The word with the hyper-parameters of all its operations, those behind before the ones ahead."""

    def layer(*operations: Operation) -> Layer:
        parameters: dict[str, Any] = {}
        for operation in operations:
            parameters |= _given(operation, *hidden)
        return Layer(word, parameters | more)

    return layer


def _with_order(word: str, order: str, place: int) -> Callable[..., Layer]:
    """A word whose activation is an operation of its own, at a place among them."""

    def layer(*operations: Operation) -> Layer:
        plain = [*operations[:place], *operations[place + 1 :]]
        activation = _given(operations[place])
        return Layer(word, {**_of(word)(*plain).parameters, **activation, "order": order})

    return layer


def _pooling(operation: Operation) -> Layer:
    kinds = {Pool: "{}_pooling", GlobalPool: "global_{}_pooling"}
    pooling: Any = operation
    return Layer(kinds[type(operation)].format(pooling.pooling), _given(operation, "pooling"))


@dataclass(frozen=True, slots=True)
class WordReading:
    """A word by the letters of its operations; `kind` is what it counts as in a row.

    `write` gives the layer of its operations; a merge, which has none, is no layer.
    """

    letters: str
    kind: str
    write: Callable[..., Layer] | None


READINGS = (
    WordReading("Lna", "conv", _with_order("convbn", "conv_norm_act", 2)),
    WordReading("naL", "conv", _with_order("bnconv", "norm_act_conv", 1)),
    WordReading("Ln", "conv", _of("convbn")),
    WordReading("cn", "conv", _of("convbn")),
    WordReading("nL", "conv", _of("bnconv")),
    WordReading("nc", "conv", _of("bnconv")),
    WordReading("L", "conv", _of("conv")),
    WordReading("c", "conv", _of("conv")),
    WordReading("n", "alone", _of("BatchNormalisation")),
    WordReading("a", "alone", _of("activate")),
    WordReading("d", "dropout", _of("dropout")),
    WordReading("p", "pooling", _pooling),
    WordReading("f", "interstice", _of("flatten")),
    WordReading("g", "interstice", _pooling),
    WordReading("D", "dense", _of("dense")),
    WordReading(MERGE, "merge", None),
)


@dataclass(frozen=True, slots=True)
class RowRule:
    """What may follow what: for each state, the state that a kind of word leads to.

    The first state is where a row begins; it may end in those of `ends`. `rule` is for people.
    """

    moves: Mapping[str, Mapping[str, str]]
    ends: frozenset[str]
    rule: str


_CORES = {"conv": "core", "alone": "core", "merge": "core"}

MAIN = RowRule(
    {
        "begin": _CORES,
        "core": {**_CORES, "dropout": "dropped", "pooling": "pooled"},
        "dropped": {**_CORES, "pooling": "pooled"},
        "pooled": {**_CORES, "dropout": "late"},
        "late": _CORES,
    },
    frozenset(("core", "dropped", "pooled", "late")),
    "in the main column, a convolution, norm, activation or merge comes first, then at most one "
    "dropout, one pooling and one more dropout",
)
LEFT = RowRule(
    {
        "begin": {"pooling": "first", "conv": "conv", "merge": "merge"},
        "first": {"conv": "conv", "merge": "merge"},
        "conv": {"conv": "conv", "merge": "merge", "dropout": "merge", "pooling": "last"},
        "merge": {"conv": "conv", "merge": "merge", "pooling": "last"},
        "last": {},
    },
    frozenset(("conv", "merge", "last")),
    "the left side of a merge holds convolutions, with their norms and a dropout each, and merges; "
    "a pooling stands first or last",
)
RIGHT = RowRule(
    {"begin": {"conv": "begin"}},
    frozenset(("begin",)),
    "the right side of a merge holds convolutions alone, with their norms",
)
BRANCH = RowRule(
    {**MAIN.moves, "begin": {**_CORES, "pooling": "pooled"}},
    MAIN.ends,
    "a branch of a merge holds what the main column holds, or a pooling first",
)
HEAD = RowRule(
    {
        "begin": {"interstice": "open"},
        "open": {"dropout": "ready", "dense": "dense"},
        "ready": {"dense": "dense"},
        "dense": {"dropout": "ready", "dense": "dense"},
    },
    frozenset(("dense",)),
    "behind the flattening or global pooling stand dense layers alone, with at most one dropout "
    "before each",
)


def letters_of(steps: Sequence[MatchedStep], row: Sequence[ColumnItem]) -> str:
    """A letter for each item of a row."""
    letters = ""
    for item in row:
        if isinstance(item, Fork):
            letters += MERGE
            continue
        operation = steps[item].operation
        letter = LETTERS[type(operation)]
        letters += "L" if letter == "c" and operation.nonlinearity == "linear" else letter
    return letters


def readings(letters: str, row: RowRule) -> list[WordReading] | int:
    """The words of a row, or the position of the first letter that cannot stand where it does: the
    row's length where it cannot end."""
    begin = next(iter(row.moves))
    states = list(row.moves)
    # From the end: which states can still reach it.
    ends = [dict.fromkeys(states, False) for _ in range(len(letters) + 1)]
    ends[-1] = {state: state in row.ends for state in states}
    for at in range(len(letters) - 1, -1, -1):
        for reading in READINGS:
            if letters.startswith(reading.letters, at):
                there = ends[at + len(reading.letters)]
                for state in states:
                    to = row.moves[state].get(reading.kind)
                    ends[at][state] |= to is not None and there[to]
    if not ends[0][begin]:
        return _furthest(letters, row)
    words, at, state = [], 0, begin
    while at < len(letters):
        for reading in READINGS:
            to = row.moves[state].get(reading.kind)
            after = at + len(reading.letters)
            if to is not None and letters.startswith(reading.letters, at) and ends[after][to]:
                words.append(reading)
                at, state = after, to
                break
    return words


def _furthest(letters: str, row: RowRule) -> int:
    reached: list[set[str]] = [set() for _ in range(len(letters) + 1)]
    reached[0] = {next(iter(row.moves))}
    furthest = 0
    for at, states in enumerate(reached):
        if states:
            furthest = at
        for reading in READINGS:
            if letters.startswith(reading.letters, at):
                for state in states:
                    if (to := row.moves[state].get(reading.kind)) is not None:
                        reached[at + len(reading.letters)].add(to)
    return furthest


def misfit(
    steps: Sequence[MatchedStep], items: Sequence[ColumnItem], row: RowRule
) -> ModelError | None:
    """Why a row cannot be written; None if it can, as an empty side can but a left one."""
    if not items and row in (RIGHT, BRANCH):
        return None
    if not items:
        return ModelError(row.rule)
    try:
        row_layers(steps, items, row)
    except ModelError as error:
        return error
    return None


def row_layers(
    steps: Sequence[MatchedStep], items: Sequence[ColumnItem], row: RowRule
) -> list[tuple[Layer | None, Sequence[ColumnItem]]]:
    """The layers of a row, each with its items; None for a merge.

    Raises `ModelError` that names the first operation which cannot stand where it does.
    """
    found = readings(letters_of(steps, items), row)
    if isinstance(found, int):
        item = items[min(found, len(items) - 1)]
        step = steps[item.bodies[-1].join if isinstance(item, Fork) else item]
        place = "where it does" if found < len(items) else "last"
        raise ModelError(f"{step.where} cannot stand {place}: {row.rule}")
    layers: list[tuple[Layer | None, Sequence[ColumnItem]]] = []
    at = 0
    for reading in found:
        own = items[at : at + len(reading.letters)]
        at += len(reading.letters)
        if reading.write is None:
            layers.append((None, own))
        else:
            operations = [steps[item].operation for item in own if isinstance(item, int)]
            layers.append((reading.write(*operations), own))
    return layers
