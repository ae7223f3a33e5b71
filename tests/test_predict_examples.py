"""Examples from folders and files, and how they are split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from known import example, known
from pyarrow import parquet

import cnngen
from cnngen.errors import CnnGenError, StoreError
from cnngen.network import Network
from cnngen.predict import TARGETS, Example, Target, by_data, by_size, examples, repeats, split
from cnngen.predict.examples import trainability
from cnngen.runs.parquet_index import write_index
from cnngen.runs.record import make_record
from cnngen.runs.repeats import grouped, pooled_deviation
from cnngen.runs.store import load
from cnngen.space.nasbench101 import Cell, cell_network
from cnngen.training.protocol import Epoch, Protocol, TrainingResult

PAPER = Protocol("paper", epochs=2)


def keep(
    folder: Path,
    network: Network,
    accuracy: float | None,
    status: str = "ok",
    epochs: int = 2,
    seed: int = 0,
) -> None:
    """A run of a network as a training would leave it."""
    history = tuple(Epoch(1 + at, 1.5, 1.0, 0.5, 1.0, 0.5) for at in range(epochs))
    result = TrainingResult(status, None, history, 3.0, 1.0, accuracy, "cpu", 1)  # type: ignore[arg-type]
    record = make_record(
        network, cnngen.load_data("digits"), replace(PAPER, seed=seed), result,
        backend="torch", framework="torch 2", energy=None,
    )  # fmt: skip
    cnngen.save(folder, record, network, "")


def test_a_folder_and_its_index_give_the_same_examples(tmp_path: Path) -> None:
    drawn = list(cnngen.sample_many(3, "paper", input_shape=(8, 8, 1), seed=5))
    keep(tmp_path, drawn[0], 0.9)
    keep(tmp_path, drawn[1], 0.1, "dead")
    keep(tmp_path, drawn[2], None, "nan")
    write_index(tmp_path)
    from_folder = examples(tmp_path)
    assert from_folder == examples(tmp_path / "index.parquet")
    found = {one.network.id: one for one in from_folder}
    assert found.keys() == {network.id for network in drawn}
    good, dead, lost = (found[network.id] for network in drawn)
    assert good.network == drawn[0]
    assert good.targets == {"accuracy": 0.9, "time": 3.0, "energy": None, "trainability": 1.0}
    assert dead.targets["accuracy"] == 0.1
    assert dead.targets["trainability"] == 0.0
    assert lost.targets["accuracy"] is None
    assert lost.targets["trainability"] == 0.0
    assert (good.data, lost.status) == ("digits", "nan")
    assert good.setting.startswith("digits, torch, paper")


def test_trainings_of_a_network_with_several_seeds_are_one_example(tmp_path: Path) -> None:
    one, other = cnngen.sample_many(2, "compact", input_shape=(8, 8, 1), seed=5)
    for seed, accuracy in enumerate((0.7, 0.8, 0.9)):
        keep(tmp_path, one, accuracy, seed=seed)
    keep(tmp_path, other, 0.5)
    found = {example.network.id: example for example in examples(tmp_path)}
    assert len(found) == 2
    repeated, single = found[one.id], found[other.id]
    assert (repeated.repeats, single.repeats) == (3, 1)
    assert repeated.targets["accuracy"] == pytest.approx(0.8)
    assert repeated.spreads["accuracy"].deviation == pytest.approx(0.1)
    assert pooled_deviation([repeated.spreads["accuracy"]]) == pytest.approx(0.1)
    groups = {len(group) for group in grouped(load(tmp_path))}
    assert groups == {1, 3}


def test_cells_of_nas_bench_are_known_by_their_names(tmp_path: Path) -> None:
    matrix = [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
    cell = Cell(matrix, ["input", "conv3x3-bn-relu", "output"])
    network = cell_network(cell, input_shape=(8, 8, 1), classes=10, stem=8)
    keep(tmp_path, network, 0.8)
    (found,) = examples(tmp_path)
    assert found.network.nodes == network.nodes


def test_a_training_is_above_chance_by_three_standard_errors() -> None:
    # 360 images of 10 classes: 0.1 + 3 * sqrt(0.1 * 0.9 / 360) = 0.1474
    assert trainability("ok", 0.148, 10, 360) == 1
    assert trainability("ok", 0.147, 10, 360) == 0
    assert trainability("time_budget", 0.148, 10, 360) == 1
    assert trainability("time_budget", 0.147, 10, 360) is None
    assert trainability("dead", 0.9, 10, 360) == 0
    assert trainability("ok", None, 10, 360) is None
    assert trainability("error", None, 10, 360) == 0


RESOLVED = (
    "input(8x8x1) conv(filters=2, kernel=2, stride=1, padding=same, activation=relu, bias=true) {}"
)


@pytest.mark.parametrize(
    ("status", "epochs", "told"),
    [
        ("ok", 2, {"accuracy": 0.9, "time": 3.0, "energy": 0.1, "trainability": 1.0}),
        ("dead", 2, {"accuracy": 0.9, "time": 3.0, "energy": 0.1, "trainability": 0.0}),
        ("dead", 1, {"accuracy": 0.9, "trainability": 0.0}),  # given up
        ("time_budget", 1, {"trainability": 1.0}),
        ("nan", 2, {"trainability": 0.0}),
        ("out_of_memory", 0, {"trainability": 0.0}),
        ("error", 0, {"trainability": 0.0}),
    ],
)
def test_a_training_tells_of_what_it_reached(
    tmp_path: Path, status: str, epochs: int, told: dict[Target, float]
) -> None:
    """Each target against each status, though a figure stands in every column."""
    write(tmp_path / "some.parquet", status=status, epochs=epochs, protocol_epochs=2)
    (found,) = examples(tmp_path / "some.parquet")
    assert found.targets == dict.fromkeys(TARGETS) | told


def write(file: Path, **columns: object) -> None:
    """A table of one training with figures in all columns, some of them others."""
    row = {
        "description": RESOLVED.format("flatten dense(units=10, activation=linear) output(10)"),
        "test_accuracy": 0.9,
        "train_seconds": 3.0,
        "energy_total_energy": 0.1,
    }
    both = row | columns
    parquet.write_table(pa.table({name: [value] for name, value in both.items()}), file)


@pytest.mark.parametrize(
    ("cpu", "ram", "said"),
    [("measured", "modelled", "modelled"), ("measured", "absent", "measured"), (None, None, "")],
)
def test_an_energy_is_modelled_where_any_part_of_it_is(
    tmp_path: Path, cpu: str | None, ram: str | None, said: str
) -> None:
    write(tmp_path / "some.parquet", energy_cpu_method=cpu, energy_ram_method=ram)
    (found,) = examples(tmp_path / "some.parquet")
    assert found.energy == said


def test_a_run_that_memory_did_not_suffice_for_teaches_no_time(tmp_path: Path) -> None:
    (network,) = cnngen.sample_many(1, "paper", input_shape=(8, 8, 1), seed=5)
    keep(tmp_path, network, None, "out_of_memory", 0)
    (found,) = examples(tmp_path)
    assert found.targets == dict.fromkeys(TARGETS) | {"trainability": 0.0}


@pytest.mark.parametrize(
    ("column", "value", "figure"),
    [
        ("test_accuracy", Decimal("0.93"), 0.93),
        ("test_accuracy", 1, 1.0),
        ("test_accuracy", math.nan, None),
        ("train_seconds", 12, 12.0),
        ("energy_total_energy", Decimal("1e-9"), 1e-9),
        ("trainability", True, 1.0),
    ],
)
def test_numbers_of_any_kind_are_figures(
    tmp_path: Path, column: str, value: object, figure: float | None
) -> None:
    write(tmp_path / "some.parquet", **{column: value})
    (found,) = examples(tmp_path / "some.parquet")
    (target,) = (target for target, name in TARGETS.items() if name == column)
    assert found.targets[target] == figure


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("test_accuracy", 93.0, "row 1: test_accuracy is 93.0, it must be a share.*by 100"),
        ("test_accuracy", Decimal(93), "is 93, it must be a share"),
        ("test_accuracy", "93 %", "is '93 %'.*as a number"),
        ("test_accuracy", "0.93", "is '0.93'.*as a number"),
        ("test_accuracy", -0.1, "it must be a share"),
        ("train_seconds", -1.0, "it must be a number from 0"),
        ("train_seconds", math.inf, "is inf, it must be a number"),
        ("energy_total_energy", -5000.0, "it must be a number from 0"),
        ("trainability", 2, "it must be 1 or 0"),
        ("status", "finished", "has the status 'finished'"),
    ],
)
def test_what_is_no_figure_is_refused_and_not_guessed(
    tmp_path: Path, column: str, value: object, reason: str
) -> None:
    write(tmp_path / "some.parquet", **{column: value})
    with pytest.raises(CnnGenError, match=f"(?s){reason}"):
        examples(tmp_path / "some.parquet")


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"id": ["a"]}, "has no column 'description'"),
        ({"description": [7]}, "row 1: the description is not text"),
        ({"description": [RESOLVED.format("output")]}, "backbone"),
        ({"description": ["input conv flatten dense output"]}, "leaves something open"),
        ({"description": ["__import__('os')"]}, "expected"),
        ({"description": [None], "name": ["x"]}, "row 1: there is no description"),
        (
            {"description": [None], "name": [None], "data_shape": ["8x8x1"], "data_classes": [2]},
            "row 1: there is no description",
        ),
        (
            {"description": [None], "name": ["x"], "data_shape": ["8x8x1"], "data_classes": [2]},
            "not the name of a NAS-Bench-101 cell",
        ),
    ],
)
def test_a_file_of_anything_else_is_refused(
    tmp_path: Path, columns: dict[str, list[object]], reason: str
) -> None:
    file = tmp_path / "some.parquet"
    parquet.write_table(pa.table(columns), file)
    with pytest.raises(CnnGenError, match=reason):
        examples(file)


def test_a_source_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no"):
        examples(tmp_path / "nothing.parquet")
    (tmp_path / "text.parquet").write_text("PAR1, but no more")
    with pytest.raises(StoreError, match="cannot be read as a Parquet file"):
        examples(tmp_path / "text.parquet")


def ids(some: Sequence[Example]) -> list[str]:
    return [one.network.id for one in some]


def test_splits_share_out_every_example_once() -> None:
    """The parts are disjoint, hold everything, and have the asked shares."""
    some = known()
    for parts in (split(some, 3), by_size(some, 3), *repeats(some, 2)):
        together = ids(parts.train) + ids(parts.validation) + ids(parts.test)
        assert sorted(together) == sorted(ids(some))
        assert len(parts.test) == 24
        assert len(parts.validation) == 10
    assert ids(split(some, 3).test) == ids(split(some, 3).test)
    assert ids(split(some, 3).test) != ids(split(some, 4).test)


def test_equal_networks_are_never_in_two_parts() -> None:
    twice = [replace(one, data=data) for one in known()[:40] for data in ("digits", "other")]
    parts = split(twice, 0)
    seen = [set(ids(part)) for part in (parts.train, parts.validation, parts.test)]
    assert len(set.union(*seen)) == sum(map(len, seen))


def test_by_size_the_deepest_networks_are_left_for_the_test() -> None:
    parts = by_size(known(), 0)
    learnt = [len(one.network) for one in (*parts.train, *parts.validation)]
    assert max(learnt) <= min(len(one.network) for one in parts.test)


def test_by_data_nothing_of_the_tested_data_is_learnt_from() -> None:
    both = [*known()[:30], *(example(one.network, "other") for one in known()[30:60])]
    parts = by_data(both, "other", 0)
    assert {one.data for one in (*parts.train, *parts.validation)} == {"digits"}
    assert len(parts.test) == 30
