"""Texts and figures of a run held against each other: networks, records, index, Parquet."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_store import SOURCE, network, record

import cnngen
from cnngen.cli.app import run as command
from cnngen.editor.studio.limits import Limits
from cnngen.editor.studio.runs import open_run
from cnngen.errors import CnnGenError, StoreError
from cnngen.language import format
from cnngen.network.network import id_of_text
from cnngen.predict import examples
from cnngen.runs.campaign import Plan
from cnngen.runs.parquet_index import FILE, read_index, update_index, write_index
from cnngen.runs.record import Record
from cnngen.runs.run_folder import load_network
from cnngen.runs.store import load, save
from cnngen.runs.table import columns, read_rows, table
from cnngen.space.sampling import draws, sample
from cnngen.system.ranges import check
from cnngen.system.seal import BLANK, is_sealed, seal
from cnngen.training.protocol import Protocol

GOOD, OTHER, THIRD = (record(network(filters)).key for filters in (4, 5, 6))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNGEN_CACHE", str(tmp_path / "cache"))
    for filters in (4, 5, 6):
        save(tmp_path / "runs", record(network(filters)), network(filters), SOURCE)
    return tmp_path / "runs"


def test_an_id_is_read_from_a_text_as_from_its_network() -> None:
    """Law: the quick way to the id of a text gives the parser's, in the short and long form."""
    for net in cnngen.sample_many(20, "paper", input_shape=(9, 8, 3), classes=7, seed=3):
        named = replace(net.description, name="Named")
        for description in (net.description, named):
            for long in (False, True):
                assert id_of_text(format(description, long=long)) == net.id
    assert id_of_text("input /* of none */ output") is None


def swap(folder: Path) -> None:
    first, second = (folder / key / "model.cnn" for key in (OTHER, THIRD))
    mine, its = first.read_text(), second.read_text()
    first.write_text(its)
    second.write_text(mine)


def garble(folder: Path) -> None:
    (folder / OTHER / "model.cnn").write_text("garbage")
    (folder / THIRD / "model.cnn").write_bytes(b"\xff\xfe")


@pytest.mark.parametrize("change", [swap, garble])
@pytest.mark.parametrize("indexed", [False, True])
def test_descriptions_of_other_networks_are_refused_and_hide_no_run(
    folder: Path, change: object, indexed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    if indexed:
        write_index(folder)
    change(folder)  # type: ignore[operator]
    assert list(update_index(folder)) == sorted([OTHER, THIRD])
    rows = pd.read_parquet(folder / FILE)
    assert list(rows["key"]) == [GOOD]
    assert list(load(folder).to_pandas().index) == [GOOD]
    assert [path.name for path, _ in load(folder).broken] == sorted([OTHER, THIRD])
    assert all("model.cnn" in reason for _, reason in load(folder).broken)
    told: list[str] = []
    found = examples(folder, on_broken=lambda run, reason: told.append(run.name))
    assert [one.network.id for one in found] == [GOOD[:16]]
    assert told == sorted([OTHER, THIRD])
    with pytest.raises(StoreError, match=r"model\.cnn"):
        open_run(folder, ".", OTHER, Limits())
    assert command(["index", str(folder)]) == 1
    assert "model.cnn" in capsys.readouterr().err


def test_a_comment_in_a_description_is_no_part_of_the_index(folder: Path) -> None:
    path = folder / GOOD / "model.cnn"
    path.write_text("// mine\n" + path.read_text().replace("conv", "/* to the end // */ conv"))
    assert write_index(folder) == {}
    text = pd.read_parquet(folder / FILE).set_index("key")["text"][GOOD]
    assert cnngen.resolve(cnngen.parse(text)).id == GOOD[:16]
    kept = next(one for one in load(folder) if one.key == GOOD)
    assert load_network(folder / GOOD, kept) == network(4)
    assert len(examples(folder)) == 3


def forge(folder: Path, **figures: object) -> None:
    """Other figures in the index; all else stays, what CNNGen wrote to know it by as well."""
    rows = pq.read_table(folder / FILE)
    for name, value in figures.items():
        at = rows.column_names.index(name)
        rows = rows.set_column(at, rows.schema.field(at), pa.array([value] * len(rows)))
    pq.write_table(rows, folder / FILE, compression="zstd")


@pytest.mark.parametrize(
    "figures",
    [{"test_accuracy": 5.0}, {"test_accuracy": 0.99}, {"energy_total_energy": -1.0}],
)
def test_a_forged_index_is_not_believed(folder: Path, figures: dict[str, object]) -> None:
    write_index(folder)
    expected = table(load(folder))
    forge(folder, **figures)
    assert read_index(folder) is None
    pd.testing.assert_frame_equal(load(folder).to_pandas(), expected)
    update_index(folder)
    found = read_index(folder)
    assert found is not None
    pd.testing.assert_frame_equal(found, expected)


def test_whole_numbers_stay_whole_in_plain_pandas_where_some_are_missing(folder: Path) -> None:
    save(folder, replace(record(network(7)), seed=None), network(7), SOURCE)
    write_index(folder)
    found = pd.read_parquet(folder / FILE)
    assert sorted(found["seed"].dropna()) == [2**64 - 1] * 3
    assert found["seed"].isna().sum() == 1
    pd.testing.assert_frame_equal(
        found.set_index("key").drop(columns="text"), table(load(folder)), check_index_type=False
    )


def test_seeds_are_such_that_readers_of_json_keep_them(tmp_path: Path) -> None:
    drawn = list(draws(30, "compact", input_shape=(8, 8, 1), seed=7))
    assert all(float(draw.seed) == draw.seed < 2**53 for draw in drawn)
    last = drawn[-1]
    assert sample("compact", input_shape=(8, 8, 1), seed=last.seed).id == last.network.id
    assert sample("compact", input_shape=(8, 8, 1), seed=2**64 - 1).id  # an old record's
    with pytest.raises(CnnGenError, match="seed"):
        Plan(count=1, protocol=Protocol(seed=2**53))
    with pytest.raises(CnnGenError, match="seed"):
        cnngen.train(last.network, cnngen.load_data("digits"), Protocol(), seed=2**53)


def test_an_index_of_another_user_is_made_anew(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_index(folder)
    assert read_index(folder) is not None
    monkeypatch.setenv("CNNGEN_CACHE", str(tmp_path / "another"))
    assert read_index(folder) is None
    update_index(folder)
    assert read_index(folder) is not None
    monkeypatch.setenv("CNNGEN_CACHE", "/proc/nowhere")  # where no key can be kept
    update_index(folder)
    assert read_index(folder) is None
    assert len(load(folder).to_pandas()) == 3


def test_a_seal_holds_every_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNGEN_CACHE", str(tmp_path))
    content = b"before " + BLANK + b" after"
    sealed = seal(content)
    assert is_sealed(sealed)
    assert not is_sealed(content)
    assert not is_sealed(b"")
    for at in range(len(sealed)):
        assert not is_sealed(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :])
        assert not is_sealed(sealed[:at])


def numbers(part: object, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The places of all numbers of a record's JSON."""
    items = part.items() if isinstance(part, dict) else enumerate(part)  # type: ignore[arg-type]
    for name, value in items:
        if isinstance(value, (dict, list)):
            yield from numbers(value, (*place, name))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield (*place, name)


TEXT = record().to_json()


@pytest.mark.parametrize("figure", ["-5", "NaN", "Infinity", "-Infinity", "1e400", "1e308", "1e30"])
def test_no_number_of_a_record_takes_an_impossible_value(figure: str) -> None:
    """Law: of a value that none may have, no place for a number is overlooked."""
    for place in numbers(json.loads(TEXT)):
        if (place[-1], figure) == ("net_energy", "-5") or (
            str(place[-1]).endswith("_loss") and figure == "1e30"
        ):
            continue
        if place[-1] == "learning_rate" and figure in ("1e30", "1e308"):
            continue
        tree = json.loads(TEXT)
        part = tree
        for name in place[:-1]:
            part = part[name]
        part[place[-1]] = "HERE"
        text = json.dumps(tree).replace('"HERE"', figure)
        with pytest.raises(StoreError):
            Record.from_json(text)


def test_a_loss_that_cannot_be_costs_no_run() -> None:
    kept = record(test_loss=-1.0)
    assert kept.test_loss is None
    assert Record.from_json(kept.to_json()) == kept


def test_every_part_of_a_record_is_checked() -> None:
    kept = record()
    assert is_dataclass(kept.energy)
    for field in fields(kept.energy):
        if isinstance(getattr(kept.energy, field.name), float):
            with pytest.raises(StoreError, match=field.name):
                check(replace(kept, energy=replace(kept.energy, **{field.name: math.inf})))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("test_accuracy", 5.0),
        ("energy_total_energy", -1.0),
        ("train_seconds", math.inf),
        ("layers", -1),
        ("energy_others_before", 1.5),
    ],
)
def test_parquet_files_keep_to_the_ranges_of_records(
    tmp_path: Path, column: str, value: float
) -> None:
    file = tmp_path / "some.parquet"
    pq.write_table(pa.table({column: [0, None, value]}), file)
    with pytest.raises(StoreError, match=f"row 3: {column} is {value}, it must be"):
        read_rows(file, [column])
    pq.write_table(pa.table({column: [0.0, None, math.nan]}), file)
    assert len(read_rows(file, [column])) == 3


def test_a_row_with_the_description_of_another_network_is_refused(folder: Path) -> None:
    write_index(folder)
    forge(folder, text=network(4).to_text())
    with pytest.raises(StoreError, match=r"row \d: the description is of another network"):
        examples(folder / FILE)


@pytest.mark.parametrize("file", sorted(Path("benchmarks/data").glob("*.parquet")), ids=str)
def test_the_shipped_data_keep_to_the_ranges(file: Path) -> None:
    assert len(read_rows(file, list(columns()))) >= 81


@pytest.mark.parametrize("name", ["layers", "parameters", "multiply_adds", "flops"])
def test_counts_of_a_record_are_those_of_its_network(folder: Path, name: str) -> None:
    path = folder / OTHER / "record.json"
    content = json.loads(path.read_text())
    content[name] += 1
    path.write_text(json.dumps(content))
    with pytest.raises(StoreError, match=rf"says .* {name}, its network has"):
        load_network(folder / OTHER, next(one for one in load(folder) if one.key == OTHER))
    assert OTHER in write_index(folder)
