"""Trees and operations hold numbers, flags and words of the language, and nothing else."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from cnngen.errors import CnnGenError, DescriptionError, SpaceError
from cnngen.language import Description, Layer, Merge, format, parse
from cnngen.network import Network, Node
from cnngen.operations import (
    WORDS,
    Activate,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    GlobalPool,
    Input,
    Operation,
    Pool,
    SqueezeExcite,
    Truncate,
)
from cnngen.space import load_space

CODE = "print('RAN')"


class Spoken:
    """Says other than it is."""

    def __str__(self) -> str:
        return CODE

    def __format__(self, spec: str) -> str:
        return CODE

    __repr__ = __str__


class Whole(Spoken, int): ...


class Real(Spoken, float): ...


class Text(Spoken, str): ...


ODD: list[object] = [
    *(CODE, "", "3", "relu", "same", "max", "true", b"33", None, True, False, 0, -1, 3, 10**400),
    *(0.5, 3.0, 2.5, float("nan"), float("inf"), -0.0, 1e-320, 1j, Decimal("0.5"), object()),
    *((3, 3), [3, 3], (3,), (3, 3, 3), (3, CODE), (True, 3), ((3, 3), 3), "33", {3: 3}, {3, 4}),
    *(np.int64(3), np.float32(0.5), np.float64("nan"), np.bool_(True), np.array([3, 3])),
    *(Whole(3), Real(0.5), Text("relu"), Text("same"), Text("avg"), (Whole(3), Whole(3))),
    *(
        "hardsigmoid",
        Text("sigmoid"),
        "depthwise",
        "conv_norm_act",
        "norm_act_conv",
        Text("depthwise"),
    ),
]

OPERATIONS: list[Operation] = [
    Input((8, 8, 3)),
    Conv2d(4, (3, 3)),
    BatchNorm(),
    Pool("max", (2, 2), (2, 2)),
    GlobalPool("avg"),
    Dropout(),
    Dense(3),
    Activate(),
    SqueezeExcite(4),
    Truncate(2),
]


def plain(value: object) -> bool:
    """Whether a value is of Python's own types throughout."""
    if type(value) is tuple:
        return all(map(plain, value))
    return type(value) in (int, float, bool, str) and CODE not in str(value)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: type(operation).__name__)
def test_a_field_of_an_operation_is_a_value_of_the_language_or_refused(
    operation: Operation,
) -> None:
    for name in operation.field_names():
        taken = 0
        for value in ODD:
            spoiled = copy.copy(operation)
            object.__setattr__(spoiled, name, value)
            for make in (
                lambda value=value, name=name: replace(operation, **{name: value}),
                lambda spoiled=spoiled: pickle.loads(pickle.dumps(spoiled)),
                lambda spoiled=spoiled: copy.deepcopy(spoiled),
            ):
                try:
                    made = make()
                except (CnnGenError, pickle.PicklingError, AttributeError):
                    continue
                assert plain(getattr(made, name)), (name, value)
                taken += 1
        assert taken, f"nothing can be {name}"


def test_a_hyper_parameter_of_a_word_is_a_value_of_the_language_or_refused() -> None:
    """Law: what is taken is written, and read again as the same."""
    for kind, word in WORDS.items():
        for name in word.parameter_names:
            taken = 0
            for value in ODD:
                try:
                    layer = Layer(kind, {name: value})  # type: ignore[dict-item]
                except DescriptionError:
                    continue
                taken += 1
                assert plain(layer.parameters[name]), (name, value)
                if kind in ("conv", "convbn", "bnconv"):
                    written = Description((layer,))
                    assert parse(format(written)) == written
            assert taken


@pytest.mark.parametrize(
    "make",
    [
        lambda: Layer(CODE),
        lambda: Layer(["conv"]),  # type: ignore[arg-type]
        lambda: Layer("conv", {CODE: 3}),
        lambda: Layer("flatten", {"units": 3}),
        lambda: Merge(CODE, ()),  # type: ignore[arg-type]
        lambda: Description((Layer("conv"),), name=CODE),
        lambda: Description((Layer("conv"),), name=3),  # type: ignore[arg-type]
        lambda: Description((Layer("conv"),), input_shape=(8, 8, CODE)),  # type: ignore[arg-type]
        lambda: Description((Layer("conv"),), classes=CODE),  # type: ignore[arg-type]
        lambda: Node(CODE, Dropout(), (0,), (3,)),
        lambda: Network.from_graph([("input", Input((4, 4, 1)), ()), (CODE, Dropout(), (0,))]),
    ],
)
def test_no_text_becomes_a_word_a_name_or_an_end(make: Callable[[], object]) -> None:
    with pytest.raises(CnnGenError):
        make()


def test_hyper_parameters_cannot_be_changed_behind_the_checks() -> None:
    given = {"rate": 0.5}
    layer = Layer("dropout", given)
    given["rate"] = 7.0
    assert layer.parameters["rate"] == 0.5
    with pytest.raises(TypeError):
        layer.parameters["rate"] = CODE  # type: ignore[index]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dropout_rates", "[nan]"),
        ("dropout_rates", "[inf]"),
        ("dropout_rates", "[2020-01-01]"),
        ("batch_norm_epsilons", "{ 0.1 = 1e308, 0.2 = 1e308 }"),
        ("kernels", "{ 3 = 1e-200, 1 = 1e-200 }"),
        ("strides", "[1, [2]]"),
        ("activations", "[[]]"),
        ("first_filters", "1e3000"),
        ("wide", "nan"),
        ("kinds", "{ conv = 1" + "0" * 400 + " }"),
    ],
)
def test_a_space_holds_nothing_odd(tmp_path: Path, key: str, value: str) -> None:
    text = (Path(__file__).parent.parent / "cnngen/space/spaces/paper.toml").read_text()
    lines = [
        f"{key} = {value}" if line.startswith(f"{key} = ") else line for line in text.split("\n")
    ]
    (tmp_path / "odd.toml").write_text("\n".join(lines))
    with pytest.raises(SpaceError, match=key):
        load_space(tmp_path / "odd.toml")
