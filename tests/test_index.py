"""The index of a folder, its card, and what `show` prints."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from test_store import SOURCE, failed, network, record

import cnngen.runs.parquet_index as index_module
from cnngen.cli import show_records as shown
from cnngen.cli.app import run as command
from cnngen.errors import StoreError, printable
from cnngen.language import parse
from cnngen.runs.dataset_card import MARK, write_card
from cnngen.runs.parquet_index import FILE, read_index, schema, update_index, write_index
from cnngen.runs.record import Record
from cnngen.runs.run_folder import load_run
from cnngen.runs.store import adopt, load, save
from cnngen.runs.table import table
from cnngen.space.resolution import lower
from cnngen.training.energy import Energy


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three runs: two networks, one of them failed once."""
    folder = tmp_path / "runs"
    for kept in (record(), failed()):
        save(folder, kept, network(), SOURCE)
    save(folder, record(network(5)), network(5), SOURCE)
    return folder


def test_the_index_is_the_table_of_the_folders(folder: Path) -> None:
    expected = table(load(folder))
    assert read_index(folder) is None
    assert write_index(folder) == {}
    found = read_index(folder)
    assert found is not None
    pd.testing.assert_frame_equal(found, expected)
    pd.testing.assert_frame_equal(load(folder).to_pandas(), expected)


def test_any_reader_of_parquet_has_plain_columns_and_the_networks(folder: Path) -> None:
    write_index(folder)
    plain = {pa.string(), pa.int64(), pa.uint64(), pa.float64(), pa.bool_()}
    kinds = pq.read_schema(folder / FILE)
    assert set(kinds.types) <= plain
    assert kinds.names[0] == "key"
    assert kinds.names[-1] == "text"
    rows = pd.read_parquet(folder / FILE)
    assert list(rows["key"]) == [kept.key for kept in load(folder)]
    for row in rows.itertuples():
        assert lower(parse(str(row.text))).id == row.id
    # As `datasets` reads it: record batches of the file's own schema.
    with pq.ParquetFile(folder / FILE) as file:
        batches = list(file.iter_batches(batch_size=2))
    assert [len(batch) for batch in batches] == [2, 1]
    assert pa.Table.from_batches(batches)["seed"].to_pylist() == [2**64 - 1] * 3


def change_new(folder: Path) -> None:
    save(folder, record(seed=9), network(), SOURCE)


def change_gone(folder: Path) -> None:
    run = load(folder).path(load(folder)[0])
    for file in run.iterdir():
        file.unlink()
    run.rmdir()


def change_replaced(folder: Path) -> None:
    save(folder, record(test_accuracy=0.125), network(), SOURCE, overwrite=True)


def change_edited(folder: Path) -> None:
    path = folder / record().key / "record.json"
    text = path.read_text().replace('"test_accuracy": 0.75', '"test_accuracy": 0.25')
    path.write_text(text)


def change_cut(folder: Path) -> None:
    path = folder / record().key / "record.json"
    path.write_text(path.read_text()[:99])


def change_no_record(folder: Path) -> None:
    (folder / record().key / "record.json").unlink()


CHANGES = [change_new, change_gone, change_replaced, change_edited, change_cut, change_no_record]


@pytest.mark.parametrize("change", CHANGES)
def test_an_index_that_is_out_of_date_is_not_used_and_can_be_brought_up_to_date(
    folder: Path, change: object
) -> None:
    write_index(folder)
    change(folder)  # type: ignore[operator]
    assert read_index(folder) is None
    expected = table(load(folder))
    pd.testing.assert_frame_equal(load(folder).to_pandas(), expected)
    for update in (update_index, write_index, update_index):
        assert list(update(folder)) == [path.name for path, _ in load(folder).broken]
        found = read_index(folder)
        assert found is not None
        pd.testing.assert_frame_equal(found, expected)


def test_bringing_an_index_up_to_date_reads_only_what_is_new(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = folder / f"{'0' * 16}-torch-{'0' * 8}"
    broken.mkdir()
    assert list(write_index(folder)) == [broken.name]
    read: list[str] = []

    def count(run: Path) -> Record:
        read.append(run.name)
        return load_run(run)

    load_run = index_module.load_run
    monkeypatch.setattr(index_module, "load_run", count)
    change_new(folder)
    assert list(update_index(folder)) == [broken.name]
    assert read == [record(seed=9).key]


@pytest.mark.parametrize("content", [b"", b"PAR1 no parquet PAR1", None])
def test_what_is_no_index_of_ours_is_passed_over(folder: Path, content: bytes | None) -> None:
    if content is None:
        pq.write_table(pa.table({"key": ["a"]}), folder / FILE)
    else:
        (folder / FILE).write_bytes(content)
    assert read_index(folder) is None
    assert len(load(folder).to_pandas()) == 3
    update_index(folder)
    assert read_index(folder) is not None


def test_an_index_of_nothing_has_all_columns(tmp_path: Path) -> None:
    assert write_index(tmp_path) == {}
    found = read_index(tmp_path)
    assert found is not None
    assert len(found) == 0
    assert list(found.columns) == schema().names[1:-1]
    with pytest.raises(StoreError, match="cannot be read"):
        write_index(tmp_path / "nowhere")


def test_a_full_disk_leaves_the_index_that_was_there(folder: Path) -> None:
    write_index(folder)
    before = (folder / FILE).read_bytes()
    code = (
        "import resource, sys\nfrom cnngen.errors import StoreError\n"
        "from cnngen.runs.parquet_index import write_index\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_index(sys.argv[1])\nexcept StoreError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    assert "index.parquet cannot be written: File too large" in done.stdout
    assert (folder / FILE).read_bytes() == before
    assert list((folder / ".partial").iterdir()) == []


def test_an_adopted_run_is_the_same_and_leftovers_of_adopting_are_none(
    folder: Path, tmp_path: Path
) -> None:
    kept = load(folder)[0]
    run = adopt(tmp_path / "other", load(folder).path(kept))
    for file in load(folder).path(kept).iterdir():
        assert (run / file.name).read_bytes() == file.read_bytes()
    with pytest.raises(StoreError, match="is there already"):
        adopt(tmp_path / "other", load(folder).path(kept))
    assert list((tmp_path / "other/.partial").iterdir()) == []


def front_matter(card: str) -> dict[str, object]:
    matter = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    assert matter is not None
    found = yaml.safe_load(matter[1])
    assert isinstance(found, dict)
    return found


def test_the_card_has_the_front_matter_of_the_hub_and_figures(folder: Path) -> None:
    write_index(folder)
    path = write_card(folder)
    assert path == folder / "README.md"
    card = path.read_text()
    front = front_matter(card)
    assert front["pretty_name"] == "CNNGen: 3 networks on made up"
    assert front["configs"] == [{"config_name": "default", "data_files": FILE}]
    assert front["size_categories"] == ["n<1K"]
    assert "| nan | 1 |" in card
    assert "| modelled |" in card
    figures = re.findall(r"\]\((figures/\w+\.svg)\)", card)
    assert figures == [f"figures/{name}.svg" for name in ("accuracy", "energy", "layers")]
    for figure in figures:
        assert ElementTree.parse(folder / figure).getroot().tag.endswith("svg")
    again = [(folder / figure).read_bytes() for figure in figures]
    write_card(folder)
    assert [(folder / figure).read_bytes() for figure in figures] == again


def test_names_from_strangers_are_text_in_the_card(tmp_path: Path) -> None:
    evil = 'x"]\n---\n# <script>alert(1)</script> | `rm` [a](b)'
    kept = record()
    kept = replace(kept, data=replace(kept.data, name=evil), space=evil)
    save(tmp_path, kept, network(), SOURCE)
    path = write_card(tmp_path)
    assert path is not None
    card = path.read_text()
    assert front_matter(card)["pretty_name"] == f"CNNGen: 1 networks on {printable(evil)}"
    body = card.split("\n---\n", 1)[1]
    assert "<script>" not in body.replace(r"\<", "")
    rows = [line for line in body.splitlines() if line.startswith("| ")]
    assert all("`" not in row.replace(r"\`", "") for row in rows)


def test_a_readme_of_somebody_else_stays(folder: Path) -> None:
    (folder / "README.md").write_text("# Mine")
    assert write_card(folder) is None
    assert (folder / "README.md").read_text() == "# Mine"
    (folder / "README.md").write_text(f"---\n{MARK}\n---\n")
    assert write_card(folder) is not None


def cnngen(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cnngen", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
        check=False,
    )


def test_show_finds_a_run_by_how_its_id_begins(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    other = load_run(folder / record(network(5)).key)
    for arguments in (["runs", other.id[:6]], [other.id[:6]], [f"runs/{other.key}"]):
        assert command(["show", *arguments]) == 0
        out = capsys.readouterr().out
        assert other.id in out
        assert "test 75.0%, validation 62.5%" in out
        assert "▁█ validation, 50.0% to 62.5%" in out
        assert "model.png" in out
        assert "CPU modelled" in out
    assert command(["show", "runs", other.id[:6], "--json"]) == 0
    assert Record.from_json(capsys.readouterr().out) == other
    assert command(["show", "runs", record().id[:4]]) == 2
    assert "2 runs start with" in capsys.readouterr().err
    assert command(["show", "runs", "zz"]) == 2
    assert "no run in runs starts with 'zz'" in capsys.readouterr().err
    assert command(["show", "runs", "--open"]) == 2


def test_show_opens_the_picture_and_the_code(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("typer.launch", lambda path: opened.append(path))
    key = record(network(5)).key
    assert command(["show", str(folder), key[:6], "--open"]) == 0
    assert opened == [f"{folder}/{key}/model.png", f"{folder}/{key}/model_torch.py"]


def test_sparklines_go_from_the_least_to_the_most() -> None:
    assert shown.sparkline([0.0, 0.5, 1.0]) == "▁▅█"
    assert shown.sparkline([0.25, 0.25]) == "▄▄"
    assert shown.sparkline([0.0, math.nan, 1.0]) == "▁ █"
    assert shown.sparkline([math.nan]) == " "
    long = shown.sparkline([i / 999 for i in range(1000)], width=8)
    assert long == "▁▂▃▄▅▆▇█"


def test_index_and_merge_are_commands(folder: Path) -> None:
    done = cnngen("index", "runs", "--card", cwd=folder.parent)
    assert (done.returncode, done.stdout) == (0, "runs/index.parquet\nruns/README.md\n")
    done = cnngen("merge", "all", "runs", cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("all: 3 runs copied, 0 already there")
    (folder / record().key / "record.json").write_text("{")
    done = cnngen("index", "runs", cwd=folder.parent)
    assert done.returncode == 1
    assert f"runs/{record().key}: " in done.stderr
    done = cnngen("merge", "all", "nowhere", cwd=folder.parent)
    assert done.returncode == 2


def test_tensorboards_own_reader_finds_the_epochs_of_each_run(tmp_path: Path) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.tensorflow_stub import pywrap_tensorflow

    from cnngen.runs.campaign.tensorboard import TensorBoard

    kept = record()
    assert isinstance(kept.energy, Energy)
    killed = TensorBoard(tmp_path)
    killed.epoch(kept.key, kept.history[1])
    logs = TensorBoard(tmp_path)
    for epoch in kept.history:
        logs.epoch(kept.key, epoch)
    logs.lost(SimpleNamespace(key=kept.key), "killed")  # type: ignore[arg-type]
    assert list((tmp_path / kept.key).iterdir()) == []
    logs.epoch(kept.key, kept.history[0])  # and the second only with the record
    logs.ended(kept, new=True)
    logs.ended(failed(), new=False)
    (log,) = (tmp_path / kept.key).iterdir()
    assert [path.name for path in tmp_path.iterdir()] == [kept.key]
    reader = pywrap_tensorflow.PyRecordReader_New(str(log))
    events = []
    for _ in range(4):
        reader.GetNext()
        events.append(Event.FromString(reader.record()))
    assert events[0].file_version == "brain.Event:2"
    figures = [
        (event.step, value.tag, value.simple_value)
        for event in events[1:]
        for value in event.summary.value
    ]
    assert (1, "accuracy/validation", 0.5) in figures
    assert (2, "accuracy/validation", 0.625) in figures
    assert (2, "test/accuracy", 0.75) in figures
    assert len(figures) == 4 + 4 + 3


def test_of_a_training_whose_worker_died_tensorboard_shows_no_epochs(tmp_path: Path) -> None:
    from cnngen.runs.campaign.tensorboard import TensorBoard

    died = record(status="error", cause="killed", epochs=(), test_loss=None, test_accuracy=None)
    logs = TensorBoard(tmp_path)
    logs.epoch(died.key, record().history[0])
    logs.ended(died, new=True)
    (log,) = (tmp_path / died.key).iterdir()
    assert b"accuracy/validation" not in log.read_bytes()
