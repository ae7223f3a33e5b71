"""`cnngen predict`, and the model that CNNGen brings."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from known import known
from pyarrow import parquet

import cnngen
from cnngen.cli.app import run
from cnngen.network import Network
from cnngen.predict.boosting import Growth
from cnngen.predict.domain import Domain
from cnngen.predict.model import SHIPPED, Model

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A data set as it is shipped: descriptions and figures."""
    rows = [
        {
            "description": one.network.to_text(),
            "data_name": "digits",
            "test_accuracy": one.targets["accuracy"],
            "train_seconds": one.targets["time"],
            "energy_total_energy": one.targets["energy"],
            "status": "ok",
        }
        for one in known()[:60]
    ]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "made-up.parquet")
    return tmp_path / "made-up.parquet"


def test_a_model_is_made_of_a_file_and_asked(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cnngen.predict.boosting.GROWTHS", (Growth(40, 6, 0.1),))
    model = tmp_path / "made-up.zip"
    assert run(["predict", "--fit", str(file), "-o", str(model)]) == 0
    assert "from 60 networks" in capsys.readouterr().out
    description = tmp_path / "one.cnn"
    description.write_text(known()[70].network.to_text())
    assert run(["predict", str(description), "--model", str(model), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["id"] == known()[70].network.id
    for target in ("accuracy", "time", "energy"):
        one = found[target]
        assert one["low"] <= one["mean"] <= one["high"]
        assert one["std"] > 0
    loaded = Model.load(model)
    said = loaded.predict([known()[70].network])
    assert found["time"]["mean"] == float(said["time"].mean[0])
    assert sum(loaded.origin.values()) == 60


def paper(count: int, shape: tuple[int, int, int] = (8, 8, 1), seed: int = 99) -> list[Network]:
    return list(cnngen.sample_many(count, "paper", input_shape=shape, seed=seed))


@pytest.mark.parametrize(
    ("energies", "said"),
    [
        ({"measured": 3}, ""),
        ({"modelled": 3}, "not from measured ones"),
        ({"modelled": 3, "measured": 2}, "from 3 modelled and 2 measured"),
        ({"measured": 2, "": 1}, "is not known"),
        ({}, "is not known"),
    ],
)
def test_a_model_says_where_its_energies_come_from(
    energies: dict[str, int], said: str, tmp_path: Path
) -> None:
    replace(Model.load(), energies=energies).save(tmp_path / "some.zip")
    model = Model.load(tmp_path / "some.zip")
    note = model.predict([known()[0].network])["energy"].note
    assert said in note if said else note == ""


def test_of_networks_like_those_it_learnt_from_the_model_warns_seldom() -> None:
    # Drawn anew from the space that it was fitted on: about one in a hundred should be told off.
    warnings = Model.load().domain.warnings(paper(60))
    assert sum(map(bool, warnings)) <= 4


def test_of_other_images_and_sizes_the_model_warns() -> None:
    domain = Model.load().domain
    large = cnngen.resolve(cnngen.read(EXAMPLES / "vgg16.cnn"))
    wider = "input conv(filters=900, kernel=7) conv(filters=900) flatten dense output"
    networks = [
        large,
        *paper(3, (32, 32, 3)),
        cnngen.resolve(cnngen.parse(wider), input_shape=(8, 8, 1)),
        cnngen.resolve(cnngen.parse("input conv flatten dense output"), input_shape=(8, 8, 1), classes=7),
    ]  # fmt: skip
    found = domain.warnings(networks)
    assert all(found)
    assert found[0][0] == "images of 224x224x3 in 1000 classes (seen: 8x8x1 of 10)"
    assert any("138 M parameters" in reason for reason in found[0])
    assert "in 7 classes" in found[-1][0]


def test_a_network_of_unseen_kind_is_far_though_its_size_is_usual() -> None:
    # Twenty-five large kernels with sigmoid in a row: no size is unusual for the space.
    deep = "conv(filters=16, kernel=7, stride=1, padding=same, activation=sigmoid)" * 25
    network = cnngen.resolve(
        cnngen.parse(f"input {deep} flatten dense output"), input_shape=(8, 8, 1)
    )
    found = Model.load().domain.warnings([network])[0]
    assert any("as far off as" in reason for reason in found)


def test_a_domain_is_measured_in_independent_directions() -> None:
    domain = Domain.of([one.network for one in known()])
    inside = domain.distances([one.network for one in known()])
    assert np.median(inside) < 1
    assert (inside > 1).mean() <= 0.03
    assert domain.distances(paper(5, (224, 224, 3))).min() > 1


def test_the_shipped_model_ranks_the_good_above_the_hopeless(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    layer = "conv(filters=16, kernel=3, stride=1, padding=same, activation=relu)"
    good = f"input {layer} {layer.replace('16', '32')} max_pooling(size=2, stride=2) {layer} "
    hopeless = (
        "input conv(filters=16, kernel=1, stride=4, activation=gelu) dropout(rate=0.8) "
        "conv(filters=16, kernel=1, stride=1, activation=gelu) dropout(rate=0.8) "
        "avg_pooling(size=2, stride=2) "
    )
    for name, text in (("good", good), ("hopeless", hopeless)):
        (tmp_path / f"{name}.cnn").write_text(f"{text} flatten dense output")
    names = [str(tmp_path / f"{name}.cnn") for name in ("good", "hopeless")]
    assert run(["predict", *names, "--json"]) == 0
    best, worst = json.loads(capsys.readouterr().out)
    assert best["accuracy"]["mean"] > 0.7
    assert worst["accuracy"]["mean"] < 0.5
    assert best["energy"]["mean"] > worst["energy"]["mean"]
    assert "modelled" in best["energy"]["note"]
    assert "note" not in best["time"]
    assert run(["predict", *names]) == 0
    shown = capsys.readouterr().out
    assert "Energies are learnt from modelled ones" in shown
    assert "good.cnn" in shown
    assert "Learnt from" in shown


def test_a_figure_of_a_network_unlike_the_known_ones_never_stands_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [tmp_path / folder / "net.cnn" for folder in ("large", "small")]
    for name, shape in zip(names, ((32, 32, 3), (8, 8, 1)), strict=True):
        name.parent.mkdir()
        name.write_text(paper(1, shape, seed=3)[0].to_text())
    assert run(["predict", *map(str, names)]) == 0
    large, small = capsys.readouterr().out.splitlines()[1:3]
    assert large.startswith(str(names[0]))
    assert small.startswith(str(names[1]))
    assert large.count("outside: ") == 4
    assert "outside" not in small
    assert run(["predict", *map(str, names), "--json"]) == 0
    unlike, like = json.loads(capsys.readouterr().out)
    for target in ("accuracy", "time", "energy", "trainability"):
        assert unlike[target]["outside"] == unlike["outside"] != []
        assert "outside" not in like[target]


def test_predicting_loads_no_framework_and_no_trainer() -> None:
    program = (
        "import sys; from cnngen.cli.app import run; "
        f"code = run(['predict', {str(EXAMPLES / 'open.cnn')!r}]); "
        "heavy = {'torch', 'tensorflow', 'lightgbm', 'sklearn', 'pandas', 'pyarrow'}; "
        "print(code, sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 []", done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "nothing to predict"),
        (["--fit", "somewhere"], "--fit cannot be combined"),
        (["--fit", "nowhere.parquet", "-o", "x.zip"], "there is no nowhere.parquet"),
        (["-o", "x.zip", str(EXAMPLES / "open.cnn")], "-o is for --fit"),
        ([str(EXAMPLES / "open.cnn"), "-m", str(EXAMPLES / "open.cnn")], "not a saved predictor"),
        ([str(EXAMPLES / "open.cnn"), "--data", "nothing"], "unknown data set 'nothing'"),
        ([str(EXAMPLES / "vgg16.cnn"), "--input", "8x8x1"], "224x224x3"),
        (["nothing.cnn"], "nothing.cnn"),
    ],
)
def test_a_mistake_is_told_in_a_line(
    arguments: list[str],
    reason: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["predict", *arguments]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert "Traceback" not in error


@pytest.mark.parametrize("out", [".", "missing/model.zip"])
def test_where_the_model_cannot_go_is_said_before_anything_is_read(
    out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["predict", "--fit", str(tmp_path / "no runs"), "-o", str(tmp_path / out)])
    assert code == 2
    assert "-o names the model's file." in capsys.readouterr().err


def test_the_shipped_model_is_small() -> None:
    assert SHIPPED.stat().st_size < 2**21
