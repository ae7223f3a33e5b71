"""Time and energy as sums over operations: fitted, extrapolated and restored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from known import known

from cnngen.network import Network
from cnngen.operations import BatchNorm, Conv2d, Dense
from cnngen.predict import Example, by_size, features
from cnngen.predict.boosting import Growth
from cnngen.predict.operation_sum import COUNT_FEATURES, WORK_FEATURES, OperationSum
from cnngen.predict.proxies import Proxies
from cnngen.predict.scores import judge_fitted
from cnngen.predict.trees import Trees

COLUMNS = (*COUNT_FEATURES, *WORK_FEATURES, "something else")


def test_a_sum_is_found_again_and_goes_on_beyond_what_was_seen() -> None:
    random = np.random.default_rng(0)
    counts = random.integers(0, 30, (200, len(COUNT_FEATURES)))
    work = random.uniform(0, 1e6, (200, len(WORK_FEATURES)))
    rows = np.hstack([counts, np.log2(1 + work), random.normal(size=(200, 1))])
    each, a_unit = (
        random.uniform(0, 2, len(COUNT_FEATURES)),
        random.uniform(0, 1e-5, len(WORK_FEATURES)),
    )
    each[2] = a_unit[3] = 0.0
    figures = 5 + counts @ each + work @ a_unit
    found = OperationSum.of(COLUMNS, rows[:150], figures[:150])
    assert found(rows[150:]) == pytest.approx(figures[150:], rel=1e-6)
    beyond = np.hstack([40 * counts, np.log2(1 + 40 * work), random.normal(size=(200, 1))])
    assert found(beyond) == pytest.approx(5 + 40 * (figures - 5), rel=1e-6)


def test_figures_of_nothing_are_not_divided_by() -> None:
    rows = np.ones((40, len(COLUMNS)))
    assert OperationSum.of(COLUMNS, rows, np.zeros(40))(rows).tolist() == [0.0] * 40
    some = np.r_[np.zeros(5), np.ones(35)]
    assert np.isfinite(OperationSum.of(COLUMNS, rows, some)(rows)).all()


def test_only_what_is_a_sum_is_told_as_one() -> None:
    assert {*COUNT_FEATURES, *WORK_FEATURES} <= {*features.names()}
    assert OperationSum.applies_to("time", features.names())
    assert OperationSum.applies_to("energy", Proxies(with_features=True).columns())
    assert not OperationSum.applies_to("energy", Proxies().columns())
    assert not OperationSum.applies_to("accuracy", features.names())
    assert not OperationSum.applies_to("trainability", features.names())


def seconds(network: Network) -> float:
    """What a training might take: so much an operation, and so much for what it computes."""
    total = 0.1
    for node in network.nodes:
        inputs = network.input_shapes(node)
        match node.operation:
            case Conv2d() | Dense() as operation:
                total += 0.02 + 1e-6 * operation.multiply_adds(*inputs)
            case BatchNorm():
                total += 0.05
    return total


def test_trees_tell_the_time_of_networks_larger_than_any_they_learnt_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cnngen.predict.boosting.GROWTHS", (Growth(80, 6, 0.1),))
    timed: list[Example] = [replace(one, targets={"time": seconds(one.network)}) for one in known()]
    parts = by_size(timed, 0)
    longest = max(one.targets["time"] or 0 for one in (*parts.train, *parts.validation))
    said = Trees(bags=1, folds=3).fit(parts.train, "time", parts.validation)
    asked = [one.network for one in parts.test]
    true = np.array([one.targets["time"] for one in parts.test])
    assert true.max() > longest
    assert np.abs(said.predict(asked).mean / true - 1).max() < 0.1
    assert judge_fitted(said, parts.test).coverage > 0.6
