"""What all predictors that are PyTorch modules promise: `image`, `code`, `neural`, `graph`."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

import cnngen
from cnngen.backend.testing.networks import fixed
from cnngen.errors import CnnGenError
from cnngen.network.adjacency import label
from cnngen.predict import PREDICTORS, Example, load
from cnngen.predict.predictor import Predictor
from cnngen.predict.target_scale import Scale
from cnngen.predict.vocabulary import LATER, OPERATIONS

SMALL: dict[str, dict[str, object]] = {
    "image": {"pixels": 32, "batch": 8},
    "code": {"hidden": 16, "layers": 1, "batch": 8, "learning_rate": 3e-3},
    "neural": {"hidden": 32, "units": 16, "learning_rate": 1e-2},
    "graph": {"hidden": 16, "layers": 2, "members": 2, "batch": 8, "learning_rate": 1e-2},
}


def network(filters: int, depth: int) -> cnngen.Network:
    body = f"conv(filters={filters}, kernel=3, stride=1, padding=same) " * depth
    text = f"input(8x8x1) {body} flatten dense output(10)"
    return cnngen.resolve(cnngen.parse(text))


@pytest.fixture(scope="module")
def known() -> list[Example]:
    """Deeper ones take longer and are worse: what any of the four can see."""
    return [
        Example(
            network(filters, depth),
            {"accuracy": 1 - 0.1 * depth, "time": 10.0**depth},
            "digits",
        )
        for depth in range(1, 7)
        for filters in (8, 16, 24, 32)
    ]


def small(name: str, epochs: int) -> Predictor:
    return PREDICTORS[name](**{**SMALL[name], "epochs": epochs})


def networks(examples: list[Example]) -> list[cnngen.Network]:
    return [example.network for example in examples]


@pytest.mark.parametrize("name", SMALL)
def test_what_was_saved_predicts_the_same_and_a_second_fit_gives_the_same(name, known, tmp_path):
    before = torch.get_rng_state()
    first = small(name, 1).fit(known, "time")
    first.save(tmp_path / "first")
    second = small(name, 1).fit(known, "time").state()
    assert first.state().values == second.values
    for array, weights in first.state().arrays.items():
        np.testing.assert_array_equal(weights, second.arrays[array])
    assert torch.equal(before, torch.get_rng_state())
    predicted, again = (p.predict(networks(known)) for p in (first, load(tmp_path / "first")))
    for one in ("mean", "std", "low", "high"):
        np.testing.assert_array_equal(getattr(predicted, one), getattr(again, one))
    assert (predicted.low > 0).all()
    assert (predicted.low <= predicted.mean).all()
    assert (predicted.mean <= predicted.high).all()


@pytest.mark.parametrize(("name", "epochs"), [("code", 30), ("neural", 100), ("graph", 20)])
def test_what_a_predictor_can_see_it_learns(name, epochs, known):
    predicted = small(name, epochs).fit(known, "accuracy").predict(networks(known))
    measured = np.array([example.targets["accuracy"] for example in known])
    assert np.corrcoef(predicted.mean, measured)[0, 1] > 0.95
    assert np.abs(predicted.mean - measured).mean() < 0.4 * measured.std()


@pytest.mark.parametrize("name", ["code", "neural", "graph"])
def test_a_prediction_does_not_depend_on_the_networks_beside_it(name, known):
    predictor = small(name, 2).fit(known, "accuracy")
    together = predictor.predict(networks(known)[::-1])
    alone = [float(predictor.predict([one]).mean[0]) for one in networks(known)[::-1]]
    np.testing.assert_allclose(together.mean, alone, atol=1e-5)
    assert len(predictor.predict([])) == 0


def test_given_examples_are_watched_and_not_learnt_from(known):
    # With one member and one epoch, what is watched decides the calibration alone.
    predictor = small("neural", 1)
    plain = predictor.fit(known, "accuracy", known[:4]).predict(networks(known)[:1])
    other = [
        replace(example, targets={"accuracy": example.targets["accuracy"] * 0.99})
        for example in known[:4]
    ]
    moved = predictor.fit(known, "accuracy", other).predict(networks(known)[:1])
    assert plain.std != moved.std


def test_every_member_of_an_ensemble_holds_out_other_examples(known):
    folds = list(small("graph", 1).set_params(members=10)._folds(20, 24))
    for learnt, watched in folds:
        assert sorted(learnt + watched) == list(range(24))
    assert sorted(at for _, watched in folds for at in watched) == list(range(24))


def test_too_few_examples_and_absurd_hyperparameters_are_refused(known):
    with pytest.raises(CnnGenError, match="at least 10"):
        small("graph", 1).fit(known[:9], "accuracy")
    with pytest.raises(CnnGenError, match="hidden=1000000000 is out of bounds"):
        small("graph", 1).set_params(hidden=10**9).fit(known, "accuracy")
    with pytest.raises(CnnGenError, match="is not fitted"):
        small("graph", 1).predict(networks(known))


def test_a_missing_package_is_named_with_what_installs_it(known, monkeypatch):
    monkeypatch.setattr(PREDICTORS["image"], "needs", ("torch", "no_such_package"))
    with pytest.raises(CnnGenError, match="no_such_package") as caught:
        small("image", 1).fit(known, "accuracy")
    assert "pip install 'cnngen[predict]'" in str(caught.value)


@pytest.fixture(scope="module")
def saved(known, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "graph"
    small("graph", 1).fit(known, "accuracy").save(path)
    return path


HOSTILE = {
    "larger than memory": lambda head: head["params"].update(hidden=1024, layers=64),
    "beyond all limits": lambda head: head["params"].update(layers=10**12),
    "negative": lambda head: head["params"].update(hidden=-1),
    "no number": lambda head: head["params"].update(dropout=float("nan")),
    "members that are missing": lambda head: head["params"].update(members=9),
    "members as text": lambda head: head["values"].update(members="2"),
    "a calibration of nothing": lambda head: head["values"].update(calibration=0.0),
    "a calibration without end": lambda head: head["values"].update(calibration=float("inf")),
    "a scale of nothing": lambda head: head["values"]["scale"].update(std=0.0),
    "a scale of text": lambda head: head["values"].update(scale="1"),
    "no values": lambda head: head["values"].clear(),
}


@pytest.mark.parametrize("fault", HOSTILE)
def test_a_saved_predictor_that_would_not_predict_is_refused(fault, saved, tmp_path):
    with zipfile.ZipFile(saved) as archive, zipfile.ZipFile(tmp_path / "bad", "w") as bad:
        for member in archive.namelist():
            content = archive.read(member)
            if member == "predictor.json":
                head = json.loads(content)
                HOSTILE[fault](head)
                content = json.dumps(head).encode()
            bad.writestr(member, content)
    with pytest.raises(CnnGenError):
        load(tmp_path / "bad")


@pytest.mark.parametrize("wrong", ["shape", "nan"])
def test_weights_that_do_not_fit_are_refused(wrong, saved, tmp_path):
    name = "members/1/head.0.weight.npy"
    with zipfile.ZipFile(saved) as archive, zipfile.ZipFile(tmp_path / "bad", "w") as bad:
        for member in archive.namelist():
            if member != name:
                bad.writestr(member, archive.read(member))
                continue
            with archive.open(member) as file:
                array = np.lib.format.read_array(file)
            array = {"shape": array[:-1], "nan": array * np.nan}[wrong]
            with bad.open(name, "w") as file:
                np.lib.format.write_array(file, array)
    with pytest.raises(CnnGenError):
        load(tmp_path / "bad")


def test_making_a_predictor_imports_no_framework():
    import subprocess
    import sys

    code = (
        "import sys; from cnngen.predict import PREDICTORS\n"
        f"for name in {list(SMALL)}: PREDICTORS[name]()\n"
        "assert not {'torch', 'torchvision'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_scales_go_there_and_back_and_stay_where_a_target_can_be():
    times = np.array([0.1, 1.0, 10.0, 1000.0])
    scale = Scale.of("time", times)
    np.testing.assert_allclose(scale.in_unit(scale.scaled(times)), times)
    np.testing.assert_allclose(scale.scaled(times).mean(), 0, atol=1e-12)
    # Equal ratios of times are equal steps.
    np.testing.assert_allclose(np.diff(scale.scaled(times))[:2], np.diff(scale.scaled(times))[0])
    assert (scale.in_unit(np.array([-1e9, 1e9])) > 0).all()
    shares = np.array([0.1, 0.5, 0.9, 0.99])
    scale = Scale.of("accuracy", shares)
    np.testing.assert_allclose(scale.in_unit(scale.scaled(shares)), shares)
    # 1 of 10 wrong is as far from 1 of 2 as 9 of 10 are.
    steps = np.diff(scale.scaled(shares))
    np.testing.assert_allclose(steps[0], steps[1])
    ends = scale.in_unit(np.array([-1e9, 1e9]))
    assert 0 <= ends[0] < 0.01 < 0.99 < ends[1] <= 1
    trained = Scale.of("trainability", np.array([0.0, 1.0, 1.0]))
    np.testing.assert_array_equal(trained.in_unit(np.array([-99.0, 99.0])), [0, 1])
    constant = Scale.of("accuracy", np.array([0.5, 0.5]))
    np.testing.assert_array_equal(constant.in_unit(np.zeros(1)), [0.5])


def test_every_label_of_an_operation_has_a_place_in_the_vocabulary():
    labels = {label(node.operation) for some in fixed().values() for node in some.nodes}
    assert labels <= {*OPERATIONS, *LATER}
    assert {*LATER.values()} <= {*OPERATIONS}
    assert len({*OPERATIONS}) == len(OPERATIONS) == 14
