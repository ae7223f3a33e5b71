"""Trees: as arrays, fitted, calibrated, saved, and read from files of strangers."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from known import known, networks
from sklearn.base import clone

from cnngen.errors import CnnGenError, StoreError
from cnngen.predict import PREDICTORS, Predictor, judge, kendall, load, score, split
from cnngen.predict.boosting import Growth
from cnngen.predict.calibration import Calibration
from cnngen.predict.forest import MAX_DEPTH, Forest
from cnngen.predict.predictor import Prediction
from cnngen.predict.trees import Trees

lightgbm = pytest.importorskip("lightgbm")
random = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnngen.predict.boosting.GROWTHS", (Growth(80, 6, 0.1),))


@pytest.fixture(scope="module")
def fitted() -> Predictor:
    return Trees(bags=1, folds=3).fit(known()[:90], "time")


def test_a_forest_says_what_lightgbm_says() -> None:
    rows = random.normal(size=(300, 7))
    wanted = rows[:, 0] * np.sign(rows[:, 1]) + 0.1 * random.normal(size=300)
    grown = [
        lightgbm.train(
            {"num_leaves": 9, "verbose": -1, "seed": seed, "feature_fraction": 0.5},
            lightgbm.Dataset(rows, wanted, params={"verbose": -1}),
            30,
        )
        for seed in (1, 2)
    ]
    asked = random.normal(size=(1000, 7))
    expected = np.mean([booster.predict(asked) for booster in grown], axis=0)
    forest = Forest.of(grown)
    assert np.abs(forest(asked) - expected).max() < 1e-6
    assert np.abs(Forest.restored(forest.arrays(), 7)(asked) - expected).max() < 1e-6
    assert forest(asked[:0]).shape == (0,)


def chain(depth: int) -> Forest:
    """One tree that goes on to the right only."""
    nodes = 2 * depth + 1
    below = np.arange(nodes)
    threshold = np.full(nodes, np.finfo(np.float64).max)
    at = 0
    for step in range(depth):
        below[at], threshold[at] = 2 * step + 1, 0.0
        at = 2 * step + 2
    zeros = np.zeros(nodes, np.int32)
    return Forest(zeros, threshold, below.astype(np.int32), zeros.astype(float), zeros[:1])


def test_a_tree_may_be_deep_but_not_endless() -> None:
    assert Forest.restored(chain(MAX_DEPTH).arrays(), 1)(np.ones((2, 1))).tolist() == [0, 0]
    with pytest.raises(CnnGenError, match="deeper"):
        Forest.restored(chain(MAX_DEPTH + 1).arrays(), 1)


@pytest.mark.parametrize(
    ("array", "at", "value"),
    [
        ("below", 0, 0),  # goes on to itself and is no leaf
        ("below", 2, 1),  # goes back
        ("below", 0, 8),  # the one after it is missing
        ("below", 0, -1),
        ("feature", 0, 1),
        ("feature", 0, -1),
        ("roots", 0, 9),
        ("roots", 0, -1),
        ("threshold", 0, np.nan),
        ("value", 3, np.inf),
    ],
)
def test_trees_that_would_not_end_at_a_leaf_are_refused(array: str, at: int, value: float) -> None:
    arrays = {name: np.array(values) for name, values in chain(4).arrays().items()}
    Forest.restored(arrays, 1)
    arrays[array][at] = value
    with pytest.raises(CnnGenError):
        Forest.restored(arrays, 1)


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    for name in ("feature", "value", "roots"):
        arrays = chain(4).arrays()
        arrays[name] = np.tile(arrays[name], 30)
        with pytest.raises(CnnGenError):
            Forest.restored(arrays, 1)
        del arrays[name]
        with pytest.raises(CnnGenError):
            Forest.restored(arrays, 1)


def test_an_interval_is_as_wide_as_errors_are_there() -> None:
    # Errors of standard deviation 1 where the column is below 0, and 5 where it is above.
    rows = random.uniform(-1, 1, (3000, 1))
    deviation = np.where(rows[:, 0] < 0, 1.0, 5.0)
    errors = np.abs(random.normal(size=3000) * deviation)
    found = Calibration.of(rows[:1500], errors[:1500])
    std, half = found.spread(rows[1500:])
    assert np.median(std[rows[1500:, 0] < 0]) == pytest.approx(1, rel=0.15)
    assert np.median(std[rows[1500:, 0] > 0]) == pytest.approx(5, rel=0.15)
    assert (errors[1500:] <= half).mean() == pytest.approx(0.9, abs=0.02)


def test_trees_learn_what_follows_from_a_network() -> None:
    parts = split(known(), 0)
    accuracy = judge(Trees(bags=1, folds=3), parts, "accuracy")
    assert accuracy.tau > 0.5
    assert 0.7 <= accuracy.coverage <= 1
    assert accuracy.count == 24
    energy = judge(Trees(bags=1, folds=3), parts, "energy")
    assert energy.tau > 0.7


def test_whether_a_network_trains_is_a_probability() -> None:
    model = Trees(bags=1, folds=3).fit(known(), "trainability")
    said = model.predict(networks())
    assert ((said.mean >= 0) & (said.mean <= 1)).all()
    assert np.allclose(said.std, np.sqrt(said.mean * (1 - said.mean)))
    assert set(said.low) | set(said.high) <= {0.0, 1.0}
    trained = np.array([one.targets["trainability"] for one in known()])
    assert said.mean[trained == 1].min() > said.mean[trained == 0].mean()


def test_figures_are_in_the_unit_of_the_target(fitted: Predictor) -> None:
    said = fitted.predict(networks()[90:])
    true = np.array([one.targets["time"] for one in known()[90:]])
    assert (said.low > 0).all()
    assert ((said.low < said.mean) & (said.mean < said.high)).all()
    assert kendall(said.mean, true) > 0.7
    assert np.median(np.abs(np.log(said.mean / true))) < 0.4


def test_the_same_examples_give_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Trees(bags=1, folds=2).fit(known()[:40], "accuracy").save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_is_saved_says_the_same_when_it_is_read(fitted: Predictor, tmp_path: Path) -> None:
    fitted.save(tmp_path / "trees")
    for read in (load(tmp_path / "trees"), Trees.load(tmp_path / "trees")):
        assert isinstance(read, Trees)
        assert read.get_params() == fitted.get_params()
        before, after = fitted.predict(networks()), read.predict(networks())
        for part in ("mean", "std", "low", "high"):
            assert np.array_equal(getattr(before, part), getattr(after, part))


def test_scikit_learn_takes_it_for_an_estimator() -> None:
    copy = clone(Trees(bags=7, folds=4, seed=3))
    assert copy.get_params() == {"bags": 7, "folds": 4, "seed": 3}
    assert copy.set_params(bags=2).bags == 2
    with pytest.raises(CnnGenError, match="unknown hyper-parameter 'bag'"):
        copy.set_params(bag=2)


def test_nothing_is_predicted_before_it_is_fitted(tmp_path: Path) -> None:
    for ask in (lambda: Trees().predict(networks()[:1]), lambda: Trees().save(tmp_path / "a")):
        with pytest.raises(CnnGenError, match="call fit first"):
            ask()
    with pytest.raises(CnnGenError, match="at least 20 are needed"):
        Trees().fit(known()[:19], "accuracy")
    lacking = [replace(one, targets={"accuracy": None}) for one in known()]
    with pytest.raises(CnnGenError, match="0 of 120 examples"):
        Trees().fit(lacking, "accuracy")
    with pytest.raises(CnnGenError, match="unknown target 'beauty'"):
        Trees().fit(known(), "beauty")  # type: ignore[arg-type]


def test_scores_are_those_of_the_definitions() -> None:
    said = Prediction(np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4))
    found = score(said, np.array([1.0, 3.0, 2.0, 9.0]))
    # Five of six pairs agree; errors are 0, 1, 1, 5; three lie within 1.645 deviations.
    assert found.tau == pytest.approx((5 - 1) / 6)
    assert found.mae == 7 / 4
    assert found.coverage == 3 / 4
    assert found.nll == pytest.approx(np.log(2 * np.pi) / 2 + (0 + 1 + 1 + 25) / 8)


Edit = Callable[[dict[str, object], dict[str, bytes]], object]


def rewritten(source: Path, target: Path, edit: Edit) -> Path:
    """A saved predictor with its JSON or its arrays changed."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    head = json.loads(members.pop("predictor.json"))
    edit(head, members)
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("predictor.json", json.dumps(head))
        for name, content in members.items():
            archive.writestr(name, content)
    return target


def array(values: object, dtype: object = None) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array(values, dtype), allow_pickle=True)
    return stream.getvalue()


def huge(shape: str) -> bytes:
    """An array's header that asks for more than there is."""
    plain = array([1.0])
    return plain.replace(b"(1,), }" + b" " * len(shape), f"({shape},), }}".encode() + b" ")


class Trap:
    """Makes a file where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, ("/tmp/predictors-trap", "w")


def scale(head: dict[str, object], value: object) -> None:
    values = head["values"]
    assert isinstance(values, dict)
    values["scale"] = value


EDITS: dict[str, Edit] = {
    "another predictor": lambda head, _: head.update(predictor="os.system"),
    "no target": lambda head, _: head.update(target="beauty"),
    "unknown parameter": lambda head, _: head.update(params={"path": "x"}),
    "wrong parameter": lambda head, _: head.update(params={"bags": "1"}),
    "another format": lambda head, _: head.update(format=99),
    "no values": lambda head, _: head.update(values=[]),
    "other features": lambda head, _: head.update(values={"columns": ["a"]}),
    "no scale": lambda head, _: scale(head, None),
    "a scale that is none": lambda head, _: scale(head, {"mean": 0.0, "std": -1.0}),
    "a scale without end": lambda head, _: scale(head, {"mean": float("nan"), "std": 1.0}),
    "objects": lambda _, arrays: arrays.update({"forest/value.npy": array([Trap()], object)}),
    "text": lambda _, arrays: arrays.update({"forest/value.npy": array(["a"])}),
    "too much": lambda _, arrays: arrays.update({"more.npy": huge("99999999999")}),
    "no array": lambda _, arrays: arrays.update({"forest/value.npy": b"abc"}),
    "no work": lambda _, arrays: arrays.pop("work/shares.npy"),
    "work for nothing": lambda _, arrays: arrays.update({"work/shares.npy": array([-1.0] * 20)}),
    "no trees": lambda _, arrays: arrays.update({"forest/below.npy": array([0])}),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_file_of_a_stranger_is_refused_and_runs_nothing(
    fitted: Predictor, tmp_path: Path, name: str
) -> None:
    fitted.save(tmp_path / "good")
    load(rewritten(tmp_path / "good", tmp_path / "same", lambda *_: None))
    with pytest.raises(CnnGenError):
        load(rewritten(tmp_path / "good", tmp_path / "bad", EDITS[name]))
    assert not Path("/tmp/predictors-trap").exists()


def test_what_is_no_file_of_a_predictor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        load(tmp_path / "nothing")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(StoreError, match="not a saved predictor"):
        load(tmp_path / "text")
    with pytest.raises(StoreError, match="is not a regular file"):
        load(tmp_path)


def test_a_package_adds_a_predictor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnngen.predict import registry
    from cnngen.system import plugins

    package = tmp_path / "added-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Name: added\nVersion: 1\n")
    (package / "entry_points.txt").write_text(
        "[cnngen.predictors]\nmean = added:Mean\ntrees = added:Mean\nbroken = added:Nothing\n"
    )
    (tmp_path / "added.py").write_text(
        "from dataclasses import dataclass\nfrom cnngen.predict.trees import Trees\n"
        "@dataclass\nclass Mean(Trees):\n    name = 'mean'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    plugins._declared.cache_clear()
    try:
        assert "mean" in PREDICTORS
        assert PREDICTORS["mean"].name == "mean"
        # Nobody takes the name of ours.
        assert PREDICTORS["trees"] is Trees
        with pytest.raises(CnnGenError, match="cannot be loaded"):
            PREDICTORS["broken"]
        with pytest.raises(CnnGenError, match="no predictor 'x'"):
            registry.get_predictor("x")
    finally:
        plugins._declared.cache_clear()
