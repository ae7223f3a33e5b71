import errno
import io
import json
import math
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cnngen.errors import CnnGenError, StoreError
from cnngen.language import parse
from cnngen.network import Network
from cnngen.network.adjacency import Graph
from cnngen.runs.record import Record, make_record, record_id, this_machine
from cnngen.runs.run_folder import load_run
from cnngen.runs.store import load, save
from cnngen.runs.table import table
from cnngen.space.resolution import lower
from cnngen.system.files import sweep
from cnngen.training.data.dataset import Dataset
from cnngen.training.energy import Component, Energy, Provenance
from cnngen.training.protocol import ADDED, Epoch, Protocol, TrainingResult

FILES = {"model.cnn", "model_torch.py", "model.svg", "model.png", "adjacency.json", "record.json"}
SOURCE = "import torch  # é\n" * 100


def network(filters: int = 4) -> Network:
    return lower(
        parse(
            f"Tiny -> input(8x8x1) conv(filters={filters}, kernel=3x3, stride=1x1, padding=same,"
            " activation=relu, bias=true) flatten dense(units=3, activation=linear) output(3)"
        )
    )


def dataset() -> Dataset:
    import numpy as np

    images = np.arange(30 * 64).reshape(30, 8, 8, 1).astype(np.uint8)
    return Dataset("made up", images, np.arange(30) % 3, ("a", "b", "c"))


def energy() -> Energy:
    provenance = Provenance(
        cpu=Component("modelled", "TDP x load"),
        gpu=Component("absent", "no GPU found"),
        ram=Component("modelled", "constant for the memory's size"),
        tdp=8.0,
        tdp_origin="guessed",
        ram_power=20.0,
        mode="machine",
        country_stated=False,
        others_before=None,
        others_during=0.25,
        shared=False,
        cpu_share=None,
        gpu_share=None,
        idle_seconds=5.0,
        idle_age=12.5,
        idle_spread=0.5,
        idle_others=0.125,
        calibration_date="2026-11-27T13:00:00+00:00",
        calibration_method="power log",
        calibration_idle_power=43.0,
        calibration_cpu_power=53.0,
        calibration_error=1e-6,
        codecarbon="3.3.2",
    )
    return Energy(
        emissions=1e-6,
        emissions_rate=1e-7,
        cpu_power=8.0,
        gpu_power=0.0,
        ram_power=20.0,
        cpu_energy=2e-5,
        gpu_energy=0.0,
        ram_energy=5e-5,
        total_energy=7e-5,
        idle_power=27.5,
        net_energy=-1e-6,
        gpu_counter_energy=None,
        calibrated_energy=2e-4,
        duration=9.5,
        country_name="World",
        country_code=None,
        provenance=provenance,
    )


def record(net: Network | None = None, seed: int = 0, **changes: object) -> Record:
    result = TrainingResult(
        status="ok",
        cause=None,
        epochs=(Epoch(1, 0.5, 1.5, 0.25, 1.25, 0.5), Epoch(2, 0.5, 0.5, 0.75, 0.625, 0.625)),
        train_seconds=1.0,
        test_loss=0.5,
        test_accuracy=0.75,
        device="cpu",
        threads=1,
    )
    return make_record(
        net or network(),
        dataset(),
        Protocol(seed=seed),
        replace(result, **changes),  # type: ignore[arg-type]
        backend="torch",
        framework="torch 2.15.0",
        energy=energy(),
        seed=2**64 - 1,
        space="paper",
    )


def failed() -> Record:
    epochs = (Epoch(1, 0.5, math.nan, 0.25, math.inf, 0.5),)
    return record(
        seed=1,
        status="nan",
        cause="the loss is NaN",
        epochs=epochs,
        test_loss=math.nan,
        test_accuracy=None,
    )


def test_a_run_holds_every_file_and_each_can_be_read_by_others(tmp_path: Path) -> None:
    net, kept = network(), record()
    run = save(tmp_path / "new" / "runs", kept, net, SOURCE)
    assert run == tmp_path / "new" / "runs" / kept.key
    assert {path.name for path in run.iterdir()} == FILES
    again = lower(parse((run / "model.cnn").read_text()))
    assert (again, again.id, again.name) == (net, net.id, "Tiny")
    assert (run / "model_torch.py").read_text() == SOURCE
    assert len(Graph.from_json((run / "adjacency.json").read_text()).operations) == len(net) + 1
    assert ElementTree.parse(run / "model.svg").getroot().tag.endswith("svg")
    with Image.open(run / "model.png") as image:
        image.verify()
    assert json.loads((run / "record.json").read_text())["test_accuracy"] == 0.75
    assert Record.from_json((run / "record.json").read_bytes()) == kept


def test_a_record_says_what_its_training_and_network_were() -> None:
    kept = record()
    assert (kept.id, kept.name, kept.backend, kept.epochs) == (network().id, "Tiny", "torch", 2)
    assert (kept.train_accuracy, kept.validation_accuracy) == (0.75, 0.625)
    assert (kept.train_loss, kept.validation_loss) == (0.5, 0.625)
    assert kept.parameters == 4 * 10 + 3 * (256 + 1)
    assert kept.multiply_adds == 64 * 4 * 9 + 256 * 3
    assert kept.flops == 2 * kept.multiply_adds
    assert (kept.data.shape, kept.data.classes, kept.data.images) == ((8, 8, 1), 3, 30)


def test_the_machine_is_described_as_the_system_describes_it() -> None:
    machine = this_machine(threads=2)
    assert machine.cores == int(subprocess.check_output(["nproc"], env=without_threads()))
    total = next(x for x in Path("/proc/meminfo").read_text().split() if x.isdigit())
    assert machine.memory == int(total) * 1024
    assert machine.cpu in Path("/proc/cpuinfo").read_text()


def without_threads() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}


FIGURE = st.one_of(st.none(), st.floats())


@settings(max_examples=100, deadline=None)
@given(
    test_loss=FIGURE,
    accuracy=st.one_of(st.none(), st.just(math.nan), st.floats(0, 1)),
    epochs=st.lists(st.tuples(st.floats(), st.floats(0, 1)), max_size=3),
    cause=st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]))),
    seconds=st.floats(0, 1e9),
)
def test_what_is_written_reads_as_the_same_record(
    test_loss: float | None,
    accuracy: float | None,
    epochs: list[tuple[float, float]],
    cause: str | None,
    seconds: float,
) -> None:
    """Law: reading a record's JSON and writing it again gives the same, standard JSON."""
    kept = record(
        test_loss=test_loss,
        test_accuracy=accuracy,
        epochs=tuple(
            Epoch(i, 1.0, loss, share, loss, share) for i, (loss, share) in enumerate(epochs)
        ),
        cause=cause,
        train_seconds=seconds,
    )
    text = kept.to_json()
    again = Record.from_json(text)
    assert again.to_json() == text
    assert again.key == kept.key
    if all(math.isfinite(loss) for loss, _ in epochs):
        assert again == kept

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    json.loads(text, parse_constant=refuse)


def test_figures_that_are_no_finite_numbers_become_null() -> None:
    text = json.loads(failed().to_json())
    assert text["test_loss"] is None
    assert text["train_loss"] is None
    assert text["history"][0]["train_loss"] is None
    assert text["history"][0]["validation_loss"] is None
    assert (text["status"], text["cause"]) == ("nan", "the loss is NaN")
    assert math.isnan(Record.from_json(failed().to_json()).history[0].train_loss)


@pytest.mark.parametrize(
    ("find", "put"),
    [
        ('"schema": 1', '"schema": 2'),
        ('"layers": 4,', ""),
        ('"layers": 4', '"layers": "4"'),
        ('"layers": 4', '"layers": -4'),
        ('"layers": 4', '"layers": 4, "extra": 1'),
        ('"batch": 64', '"batch": 64, "extra": 1'),
        ('"batch": 64', '"batch": 0'),
        ('"tdp": 8.0', '"tdp": "much"'),
        ('"status": "ok"', '"status": "fine"'),
        ('"test_accuracy": 0.75', '"test_accuracy": 75'),
        ('"test_loss": 0.5', '"test_loss": NaN'),
        ('"number": 2', '"number": null'),
        ('"backend": "torch"', '"backend": "../torch"'),
        (
            "{",
            "[",
        ),
        ("}", ""),
    ],
)
def test_what_is_no_record_is_refused_in_one_line(find: str, put: str) -> None:
    text = record().to_json()
    assert find in text
    with pytest.raises(StoreError) as caught:
        Record.from_json(text.replace(find, put, 1))
    assert len(str(caught.value).splitlines()) == 1


def test_deeply_nested_json_is_refused() -> None:
    with pytest.raises(StoreError):
        Record.from_json("[" * 1_000_000)


def test_a_runs_key_tells_network_backend_protocol_and_data_apart() -> None:
    kept = record()
    other = replace(kept.data, digest="0" * 16)
    keys = {
        kept.key,
        record(network(5)).key,
        record(seed=1).key,
        record_id(kept.id, "keras", kept.protocol, kept.data),
        record_id(kept.id, "torch", kept.protocol, other),
    }
    assert len(keys) == 5
    assert record(test_accuracy=0.5).key == kept.key


def test_a_key_is_the_same_in_every_version() -> None:
    data = replace(record().data, digest="0123456789abcdef")
    assert record_id("f" * 16, "torch", Protocol(), data) == "ffffffffffffffff-torch-05f43a34"
    younger = replace(Protocol(), schedule="cosine")
    assert record_id("f" * 16, "torch", younger, data) != "ffffffffffffffff-torch-8f21c1d8"


def test_a_record_of_an_older_version_reads_as_one_that_did_without() -> None:
    kept = record()
    text = json.loads(kept.to_json())
    del text["cause_epoch"]
    for name in ADDED:
        del text["protocol"][name]
    older = Record.from_json(json.dumps(text))
    assert (older, older.key) == (kept, kept.key)


def test_a_run_is_not_overwritten_unless_that_is_asked(tmp_path: Path) -> None:
    save(tmp_path, record(), network(), SOURCE)
    with pytest.raises(StoreError, match="is there already"):
        save(tmp_path, record(test_accuracy=0.5), network(), "other")
    assert load(tmp_path)[0].test_accuracy == 0.75
    run = save(tmp_path, record(test_accuracy=0.5), network(), "other", overwrite=True)
    assert load(tmp_path)[0].test_accuracy == 0.5
    assert (run / "model_torch.py").read_text() == "other"
    assert list((tmp_path / ".partial").iterdir()) == []


def test_a_run_that_cannot_take_an_olds_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = save(tmp_path, record(), network(), SOURCE)
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if ".new." in self.name:
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(StoreError, match="Input/output error"):
        save(tmp_path, record(test_accuracy=0.5), network(), SOURCE, overwrite=True)
    monkeypatch.undo()
    assert load(tmp_path)[0].test_accuracy == 0.75
    assert {path.name for path in run.iterdir()} == FILES
    assert list((tmp_path / ".partial").iterdir()) == []


SAVER = """
import itertools, os, random, signal, sys, time
from dataclasses import replace
sys.path.insert(0, {tests!r})
import test_store as t
from cnngen.runs.store import save

folder, kills = sys.argv[1], int(sys.argv[2])
nets = [t.network(), t.network(5)]
runs = [(net, t.record(net, seed)) for net in nets for seed in range(4)]
random.seed(1)
for kill in range(kills):
    ready, report = os.pipe()
    child = os.fork()
    if child == 0:
        for number in itertools.count():
            net, record = runs[(kill + number) % len(runs)]
            mark = f"{{kill}}.{{number}}"
            source = ("# " + mark + chr(10)) * 2000
            save(folder, replace(record, cause=mark), net, source, overwrite=True)
            os.write(report, b".")
    os.read(ready, 1)
    time.sleep(random.uniform(0, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print(t.check(folder), flush=True)
"""


def check(folder: str) -> int:
    """Every visible run is whole, and all of its files are of one saving."""
    runs = load(folder)
    assert not runs.broken, runs.broken
    visible = [path for path in Path(folder).iterdir() if not path.name.startswith(".")]
    assert len(visible) == len(runs)
    for kept in runs:
        run = runs.path(kept)
        assert {path.name for path in run.iterdir()} == FILES
        source = (run / "model_torch.py").read_text()
        assert source == f"# {kept.cause}\n" * 2000
        assert lower(parse((run / "model.cnn").read_text())).id == kept.id
        assert ElementTree.parse(run / "model.svg")
        Image.open(io.BytesIO((run / "model.png").read_bytes())).load()
        Graph.from_json((run / "adjacency.json").read_text())
    return len(runs)


def test_whenever_a_writer_is_killed_every_visible_run_is_whole(tmp_path: Path) -> None:
    tests = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", SAVER.format(tests=tests), str(tmp_path), "15"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 15
    seen = max(map(int, done.stdout.split()))
    assert seen >= 6
    # What the killed ones left is cleared away when it is old enough, and nothing else is.
    partial = tmp_path / ".partial"
    for left in partial.iterdir():
        os.utime(left, (0, 0))
    sweep(tmp_path)
    assert list(partial.iterdir()) == []
    assert check(str(tmp_path)) >= seen


def test_what_killed_writers_left_is_cleared_away_once_it_is_old(tmp_path: Path) -> None:
    kept = record()
    run = save(tmp_path, kept, network(), SOURCE)
    partial = tmp_path / ".partial"
    half, fresh, strange = (
        partial / f"{kept.key}.new.00ab",
        partial / f"{kept.key}.new.00cd",
        partial / "notes",
    )
    for folder in (half, fresh, strange):
        folder.mkdir()
        (folder / "record.json").write_text("{")
    for folder in (half, strange):
        os.utime(folder, (time.time() - 3600,) * 2)
    assert len(load(tmp_path)) == 1
    save(tmp_path, record(seed=5), network(), SOURCE)
    assert {path.name for path in partial.iterdir()} == {fresh.name, strange.name}
    assert {path.name for path in run.iterdir()} == FILES


def test_a_run_put_aside_by_a_killed_writer_comes_back(tmp_path: Path) -> None:
    kept = record()
    run = save(tmp_path, kept, network(), SOURCE)
    aside = tmp_path / ".partial" / f"{kept.key}.old.00ab"
    run.rename(aside)
    sweep(tmp_path)  # its writer may still be at work
    assert aside.exists()
    os.utime(aside, (0, 0))
    sweep(tmp_path)
    assert load(tmp_path)[0] == kept
    assert not aside.exists()


def test_broken_runs_are_reported_and_hide_no_others(tmp_path: Path) -> None:
    whole = record()
    save(tmp_path, whole, network(), SOURCE)
    keys = [f"{i:016x}-torch-{i:08x}" for i in range(6)]
    for key in keys[:4]:
        (tmp_path / key).mkdir()
    (tmp_path / keys[0] / "record.json").write_text(whole.to_json()[:200])
    (tmp_path / keys[1] / "record.json").write_text(whole.to_json())
    (tmp_path / keys[2] / "record.json").write_bytes(b"\xff\xfe")
    (tmp_path / keys[4]).symlink_to(tmp_path / whole.key)
    (tmp_path / keys[5]).write_text("a file")
    for other in ("notes", "..data", "0" * 16 + "-torch-0000000", "x.py"):
        (tmp_path / other).mkdir()
    runs = load(tmp_path)
    assert list(runs) == [whole]
    reasons = {path.name: reason for path, reason in runs.broken}
    assert list(reasons) == keys
    assert "Invalid JSON" in reasons[keys[0]]
    assert "that of another run" in reasons[keys[1]]
    assert "No such file" in reasons[keys[3]]
    assert "symbolic link" in reasons[keys[4]]
    assert "Not a directory" in reasons[keys[5]]


def test_one_run_is_read_by_its_folder_and_a_missing_one_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = record()
    run = save(tmp_path, kept, network(), SOURCE)
    monkeypatch.chdir(run)
    assert load_run(run) == load_run(".") == kept
    with pytest.raises(StoreError, match=r"nothing: record\.json cannot be read"):
        load_run(tmp_path / "nothing")


def test_runs_are_a_sequence_in_the_order_of_their_keys(tmp_path: Path) -> None:
    for seed in range(5):
        save(tmp_path, record(seed=seed), network(), SOURCE)
    runs = load(tmp_path)
    assert [kept.key for kept in runs] == sorted(kept.key for kept in runs)
    assert len(runs) == 5
    assert runs[1:3] == [runs[1], runs[2]]
    assert runs.path(runs[0]).is_dir()
    assert repr(runs) == f"<5 runs of {tmp_path}>"


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "nowhere"):
        with pytest.raises(StoreError, match="cannot be read"):
            load(path)
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match="cannot be written"):
            save(path, record(), network(), SOURCE)
    with pytest.raises(StoreError, match="cannot be written"):
        save("/proc/self/here", record(), network(), SOURCE)


@pytest.mark.parametrize("place", [".partial", record().key])
def test_symbolic_links_in_the_way_are_not_followed(tmp_path: Path, place: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / place).symlink_to(elsewhere)
    with pytest.raises(StoreError, match="symbolic link"):
        save(tmp_path / "runs", record(), network(), SOURCE, overwrite=True)
    assert list(elsewhere.iterdir()) == []


def test_a_disk_without_room_leaves_no_trace_of_a_run(tmp_path: Path) -> None:
    # The system itself refuses to write files of more than 1,000 bytes.
    code = (
        "import resource, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_store as t\n"
        "from cnngen.errors import StoreError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: t.save(sys.argv[1], t.record(), t.network(), t.SOURCE)\n"
        "except StoreError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cannot be written: File too large" in done.stdout
    assert [path.name for path in tmp_path.rglob("*")] == [".partial"]


@pytest.mark.parametrize(
    "wrong",
    [{"backend": "../../evil"}, {"backend": ""}, {"id": "0" * 16}, {"id": "../x"}, {"layers": -1}],
)
def test_records_that_are_no_valid_ones_are_not_stored(
    tmp_path: Path, wrong: dict[str, object]
) -> None:
    with pytest.raises(StoreError):
        save(tmp_path, replace(record(), **wrong), network(), SOURCE)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_network_too_large_to_draw_is_stored_without_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(network: Network) -> str:
        raise CnnGenError("too large to be drawn")

    monkeypatch.setattr("cnngen.network.picture.to_svg", refuse)
    run = save(tmp_path, record(), network(), SOURCE)
    assert {path.name for path in run.iterdir()} == FILES - {"model.svg", "model.png"}
    assert len(load(tmp_path)) == 1


COLUMNS = """\
schema Int64
id string
name string
backend string
seed UInt64
space string
finished string
versions_cnngen string
versions_python string
versions_framework string
versions_codecarbon string
versions_os string
hardware_cpu string
hardware_cores Int64
hardware_memory Int64
hardware_gpu string
hardware_threads Int64
protocol_name string
protocol_epochs Int64
protocol_batch Int64
protocol_optimizer string
protocol_learning_rate float64
protocol_split string
protocol_test_share float64
protocol_validation_share float64
protocol_precision string
protocol_seed Int64
protocol_time_budget float64
protocol_schedule string
protocol_warmup float64
protocol_augmentation string
protocol_abort_dead Int64
protocol_keep string
protocol_patience Int64
data_name string
data_shape string
data_classes Int64
data_images Int64
data_digest string
data_prepared string
status string
cause string
cause_epoch Int64
device string
precision string
skipped_steps Int64
execution string
execution_cause string
test_accuracy float64
validation_accuracy float64
train_accuracy float64
test_loss float64
validation_loss float64
train_loss float64
train_seconds float64
epochs Int64
layers Int64
parameters Int64
multiply_adds Int64
flops Int64
energy_emissions float64
energy_emissions_rate float64
energy_cpu_power float64
energy_gpu_power float64
energy_ram_power float64
energy_cpu_energy float64
energy_gpu_energy float64
energy_ram_energy float64
energy_total_energy float64
energy_idle_power float64
energy_net_energy float64
energy_gpu_counter_energy float64
energy_calibrated_energy float64
energy_duration float64
energy_country_name string
energy_country_code string
energy_cpu_method string
energy_cpu_means string
energy_gpu_method string
energy_gpu_means string
energy_ram_method string
energy_ram_means string
energy_tdp float64
energy_tdp_origin string
energy_mode string
energy_country_stated boolean
energy_others_before float64
energy_others_during float64
energy_shared boolean
energy_cpu_share float64
energy_gpu_share float64
energy_idle_seconds float64
energy_idle_age float64
energy_idle_spread float64
energy_idle_others float64
energy_calibration_date string
energy_calibration_method string
energy_calibration_idle_power float64
energy_calibration_cpu_power float64
energy_calibration_error float64
energy_codecarbon string
energy_cause string"""


def test_the_table_has_the_same_columns_and_types_for_any_records() -> None:
    nothing = table([])
    bare = replace(failed(), energy=None, energy_cause="CodeCarbon failed", seed=None, name=None)
    some = table([record(), bare])
    for rows in (nothing, some, table([bare])):
        assert "\n".join(f"{name} {dtype}" for name, dtype in rows.dtypes.items()) == COLUMNS
        assert rows.index.name == "key"
    assert some.shape == (2, len(nothing.columns))


def test_the_table_holds_the_records_figures(tmp_path: Path) -> None:
    good, bad = record(), failed()
    save(tmp_path, good, network(), SOURCE)
    save(tmp_path, bad, network(), SOURCE)
    rows = load(tmp_path).to_pandas()
    row = rows.loc[good.key]
    assert row["test_accuracy"] == 0.75
    assert row["seed"] == 2**64 - 1
    assert row["data_shape"] == "8x8x1"
    assert row["protocol_batch"] == 64
    assert row["energy_cpu_power"] == 8.0
    assert row["energy_cpu_method"] == "modelled"
    assert row["hardware_threads"] == 1
    assert rows.loc[bad.key, "status"] == "nan"
    assert math.isnan(rows.loc[bad.key, "test_accuracy"])
    assert rows["test_accuracy"].mean() == 0.75


def test_reading_runs_imports_no_pandas_and_no_framework(tmp_path: Path) -> None:
    save(tmp_path, record(), network(), SOURCE)
    code = (
        "import sys, cnngen.runs.store\n"
        "cnngen.runs.store.load(sys.argv[1])\n"
        "print([m for m in ('torch', 'sklearn', 'pandas', 'codecarbon') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_cause_with_brackets_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    from cnngen.cli.show_records import print_records as show_table

    show_table([record(status="error", cause="at [/job:localhost] [bold]x")])
    printed = capsys.readouterr().out.replace("\n", "")
    assert "[/job" in printed


def test_names_of_data_and_protocol_do_not_change_the_key() -> None:
    summary = dataset().summary
    one = record_id("a" * 16, "torch", Protocol("one"), summary)
    other = record_id("a" * 16, "torch", Protocol("other"), replace(summary, name="else"))
    assert one == other
    assert one != record_id("a" * 16, "torch", Protocol("one", epochs=11), summary)
