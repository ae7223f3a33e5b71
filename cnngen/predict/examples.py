"""Examples to learn from: networks, and what their trainings gave."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import inf, isfinite, isnan
from pathlib import Path
from typing import Literal

from cnngen.errors import CnnGenError, StoreError, shorten
from cnngen.network import Network
from cnngen.training.protocol import Status

Target = Literal["accuracy", "time", "energy", "trainability"]

TARGETS: Mapping[Target, str] = {
    "accuracy": "test_accuracy",
    "time": "train_seconds",
    "energy": "energy_total_energy",
    "trainability": "trainability",
}
"""What can be predicted, and the column of a table of records that holds it: a share from 0
to 1, seconds, kWh, and 1 or 0 for a training that did or did not end above chance."""

TELLS: Mapping[Status, frozenset[Target]] = {
    "ok": frozenset(TARGETS),
    "dead": frozenset({"accuracy", "trainability"}),
    "time_budget": frozenset({"trainability"}),
    "nan": frozenset({"trainability"}),
    "out_of_memory": frozenset({"trainability"}),
    "error": frozenset({"trainability"}),
}
"""Of which targets a training tells, by how it ended. What was stopped early took less time and
energy than the protocol asks for, and weights that are no numbers have no accuracy. A dead
training has gone its whole way, and tells of all, unless the protocol gave it up."""

LIMITS: Mapping[Target, float] = {"accuracy": 1, "time": inf, "energy": inf, "trainability": 1}
"""The largest value of each target; the least is 0."""

DESCRIPTIONS = ("description", "text")
"""Columns of resolved descriptions: in a shipped data set, and in a folder's index."""

SETTING = ("backend", "protocol_name", "hardware_cpu")

METHODS = ("energy_cpu_method", "energy_gpu_method", "energy_ram_method")

COLUMNS = (
    *METHODS,
    *(*DESCRIPTIONS, *TARGETS.values(), *SETTING, "status", "epochs", "protocol_epochs"),
    *(
        "id",
        "name",
        "data_name",
        "data_shape",
        "data_classes",
        "data_images",
        "protocol_test_share",
    ),
)
"""All that is read of a table."""

MAX_TEXT = 2**26
"""Most characters of a description that are read: as long a text as the language takes."""


@dataclass(frozen=True, slots=True)
class Example:
    """A network that was trained. A target is None where the training did not reach it.

    `data` names the data set, `status` says how the training ended, `setting` with what, how
    and on which machine it was done. `energy` says where that figure comes from: "modelled",
    at least in part, "measured", or "" where nothing says it.
    """

    network: Network
    targets: Mapping[Target, float | None]
    data: str
    status: str = "ok"
    setting: str = ""
    energy: str = ""


def examples(
    source: str | Path,
    on_progress: Callable[[int, int], None] | None = None,
    on_broken: Callable[[Path, str], None] | None = None,
) -> list[Example]:
    """The examples of a folder of runs, or of a Parquet file with resolved descriptions.

    Cells of NAS-Bench-101, which have no description, are known by their names. A run that
    cannot be read, or whose description is not that of its record, is left out, and `on_broken`
    is told of it and why. Rows come in the order of the file, runs in that of their keys.
    `on_progress` is told how many of how many are read. Raises `StoreError` where the source
    cannot be read, and `CnnGenError` for a row without a description, or with that of another
    network than its `id`.
    """
    source = Path(source)
    read = []
    count, rows = _folder(source, on_broken) if source.is_dir() else _parquet(source)
    for number, example in enumerate(rows, 1):
        read.append(example)
        if on_progress is not None:
            on_progress(number, count)
    return read


def trainability(status: str, accuracy: float | None, classes: int, tested: float) -> float | None:
    """1 for a training that ended well and above chance on `tested` images, else 0.

    Chance is `cnngen.training.protocol.chance` for classes of equal size. A training stopped for its
    time may have been above it already; if not, None: it might have come there. None, too, where
    nothing says what a training reached that ended well, as in a table of times alone.
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

    Raises `StoreError` for what is no status of a training.
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


def _folder(
    folder: Path, on_broken: Callable[[Path, str], None] | None
) -> tuple[int, Iterator[Example]]:
    from cnngen.runs.run_folder import load_network
    from cnngen.runs.store import load
    from cnngen.runs.table import cells

    runs = load(folder)

    def rows() -> Iterator[Example]:
        broken = list(runs.broken)
        for record in runs:
            run = runs.path(record)
            try:
                row = cells(record)
                yield _example(load_network(run, record) or _cell(row, str(run)), str(run), row)
            except CnnGenError as error:
                broken.append((run, error.message))
        for run, reason in broken:
            if on_broken is not None:
                on_broken(run, reason)

    return len(runs), rows()


def _parquet(file: Path) -> tuple[int, Iterator[Example]]:
    from cnngen.runs.table import read_rows

    table = read_rows(file, COLUMNS)
    named = [name for name in DESCRIPTIONS if name in table.column_names]
    if not named:
        raise StoreError(f"{file} has no column 'description'")

    def rows() -> Iterator[Example]:
        for number, row in enumerate(table.to_pylist(), 1):
            origin = f"{file}, row {number}"
            text = row[named[0]]
            network = _network(text, origin) if text else _cell(row, origin)
            if text and row.get("id") not in (None, network.id):
                raise StoreError(f"{origin}: the description is of another network, {network.id}")
            yield _example(network, origin, row)

    return table.num_rows, rows()


def _example(network: Network, origin: str, row: Mapping[str, object]) -> Example:
    """One example."""
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


def _network(text: object, origin: str) -> Network:
    from cnngen.language import parse
    from cnngen.space.resolution import resolve

    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise StoreError(f"{origin}: is no description")
    return resolve(parse(text, origin))


def _cell(row: Mapping[str, object], origin: str) -> Network:
    """The network of a cell that a record names; its ends are the data's."""
    from cnngen.space.nasbench101 import Cell, cell_network

    shape = re.fullmatch(r"(\d{1,6})x(\d{1,6})x(\d{1,6})", str(row.get("data_shape")))
    classes = row.get("data_classes")
    name = row.get("name")
    if shape is None or not isinstance(classes, int) or not isinstance(name, str):
        raise StoreError(f"{origin}: there is no description")
    cell, stem = Cell.from_name(name)
    height, width, channels = map(int, shape.groups())
    return cell_network(cell, input_shape=(height, width, channels), classes=classes, stem=stem)


def _between(least: float, figure: float | None, most: float) -> float | None:
    return figure if figure is not None and least <= figure <= most else None


def _target(target: Target, row: Mapping[str, object], origin: str) -> float | None:
    """The figure of a row; None where it is missing or NaN, as in tables of pandas.

    Raises `StoreError` for what is no figure of that target: nothing is guessed.
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
    if not 0 <= figure <= LIMITS[target] or not isfinite(figure):
        unit = {"accuracy": "a share from 0 to 1", "trainability": "1 or 0"}
        hint = "Divide percentages by 100." if target == "accuracy" and 1 < figure <= 100 else None
        raise StoreError(
            f"{origin}: {column} is {_quoted(value)}, it must be "
            f"{unit.get(target, 'a number from 0')}",
            hint=hint,
        )
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
