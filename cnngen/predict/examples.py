"""Examples to learn from: networks with the results of their trainings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from math import inf, isnan
from pathlib import Path
from typing import Literal

from cnngen.errors import CnnGenError, StoreError, shorten
from cnngen.network import Network
from cnngen.runs.repeats import RepeatSpread
from cnngen.runs.trainings import NETWORK, Training, Trainings, read_trainings
from cnngen.training.protocol import Status

Target = Literal["accuracy", "time", "energy", "trainability"]

TARGETS: Mapping[Target, str] = {
    "accuracy": "test_accuracy",
    "time": "train_seconds",
    "energy": "energy_total_energy",
    "trainability": "trainability",
}
"""The targets that can be predicted, each with its column in a table of records: a share from
0 to 1, seconds, kWh, and 1 or 0 for a training that did or did not end above chance."""

TELLS: Mapping[Status, frozenset[Target]] = {
    "ok": frozenset(TARGETS),
    "dead": frozenset({"accuracy", "trainability"}),
    "time_budget": frozenset({"trainability"}),
    "nan": frozenset({"trainability"}),
    "out_of_memory": frozenset({"trainability"}),
    "error": frozenset({"trainability"}),
}
"""Of which targets a training tells, by how it ended. What was stopped early took less time and
energy than the protocol asks for, and weights that are not numbers have no accuracy. A dead
training has gone its whole way, and tells of all, unless the protocol gave it up."""

SETTING = ("backend", "protocol_name", "hardware_cpu", "hardware_gpu")

METHODS = ("energy_cpu_method", "energy_gpu_method", "energy_ram_method")

COLUMNS = (
    *(*NETWORK, *METHODS, *TARGETS.values(), *SETTING, "status", "epochs", "protocol_epochs"),
    *("data_name", "data_images", "protocol_test_share"),
)
"""All that is read of a table."""


@dataclass(frozen=True, slots=True)
class Example:
    """A network that was trained. A target is None where the training did not reach it.

    `data` names the data set, `status` says how the training ended, `setting` with what, how
    and on which machine it was done. `energy` says where that figure comes from: "modelled",
    at least in part, "measured", or "" where nothing says it. Of a network that was trained
    several times, targets are means over its `repeats`, and `spreads` says how they differ.
    """

    network: Network
    targets: Mapping[Target, float | None]
    data: str
    status: str = "ok"
    setting: str = ""
    energy: str = ""
    repeats: int = 1
    spreads: Mapping[Target, RepeatSpread] = field(default_factory=dict)


def examples(
    source: str | Path | Trainings,
    on_progress: Callable[[int, int], None] | None = None,
    on_broken: Callable[[Path, str], None] | None = None,
) -> list[Example]:
    """Read the examples of a folder of runs, or of a Parquet file with resolved descriptions.

    Of `Trainings`, the columns in `COLUMNS` must have been read. Cells of NAS-Bench-101,
    which have no description, are known by their names. A run that cannot be read, or whose
    description is not that of its record, is left out, and `on_broken` is told of it and why.
    Trainings of one network in one setting are repeats, and one example. Examples come in the
    order of the file's rows, or of the runs' keys. `on_progress` gets how many
    of how many are read. Raises `StoreError` where the source cannot be read, and
    `CnnGenError` for a row without a description, or with that of another network than its
    `id`.
    """
    trainings = source if isinstance(source, Trainings) else read_trainings(source, COLUMNS)
    read: list[Example] = []
    for number, training in enumerate(trainings, 1):
        try:
            read.append(_example(training))
        except CnnGenError as error:
            if training.run is None:
                raise
            trainings.broken.append((training.run, error.message))
        if on_progress is not None:
            on_progress(number, len(trainings))
    for run, reason in trainings.broken:
        if on_broken is not None:
            on_broken(run, reason)
    return _merged(read)


def _merged(examples: Sequence[Example]) -> list[Example]:
    """Make one example of the repeats of a network in one setting."""
    groups: dict[tuple[str, str], list[Example]] = {}
    for example in examples:
        groups.setdefault((example.network.id, example.setting), []).append(example)
    return [_mean(group) if len(group) > 1 else group[0] for group in groups.values()]


def _mean(repeats: Sequence[Example]) -> Example:
    spreads: dict[Target, RepeatSpread] = {}
    for target in TARGETS:
        figures = [one.targets[target] for one in repeats]
        if known := [figure for figure in figures if figure is not None]:
            spreads[target] = RepeatSpread.of(known)
    best = next((one for one in repeats if one.status == "ok"), repeats[0])
    targets = {target: spreads[target].mean if target in spreads else None for target in TARGETS}
    return replace(best, targets=targets, repeats=len(repeats), spreads=spreads)


def trainability(status: str, accuracy: float | None, classes: int, tested: float) -> float | None:
    """1 for a training that ended well and above chance on `tested` images, else 0.

    Chance is `cnngen.training.protocol.chance` for classes of equal size. None for a training
    that was stopped for its time before it was above chance, because it might still have got
    there, and where the accuracy is unknown, as in a table of times alone.
    """
    from cnngen.training.protocol import chance

    if status not in ("ok", "time_budget"):
        return 0.0
    each = max(1, round(tested / classes))
    if accuracy is None:
        return None
    if accuracy > chance([each] * classes):
        return 1.0
    return None if status == "time_budget" else 0.0


def status_of(given: object, origin: str) -> Status:
    """How a training ended: well, where nothing is said.

    Raises `StoreError` for an unknown status.
    """
    word = _word(given) or "ok"
    for status in TELLS:
        if status == word:
            return status
    raise StoreError(f"{origin}: has the status '{word}'", hint=f"One of: {', '.join(TELLS)}.")


def told_by(status: Status, epochs: object, asked: object) -> frozenset[Target]:
    """The targets of which a training tells that had so many epochs of those asked for."""
    is_whole = epochs is not None and epochs == asked
    return TELLS["ok" if status == "dead" and is_whole else status]


def _example(training: Training) -> Example:
    network, origin, row = training.network, training.origin, training.row
    if network.classes is None:
        raise CnnGenError(f"{origin}: is a backbone, which nobody can have trained")
    status = status_of(row.get("status"), origin)
    targets = {target: _target(target, row, origin) for target in TARGETS}
    if targets["trainability"] is None:
        share = _between(0, _number(row.get("protocol_test_share")), 1) or 0.2
        images = _between(1, _number(row.get("data_images")), 1e12) or 1000.0
        targets["trainability"] = trainability(
            status, targets["accuracy"], network.classes, share * images
        )
    told = told_by(status, row.get("epochs"), row.get("protocol_epochs"))
    targets = {target: value if target in told else None for target, value in targets.items()}
    data = _word(row.get("data_name")) or "unknown data"
    words = [_word(row.get(name)) for name in SETTING]
    setting = f"{data}, {', '.join(filter(None, words))}"
    methods = [_word(row.get(name)) for name in METHODS]
    energy = next((method for method in ("modelled", "measured") if method in methods), "")
    return Example(network, targets, data, status, setting, energy)


def _between(least: float, figure: float | None, most: float) -> float | None:
    return figure if figure is not None and least <= figure <= most else None


def _target(target: Target, row: Mapping[str, object], origin: str) -> float | None:
    """The figure of a row; None where it is missing or NaN, as in tables of pandas.

    Raises `StoreError` for anything but a possible figure of that target: nothing is guessed.
    """
    column = TARGETS[target]
    value = row.get(column)
    figure = _number(value)
    if figure is None and value is not None:
        raise StoreError(
            f"{origin}: {column} is {_quoted(value)}",
            hint="Give it as a number; convert a column of texts first.",
        )
    if figure is None or isnan(figure):
        return None
    # The ranges of all columns of records were checked when the trainings were read.
    if target == "trainability" and not 0 <= figure <= 1:
        raise StoreError(f"{origin}: {column} is {_quoted(value)}, it must be 1 or 0")
    return figure


def _quoted(value: object) -> str:
    return shorten(repr(value) if isinstance(value, str) else str(value))


def _word(value: object) -> str:
    return shorten(str(value)) if value else ""


def _number(value: object) -> float | None:
    """A number of any kind as a float; None for anything else."""
    if isinstance(value, Decimal):
        return float(value) if not value.is_snan() else None
    if isinstance(value, (bool, int, float)):
        try:
            return float(value)
        except OverflowError:
            return inf
    return None
