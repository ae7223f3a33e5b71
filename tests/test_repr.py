"""What objects say of themselves in a session: one line, that ends, whatever they hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_store import SOURCE, dataset, network, record

import cnngen
from cnngen.backend.program import program
from cnngen.comparison import Compared, Comparison, Design
from cnngen.errors import CnnGenError
from cnngen.language.grammar import grammar
from cnngen.network.adjacency import graph
from cnngen.predict import PREDICTORS, Prediction
from cnngen.report import StudyData
from cnngen.training.data.dataset import splits

LINE = 100


def design() -> Design:
    compared = tuple(Compared(f"{number:016x}", None) for number in range(5000))
    modes = ("torch:eager", "torch:compile", "keras", "flax", "onnx")
    images = dataset().summary
    return Design(
        modes=modes,
        networks=compared,
        repeats=3,
        protocol=cnngen.Protocol(),
        data=images,
        test_images=9,
    )


def deep() -> cnngen.Description:
    return cnngen.parse(f"input {'[ ( ' * 5000} conv {', Empty )]' * 5000} output")


def runs(folder: Path) -> cnngen.Runs:
    cnngen.save(folder / "\x1b[31mred", record(), network(), SOURCE)
    return cnngen.load(folder / "\x1b[31mred")


SAID: dict[str, Callable[[Path], Any]] = {
    "<Description Tiny -> input(8x8x1) conv(filters=4, kernel=3, stride=1, padding=same, activati…>":
        lambda _: network().description,
    "<Description input [ ( [": lambda _: deep(),
    "<Merge of 1 at 6>": lambda _: deep().features[0],
    "<Body of 1 and 0": lambda _: deep().features[0].bodies[0],
    "<Layer dense(units=3, activation='linear')>": lambda _: network().description.head[-1],
    "Tiny: 4 layers, 811 weights, 8x8x1 -> 3>": lambda _: network(),
    "<Node conv1: Conv2d(filters=4,": lambda _: network().nodes[1],
    "<Space compact: ": lambda _: cnngen.load_space("compact"),
    "<Dataset made up: 30 images of 8x8x1, 3 classes>": lambda _: dataset(),
    "<Splits of 19 + 5 + 6 images>": lambda _: splits(dataset(), cnngen.Protocol()),
    "ok, accuracy 0.750, 1 s, 0.07 Wh>": lambda _: record(),
    "<Energy 0.07 Wh (CPU 0.02, GPU 0, RAM 0.05) in 9.5 s>": lambda _: record().energy,
    "Trained(record=<Record ": lambda _: cnngen.Trained(record(), SOURCE),
    "Protocol(name='paper', epochs=36)": lambda _: cnngen.PROTOCOLS["paper"],
    "Bounds(": lambda _: cnngen.Bounds(),
    "Meter(country=None, tdp=65, ": lambda _: cnngen.Meter(tdp=65),
    "<Backend torch>": lambda _: cnngen.get_backend("torch"),
    "<1 run of ": runs,
    "<Comparison of torch:eager, torch:compile, keras, flax, onnx: 0 of 75,000 trainings>":
        lambda _: Comparison(design(), {}),
    "<Design of torch:eager,": lambda _: design(),
    "<Graph of 5 operations, 4 edges>": lambda _: graph(network()),
    "<Block 0: 3 steps>": lambda _: program(network()),
    "<Prediction for 1 network: 0.91 ± 0.02>":
        lambda _: Prediction(np.array([0.91]), np.array([0.02])),
    "<Prediction for 1,000 networks: 1 ± 0, 1 ± 0, 1 ± 0, …>":
        lambda _: Prediction(np.ones(1000), np.zeros(1000)),
    "<StudyData digits: 0 trainings>": lambda _: StudyData("digits", record_table(), []),
    "<Grammar of ": lambda _: grammar(),
    "<Rule that starts with ": lambda _: grammar().start,
}  # fmt: skip


def record_table() -> Any:
    from cnngen.runs.table import table

    return table([])


@pytest.mark.parametrize("said", SAID)
def test_an_object_says_what_it_is_on_one_line(said: str, tmp_path: Path) -> None:
    shown = repr(SAID[said](tmp_path))
    assert said in shown
    assert shown.isprintable()
    # Those that can be typed in again name all that is not as usual.
    assert len(shown) <= (150 if "(" in shown.split(" ")[0] else LINE + len(str(tmp_path)))


def test_predictors_show_their_settings_before_they_have_learnt() -> None:
    for name, kind in PREDICTORS.items():
        assert repr(kind()).startswith(f"{kind.__name__}("), name


def test_the_largest_networks_say_what_they_are() -> None:
    description = cnngen.parse(f"input {'conv ' * 10_000} output")
    assert len(repr(description)) <= LINE
    found = cnngen.resolve(description, space="compact")
    assert "10,001 layers" in repr(found)
    assert len(repr(found)) <= LINE


def test_a_name_from_elsewhere_is_cut_and_printable() -> None:
    data = dataset()
    images = data.images
    for name in ("\x1b]52;c;AAAA\a", "x" * 10_000, "a\nb"):
        shown = repr(cnngen.Dataset(name, images, data.labels, data.class_names))
        assert shown.isprintable()
        assert len(shown) <= LINE


def test_an_error_is_its_message() -> None:
    assert repr(CnnGenError("no")) == "CnnGenError('no')"
