"""Weights handed to a model: each finds its variable, or the model refuses them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import cnngen
from cnngen.backend import get_backend
from cnngen.backend.definitions import random_weights
from cnngen.backend.model_access import Array, Weights, paired
from cnngen.errors import BackendError, CnnGenError
from cnngen.operations import BatchNorm, Dense
from cnngen.predict.features.groups import Counted, check_groups

Changed = dict[str, dict[str, Array]]


def without(weights: Changed) -> None:
    del weights["conv1"]["bias"]


def with_more(weights: Changed) -> None:
    weights["scale1"] = {"factor": np.ones(3)}


def with_another_name(weights: Changed) -> None:
    weights["dense1"]["gain"] = weights["dense1"].pop("kernel")


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        (without, r"no values are given for the weight 'conv1\.bias'"),
        (with_more, r"the model has no weight 'scale1\.factor'"),
        (with_another_name, r"the model has no weight 'dense1\.gain'"),
    ],
)
def test_no_weight_of_either_side_is_passed_over(
    change: Callable[[Changed], None], missing: str
) -> None:
    network = cnngen.resolve(cnngen.parse("input(4x4x1) conv flatten dense output(3)"))
    given: Changed = {name: dict(own) for name, own in random_weights(network).items()}
    runner = get_backend("torch").runner()
    model = runner.build(network.to_source("torch"))
    before = runner.weights(model)
    change(given)
    with pytest.raises(BackendError, match=missing):
        runner.set_weights(model, given)
    assert same(runner.weights(model), before)


def same(left: Weights, right: Weights) -> bool:
    pairs = paired(left, ((op, name, a) for op, own in right.items() for name, a in own.items()))
    return all(np.array_equal(one, other) for one, other in pairs)


def test_an_operation_without_what_its_group_reads_is_refused() -> None:
    check_groups({BatchNorm: Counted("norm")})
    with pytest.raises(CnnGenError, match="Dense has no 'epsilon'"):
        check_groups({Dense: Counted("norm")})
    with pytest.raises(CnnGenError, match="no group 'scaling' for Dense"):
        check_groups({Dense: Counted("scaling")})  # type: ignore[arg-type]
