"""Published tables of cells, as made files: written with Google's own libraries."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from tensorboard.summary.writer.record_writer import RecordWriter

from cnngen.cli.app import run
from cnngen.errors import StoreError
from cnngen.predict.examples import examples
from cnngen.runs.cell_tables import read_cell_table, write_cell_table
from cnngen.space.nasbench101 import Cell, cell_network, sample_cells

Field = descriptor_pb2.FieldDescriptorProto
KINDS = {"double": Field.TYPE_DOUBLE, "int32": Field.TYPE_INT32, "string": Field.TYPE_STRING}

EVALUATION = [
    *((number, name, "double") for number, name in enumerate("abcdefgh", 1)),
    (13, "pred_training_time", "double"),
    (11, "pred_energy", "double"),
    (15, "checkpoint_path", "string"),
]
PUBLISHED = [
    *((number, name, "double") for number, name in enumerate("abcde", 1)),
    (6, "checkpoint_path", "string"),
]


def message_of(evaluation: Sequence[tuple[int, str, str]]) -> type:
    """The class of the tables' messages, of which the evaluations have these fields."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{len(evaluation)}.proto", package="made")

    def add(name: str, fields: Iterable[tuple[int, str, str]], repeated: bool = False) -> None:
        message = file.message_type.add(name=name)
        for number, field, kind in fields:
            own = message.field.add(name=field, number=number)
            many = kind in ("Evaluation", "Device") or repeated
            own.label = Field.LABEL_REPEATED if many else Field.LABEL_OPTIONAL
            if kind in KINDS:
                own.type = KINDS[kind]
            else:
                own.type, own.type_name = Field.TYPE_MESSAGE, f".made.{kind}"

    add("Device", [(1, "name", "string")])
    add("Part", [(3, "devices", "Device")])
    add("Power", [(1, "gpu", "Part"), (2, "cpu", "Part")])
    add("Evaluation", evaluation)
    add(
        "Metrics",
        [
            (1, "evaluations", "Evaluation"),
            (2, "trainable_parameters", "int32"),
            (3, "total_time", "double"),
            (4, "total_energy", "double"),
            (9, "power", "Power"),
        ],
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("made.Metrics"))


def record(cell: Cell, metrics: bytes, epochs: int = 4) -> bytes:
    adjacency = "".join(str(edge) for row in cell.matrix for edge in row)
    values = [cell.hash, epochs, adjacency, ",".join(cell.operations)]
    return json.dumps([*values, base64.b64encode(metrics).decode()]).encode()


def write(path: Path, records: Iterable[bytes]) -> Path:
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for one in records:
            writer.write(one)
    return path


def metrics(cell: Cell, kind: type, last: dict[str, object], **more: object) -> bytes:
    made = kind(trainable_parameters=cell_network(cell).cost.parameters, **more)
    for _ in range(2):
        made.evaluations.add(a=0.0)
    made.evaluations.add(**last)
    return bytes(made.SerializeToString())


RESULT = {"a": 4.0, "b": 100.0, "c": 0.9, "d": 0.8, "e": 0.75}


def ec_nas(path: Path, count: int = 3) -> Path:
    kind = message_of(EVALUATION)
    cells = list(sample_cells(count, 5))
    made = []
    for number, cell in enumerate(cells):
        power = {"gpu": {"devices": [{"name": "Quadro RTX 6000"}]}}
        energy = {"f": 0.01 * (number + 1), "checkpoint_path": "12345678"}
        made.append(record(cell, metrics(cell, kind, {**RESULT, **energy}, power=power)))
        guess = {"pred_energy": 0.5, "pred_training_time": 900.0}
        known = {name: RESULT[name] for name in "acde"}
        made.append(record(cell, metrics(cell, kind, {**known, **guess}), 108))
    return write(path, made)


def test_a_table_of_ec_nas_says_what_was_measured_and_what_was_not(tmp_path: Path) -> None:
    source = ec_nas(tmp_path / "energy.tfrecord")
    measured, predicted = list(read_cell_table(source))[:2]
    assert (measured.epochs, measured.energy, measured.predicted) == (4, 0.01, False)
    assert (measured.device, measured.processor) == ("Quadro RTX 6000", None)
    assert (measured.train_accuracy, measured.validation_accuracy) == (0.9, 0.8)
    assert (measured.test_accuracy, measured.seconds) == (0.75, 100.0)
    assert (predicted.energy, predicted.predicted, predicted.seconds) == (0.5, True, 900.0)

    assert write_cell_table(source, tmp_path / "cells.parquet") == 6
    one, other, *_ = examples(tmp_path / "cells.parquet")
    assert (one.energy, one.targets["energy"], one.targets["time"]) == ("measured", 0.01, 100.0)
    assert (other.energy, other.targets["energy"]) == ("modelled", 0.5)
    assert one.targets["accuracy"] == 0.75
    assert one.network.id == cell_network(measured.cell).id


def test_a_table_of_nas_bench_has_no_energy_and_is_taken_by_epochs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = message_of(PUBLISHED)
    cells = list(sample_cells(2, 5))
    last = {**RESULT, "checkpoint_path": "12345678"}  # as long as a double is
    made = [record(cell, metrics(cell, kind, last), epochs) for cell in cells for epochs in (4, 36)]
    source = write(tmp_path / "nasbench.tfrecord", made)
    out = tmp_path / "cells.parquet"
    assert run(["table", str(source), "-o", str(out), "--epochs", "36"]) == 0
    assert capsys.readouterr().out == f"{out}: 2 trainings\n"
    read = examples(out)
    assert [one.targets["energy"] for one in read] == [None, None]
    assert [one.network.id for one in read] == [cell_network(cell).id for cell in cells]
    assert run(["table", str(source), "-o", str(tmp_path / "x.parquet"), "--epochs", "9"]) == 2
    assert "There are trainings of 4, 36 epochs." in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(("x", "."))] == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "not a TFRecord file"),
        (struct.pack("<QI", 100, 0) + b"short", "ends within a record"),
        (struct.pack("<Q", 2**63), "not a TFRecord file"),
        (struct.pack("<QI", 2, 0) + b"[]" + bytes(4), "record 1: not a training of a cell"),
        (struct.pack("<QI", 9, 0) + b"[" * 9 + bytes(4), "record 1: not a training of a cell"),
    ],
)
def test_a_strangers_table_is_refused_with_the_place(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "x.tfrecord").write_bytes(content)
    with pytest.raises(StoreError, match=message):
        list(read_cell_table(tmp_path / "x.tfrecord"))


def test_a_message_that_is_cut_off_anywhere_is_refused_or_another(tmp_path: Path) -> None:
    (cell,) = sample_cells(1, 5)
    whole = metrics(cell, message_of(EVALUATION), {**RESULT, "f": 0.5})
    refused = 0
    for end in range(len(whole)):
        source = write(tmp_path / "x.tfrecord", [record(cell, whole[:end])])
        try:
            list(read_cell_table(source))
        except StoreError:
            refused += 1
    assert refused > len(whole) / 2


def test_a_cell_whose_weights_are_not_the_tables_is_refused(tmp_path: Path) -> None:
    (cell,) = sample_cells(1, 5)
    (other,) = list(sample_cells(2, 6))[1:]
    source = write(
        tmp_path / "x.tfrecord", [record(cell, metrics(other, message_of(EVALUATION), RESULT))]
    )
    with pytest.raises(StoreError, match=r"has [\d,]+ weights there, [\d,]+ here"):
        write_cell_table(source, tmp_path / "cells.parquet")
    assert not (tmp_path / "cells.parquet").exists()
