"""Published tables of trained cells: NAS-Bench-101 and EC-NAS, as tables of trainings.

Both are TFRecord files. A record is the JSON of five values: hash, epochs, adjacency matrix,
operations, and a message of Protocol Buffers in base 64. `model_metrics.proto` of google-research's
nasbench says what is in the message, `model_metrics_energy.proto` of EC-NAS-Bench (Bakhtiarifard et
al. 2024, https://arxiv.org/abs/2210.06015) what that adds.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite, isqrt
from pathlib import Path
from typing import BinaryIO

from cnngen.errors import CnnGenError, StoreError
from cnngen.runs.parquet_index import schema
from cnngen.space.nasbench101 import SPACE, Cell, cell_network
from cnngen.system.files import replacing

MAX_RECORD = 2**20
"""Most bytes of a record that are read; those of the published tables have some hundreds."""

BATCH = 10_000
"""Rows that are in memory at a time."""

CHECKED = 1_000
"""The first so many different cells are built, and their weights counted."""

CIFAR10 = {"data_name": "cifar10", "data_shape": "32x32x3", "data_classes": 10}
IMAGES = {"data_images": 60_000, "protocol_test_share": 1 / 6}

COLUMNS = (
    *("name", "space", "backend", "protocol_name", "protocol_epochs", "epochs", "data_name"),
    *("data_shape", "data_classes", "data_images", "protocol_test_share", "status"),
    *("test_accuracy", "validation_accuracy", "train_accuracy", "train_seconds", "parameters"),
    *("hardware_gpu", "hardware_cpu", "energy_total_energy", "energy_cpu_method"),
    *("energy_cpu_means", "energy_gpu_method", "energy_gpu_means"),
)
"""Those of `docs/records.md` that a published table tells of."""


@dataclass(frozen=True, slots=True)
class CellTraining:
    """One training of a cell. Accuracies are shares from 0 to 1, `energy` is in kWh.

    `hash` is the table's for the cell. `energy` and `seconds` are measured, or `predicted` by the makers' surrogate. `device` and
    `processor` are the names that EC-NAS gives.
    """

    cell: Cell
    hash: str
    epochs: int
    parameters: int
    train_accuracy: float
    validation_accuracy: float
    test_accuracy: float
    seconds: float
    energy: float | None
    predicted: bool
    device: str | None
    processor: str | None

    def row(self) -> dict[str, object]:
        """The training as a row of `COLUMNS`."""
        method = None if self.energy is None else "modelled" if self.predicted else "measured"
        means = None
        if method is not None:
            means = "EC-NAS's surrogate" if self.predicted else "Carbontracker, by EC-NAS"
        # By its name a protocol tells repeats of one training from other trainings.
        origin = "nasbench101" if self.energy is None else "ec-nas"
        whose = f"{origin}, surrogate" if self.predicted else origin
        return {
            "name": self.cell.name(),
            "space": SPACE,
            "backend": "tensorflow",
            "protocol_name": f"{whose}, {self.epochs} epochs",
            "protocol_epochs": self.epochs,
            "epochs": self.epochs,
            **CIFAR10,
            **IMAGES,
            "status": "ok",
            "test_accuracy": self.test_accuracy,
            "validation_accuracy": self.validation_accuracy,
            "train_accuracy": self.train_accuracy,
            "train_seconds": self.seconds,
            "parameters": self.parameters,
            "hardware_gpu": self.device,
            "hardware_cpu": self.processor,
            "energy_total_energy": self.energy,
            **{f"energy_{part}_method": method for part in ("cpu", "gpu")},
            **{f"energy_{part}_means": means for part in ("cpu", "gpu")},
        }


def read_cell_table(path: str | Path) -> Iterator[CellTraining]:
    """Read the trainings of a TFRecord file of NAS-Bench-101 or EC-NAS, in its order.

    Raises `StoreError` for a file that is not one, with the number of the record.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            for number, record in enumerate(_records(file, path), 1):
                try:
                    yield _training(record)
                except (ValueError, KeyError, IndexError, TypeError, CnnGenError) as error:
                    reason = error.message if isinstance(error, CnnGenError) else str(error)
                    raise StoreError(
                        f"{path}, record {number}: not a training of a cell: {reason[:200]}",
                        hint="Give a .tfrecord file of NAS-Bench-101 or of EC-NAS.",
                    ) from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from None


def write_cell_table(
    source: str | Path,
    file: str | Path,
    *,
    epochs: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> int:
    """Write a published table as a Parquet file that `examples` reads; return the number of rows.

    Only trainings of so many `epochs` are taken, where that is given. The first `CHECKED` cells are
    hashed and their weights counted. Raises `StoreError` where the table or the file fails, and for a
    cell whose hash or count is not the table's: nothing is left behind then.
    """
    import pyarrow as pa
    from pyarrow import parquet

    # Of cells there is no description: their names say what they are.
    known = [pa.field("description", pa.string()), *map(schema().field, COLUMNS)]
    checked: set[Cell] = set()
    rows: list[dict[str, object]] = []
    done = 0
    seen: set[int] = set()
    try:
        with (
            replacing(Path(file)) as out,
            parquet.ParquetWriter(out, pa.schema(known)) as writer,
        ):

            def write() -> None:
                writer.write_table(pa.Table.from_pylist(rows, writer.schema))
                if on_progress is not None:
                    on_progress(done)
                rows.clear()

            for training in read_cell_table(source):
                seen.add(training.epochs)
                if epochs not in (None, training.epochs):
                    continue
                if len(checked) < CHECKED and training.cell not in checked:
                    checked.add(training.cell)
                    _check(training, Path(source))
                rows.append(training.row())
                done += 1
                if len(rows) == BATCH:
                    write()
            write()
            if not done:
                there = ", ".join(map(str, sorted(seen)))
                raise StoreError(
                    f"{source} has no training of {epochs} epochs"
                    if seen
                    else f"{source} is empty",
                    hint=f"There are trainings of {there} epochs." if seen else None,
                )
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}") from None
    return done


def _check(training: CellTraining, source: Path) -> None:
    if training.cell.hash != training.hash:
        raise StoreError(
            f"{source}: {training.cell.name()} has the hash {training.hash[:32]} there, "
            f"{training.cell.hash} here"
        )
    count = cell_network(training.cell).cost.parameters
    if count != training.parameters:
        raise StoreError(
            f"{source}: {training.cell.name()} has {training.parameters:,} weights there, "
            f"{count:,} here",
            hint="The table is of cells in another skeleton.",
        )


def _records(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """The records of a TFRecord file. Their checksums are not compared."""
    while head := file.read(12):
        size = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else MAX_RECORD + 1
        if size > MAX_RECORD:
            raise StoreError(f"{path} is not a TFRecord file of cells")
        record = file.read(size)
        if len(record) < size or len(file.read(4)) < 4:
            raise StoreError(f"{path} ends within a record")
        yield record


def _training(record: bytes) -> CellTraining:
    values = json.loads(record)
    if not isinstance(values, list) or len(values) != 5:
        raise ValueError("a record has five values")
    told, epochs, adjacency, operations, metrics = values
    size = isqrt(len(adjacency))
    matrix = [[int(edge) for edge in adjacency[at : at + size]] for at in range(0, size**2, size)]
    cell = Cell(matrix, operations.split(","))
    message = Message(base64.b64decode(metrics, validate=True))
    last = Message(message.parts(1)[2])
    energy, predicted = last.real(6) or message.real(4), last.real(11)
    power = Message(b"".join(message.parts(9)))
    seconds = last.real(2) or last.real(13)
    if seconds is None:
        raise ValueError("it does not say how long it took")
    return CellTraining(
        cell,
        str(told),
        int(epochs),
        message.whole(2),
        last.real(3) or 0.0,
        last.real(4) or 0.0,
        last.real(5) or 0.0,
        seconds,
        energy or predicted,
        not energy and bool(predicted),
        _device(power, 1),
        _device(power, 2),
    )


def _device(power: Message, part: int) -> str | None:
    """The names of the devices of a part, GPU or CPU."""
    names = [
        name.decode("utf-8")
        for own in power.parts(part)
        for device in Message(own).parts(3)
        for name in Message(device).parts(1)
    ]
    return ", ".join(dict.fromkeys(names))[:200] or None


class Message:
    """The fields of a message of Protocol Buffers, by number, without its schema.

    The format is that of https://protobuf.dev/programming-guides/encoding/. Raises `ValueError` for
    bytes that are not one.
    """

    def __init__(self, content: bytes) -> None:
        self._fields: dict[int, list[bytes | int | float]] = {}
        at = 0
        while at < len(content):
            key, at = _varint(content, at)
            value: bytes | int | float
            match key & 7:
                case 0:
                    value, at = _varint(content, at)
                case 1 if at + 8 <= len(content):
                    (value,), at = struct.unpack_from("<d", content, at), at + 8
                case 2:
                    size, at = _varint(content, at)
                    value, at = content[at : at + size], at + size
                case 5:
                    value, at = content[at : at + 4], at + 4
                case kind:
                    raise ValueError(f"a field of kind {kind} is unknown, or cut off")
            if at > len(content):
                raise ValueError("a message that is cut off")
            self._fields.setdefault(key >> 3, []).append(value)

    def parts(self, number: int) -> list[bytes]:
        """The values of a field of bytes: texts or messages."""
        return [value for value in self._fields.get(number, []) if isinstance(value, bytes)]

    def whole(self, number: int) -> int:
        """The value of a field with a whole number; 0 if it is left out."""
        values = [value for value in self._fields.get(number, []) if isinstance(value, int)]
        return values[-1] if values else 0

    def real(self, number: int) -> float | None:
        """The value of a field of doubles; None if it is left out, or is not finite."""
        values = [value for value in self._fields.get(number, []) if isinstance(value, float)]
        return values[-1] if values and isfinite(values[-1]) else None


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A number of variable length, and where it ends."""
    number = shift = 0
    while at < len(content) and shift < 64:
        byte = content[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
    raise ValueError("a number that is cut off")
