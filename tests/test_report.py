from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from importlib.metadata import EntryPoint
from itertools import product
from math import isclose, sqrt
from pathlib import Path
from random import Random
from typing import Self
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnngen.cli.app import run
from cnngen.errors import CnnGenError, StoreError
from cnngen.network import Network
from cnngen.predict import Example, Prediction, Predictor, Target
from cnngen.predict.model_file import State
from cnngen.report import Fit, StudyPlan, contests, read_study_data, study, write_report
from cnngen.report import fits as fits_module
from cnngen.report.importance import importance
from cnngen.report.page import Heading, Image, Paragraph, Table, to_html, to_markdown
from cnngen.report.significance import corrected
from cnngen.report.spread import Outcomes, Spread, p_of_equal_spreads, pareto
from cnngen.runs import trainings
from cnngen.runs.table import read_rows
from cnngen.space.nasbench101 import Cell, cell_network
from cnngen.space.sampling import sample_many
from cnngen.system import plugins

NETWORKS = list(sample_many(60, "compact", input_shape=(8, 8, 1), seed=1))
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'](javascript:alert(3))|`$\\frac$"


@dataclass
class ByDepth(Predictor):
    """Knows that deeper is worse; counts how often it was fitted."""

    name = "depth"
    fitted = 0

    seed: int = 0
    mean_: float = field(init=False, default=0.0)

    def fit(
        self, examples: Sequence[Example], target: Target, validation: Sequence[Example] = ()
    ) -> Self:
        type(self).fitted += 1
        self.target_ = target
        return self

    def predict(self, networks: Sequence[Network]) -> Prediction:
        mean = np.array([1 / len(network) for network in networks])
        return Prediction(mean, np.full(len(mean), 0.1))

    def state(self) -> State:
        return State({}, {})

    def restore(self, state: State) -> None: ...


@dataclass
class Blind(ByDepth):
    """Says the same of all networks."""

    name = "blind"

    def predict(self, networks: Sequence[Network]) -> Prediction:
        return Prediction(np.zeros(len(networks)), np.ones(len(networks)))


@pytest.fixture(autouse=True)
def _predictors(monkeypatch: pytest.MonkeyPatch) -> None:
    ByDepth.fitted = 0
    declared = plugins.PREDICTORS.declared()
    added = {
        name: EntryPoint(name, f"{__name__}:{kind.__name__}", plugins.PREDICTORS.name)
        for name, kind in {"depth": ByDepth, "blind": Blind}.items()
    }
    monkeypatch.setattr(plugins.PluginGroup, "declared", lambda group: declared | added)


def table(**changes: object) -> pd.DataFrame:
    """Trainings whose accuracy falls with depth, and whose energy is that of their weights."""
    random = Random(0)
    rows = []
    for number, network in enumerate(NETWORKS):
        accuracy = min(1.0, max(0.0, 1.05 - len(network) / 60 + random.gauss(0, 0.05)))
        rows.append(
            {
                "key": f"{network.id}-torch-00000000",
                "id": network.id,
                "description": network.to_text(),
                "status": "ok" if number else "dead",
                "test_accuracy": accuracy,
                "train_seconds": 1.0 + number,
                "energy_total_energy": network.cost.parameters * 1e-9,
                "layers": len(network),
                "parameters": network.cost.parameters,
                "flops": network.cost.flops,
                "data_name": "digits",
                "data_classes": 10,
                "data_images": 1797,
                "protocol_name": "paper",
                "protocol_test_share": 0.2,
                "backend": "torch",
                "energy_cpu_method": "modelled",
            }
            | changes
        )
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "small.parquet"
    table().to_parquet(path)
    return path


PLAN = StudyPlan((), ("accuracy",), 3, 2)


def plan(*predictors: str, repeats: int = 3) -> StudyPlan:
    return StudyPlan(predictors, ("accuracy",), repeats, 2)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


KNOWN = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "figure", "figcaption"),
    *("img", "table", "thead", "tbody", "tr", "th", "td"),
}


def assert_harmless(html: str) -> None:
    tags = Tags()
    tags.feed(html)
    assert {tag for tag, _ in tags.found} <= KNOWN
    for tag, attributes in tags.found:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert set(attributes) & {"href", "style"} == set()
        if tag == "img":
            assert (attributes["src"] or "").startswith("data:image/svg+xml;base64,")


def test_nothing_from_a_hostile_folder_is_markup_in_the_report(tmp_path: Path) -> None:
    texts = ("data_name", "backend", "protocol_name", "hardware_cpu", "space")
    path = tmp_path / ("x" + EVIL.replace("/", "") + ".parquet")
    table(**dict.fromkeys(texts, EVIL)).to_parquet(path)
    found = study(read_study_data(path), plan("depth", "blind"), folder=tmp_path / "out")
    page = write_report(found, tmp_path / "out").read_text()
    assert_harmless(page)
    assert "default-src 'none'" in page
    markdown = (tmp_path / "out" / "report.md").read_text()
    assert not [line for line in markdown.splitlines() if "<" in line.replace("\\<", "")]
    for svg in (tmp_path / "out" / "figures").glob("*.svg"):
        drawn = ElementTree.parse(svg)
        names = {element.tag.split("}")[-1] for element in drawn.iter()}
        assert not names & {"script", "img", "foreignObject", "a"}, svg.name


@given(st.text(), st.text())
def test_text_of_any_kind_stays_text(one: str, other: str) -> None:
    """Law: no text of a block makes a tag."""
    blocks = [
        Heading(one),
        Paragraph(other),
        Image(one, other, b"<svg/>"),
        Table([one, other], [[other, one]]),
    ]
    assert_harmless(to_html(one, blocks))
    lines = to_markdown(one, blocks, "figures").splitlines()
    assert lines[0].startswith("# ")
    (row,) = [line for line in lines if line.startswith("| ")][1:2]
    assert len(row.replace("\\\\", "").replace("\\|", "").split("|")) == 4


def test_values_that_are_no_figures_are_left_out(tmp_path: Path) -> None:
    frame = table()
    frame["train_seconds"] = ["long"] * len(frame)
    frame["test_accuracy"] = [float("inf"), float("nan"), *frame["test_accuracy"][2:]]
    frame.to_parquet(tmp_path / "odd.parquet")
    with pytest.raises(StoreError, match="test_accuracy is inf"):
        read_study_data(tmp_path / "odd.parquet", networks=False)
    frame["test_accuracy"] = [float("nan"), float("nan"), *frame["test_accuracy"][2:]]
    frame.to_parquet(tmp_path / "odd.parquet")
    data = read_study_data(tmp_path / "odd.parquet", networks=False)
    assert len(data.numbers("test_accuracy")) == len(NETWORKS) - 2
    assert len(data.numbers("train_seconds")) == 0
    found = study(data, PLAN, folder=tmp_path)
    assert "seconds" not in found.spreads


def test_a_linked_sub_folder_takes_nothing_of_a_report_elsewhere(
    source: Path, tmp_path: Path
) -> None:
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (out := tmp_path / "out").mkdir()
    (out / "figures").symlink_to(elsewhere)
    (out / fits_module.FOLDER).symlink_to(elsewhere)
    data = read_study_data(source)
    with pytest.raises(StoreError, match="symbolic link"):
        study(data, plan("depth"), folder=out)
    with pytest.raises(StoreError, match="symbolic link"):
        write_report(study(data, plan("depth"), folder=tmp_path), out)
    assert list(elsewhere.iterdir()) == []


def test_the_report_has_its_figures_as_json_and_is_the_same_each_time(
    source: Path, tmp_path: Path
) -> None:
    pages = []
    for name in ("a", "b"):
        found = study(read_study_data(source), plan("depth", "blind"), folder=tmp_path / "fits")
        page = write_report(found, tmp_path / name)
        pages.append([page.read_bytes(), (page.parent / "report.md").read_bytes()])

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    read = json.loads((tmp_path / "a" / "report.json").read_text(), parse_constant=refuse)
    assert pages[0] == pages[1]
    assert read["networks"] == 60
    assert read["seeds"] == [0, 1, 2]
    assert len(read["fits"]) == 6
    depth = [fit for fit in read["fits"] if fit["predictor"] == "depth"]
    assert all(fit["tau"] > 0.5 and fit["test"] == 12 and fit["train"] == 48 for fit in depth)
    assert all(fit["tau"] is None for fit in read["fits"] if fit["predictor"] == "blind")


def test_a_study_that_was_stopped_goes_on(source: Path, tmp_path: Path) -> None:
    data = read_study_data(source)

    def stop(task: fits_module.Task) -> None:
        if task.seed == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(data, plan("depth"), folder=tmp_path, on_fit=stop)
    assert ByDepth.fitted == 2
    study(data, StudyPlan(("depth",), ("accuracy",), 3, 0), folder=tmp_path)
    assert ByDepth.fitted == 4, "the third split, and the largest networks"
    broken = ("", "[1]", '{"tau": "x"}', "{}")
    for path, content in zip(sorted((tmp_path / "fits").glob("*.json")), broken, strict=True):
        path.write_text(content)
    study(data, StudyPlan(("depth",), ("accuracy",), 3, 0), folder=tmp_path)
    assert ByDepth.fitted == 8, "what cannot be read is made anew"


def test_other_figures_are_fitted_anew(source: Path, tmp_path: Path) -> None:
    study(read_study_data(source), StudyPlan(("depth",), ("accuracy",), 1, 0), folder=tmp_path)
    frame = table()
    frame.loc[5, "test_accuracy"] /= 2
    frame.to_parquet(tmp_path / "other.parquet")
    study(
        read_study_data(tmp_path / "other.parquet"),
        StudyPlan(("depth",), ("accuracy",), 1, 0),
        folder=tmp_path,
    )
    assert ByDepth.fitted == 4


def test_predictors_are_judged_by_networks_and_data_that_they_have_not_seen(
    tmp_path: Path,
) -> None:
    """Law: of a data set that is held out none is learnt from, and all of it is judged by; no
    network that is learnt from is larger than one of the largest."""
    frame = table()
    frame["data_name"] = ["digits"] * 30 + ["letters"] * 25 + ["few"] * 5
    frame.to_parquet(tmp_path / "several.parquet")
    data = read_study_data(tmp_path / "several.parquet")
    found = study(data, plan("depth", repeats=1), folder=tmp_path)
    judged = {fit.unlike: (fit.train, fit.test) for fit in found.unlike}
    assert judged == {
        fits_module.LARGEST: (48, 12),
        "digits": (30, 30),
        "letters": (35, 25),
    }
    parts = fits_module.Task("depth", "accuracy", 0, largest=True).parts(data.examples)
    largest = min(len(example.network) for example in parts.test)
    assert all(len(example.network) <= largest for example in (*parts.train, *parts.validation))
    page = write_report(found, tmp_path).read_text()
    assert all(f"<td>{name}</td>" in page for name in judged)


def test_a_data_set_without_a_figure_is_not_judged_by_it(tmp_path: Path) -> None:
    frame = table()
    frame["data_name"] = ["digits"] * 30 + ["letters"] * 30
    frame.loc[frame["data_name"] == "letters", "energy_total_energy"] = np.nan
    frame.to_parquet(tmp_path / "half.parquet")
    asked = StudyPlan(("depth",), ("accuracy", "energy"), 1, 0)
    found = study(read_study_data(tmp_path / "half.parquet"), asked, folder=tmp_path)
    assert [(fit.target, fit.unlike) for fit in found.unlike] == [
        ("accuracy", fits_module.LARGEST),
        ("accuracy", "digits"),
        ("accuracy", "letters"),
        ("energy", fits_module.LARGEST),
    ]


def test_several_sources_are_one_material_and_each_data_set_has_its_row(tmp_path: Path) -> None:
    frame = table()
    frame["data_name"] = ["digits"] * 35 + ["letters"] * 25
    frame["protocol_epochs"] = [None] * 35 + [7] * 25
    paths = [tmp_path / "some.parquet", tmp_path / "others.parquet"]
    frame[:35].to_parquet(paths[0])
    frame[35:].to_parquet(paths[1])
    asked = StudyPlan(("depth",), ("accuracy",), 1, 0)
    found = study(read_study_data(*paths), asked, folder=tmp_path)
    assert len(found.data) == len(found.data.examples) == 60
    assert {
        fit.unlike: fit.test for fit in found.unlike if fit.unlike in ("digits", "letters")
    } == {
        "digits": 35,
        "letters": 25,
    }
    page = write_report(found, tmp_path).read_text()
    assert re.search(r"<td>letters</td>.*<td class=n>7</td><td class=n>25</td>", page)
    assert re.search(r"<td>digits</td>.*<td class=n>unknown</td><td class=n>35</td>", page)
    for name, rows in (("on digits", frame[:35]), ("on letters", frame[35:])):
        median = f"{rows['test_accuracy'].median() * 100:.1f}"
        row = page.split(f"<td>{name}</td>")[1].split("</tr>")[0]
        figures = re.findall(r">([\d.]+)</td>", row)
        assert (figures[0], figures[3]) == (str(len(rows)), median)
    with pytest.raises(StoreError, match="was given twice"):
        read_study_data(*paths, paths[1])


def test_a_file_is_read_once_for_its_table_and_its_networks(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    monkeypatch.setattr(
        trainings, "read_rows", lambda *asked: read.append(asked) or read_rows(*asked)
    )
    data = read_study_data(source)
    assert len(read) == 1
    assert len(data.examples) == len(data) > 0


def test_there_is_a_learning_curve_for_each_predictor_asked_for(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fits_module, "SIZES", (10, 20, 50))
    asked = StudyPlan(("depth",), ("accuracy",), 2, 1, curve=("blind", "depth"))
    found = study(read_study_data(source), asked, folder=tmp_path)
    points = {(fit.predictor, fit.train) for fit in found.curves}
    assert points == set(product(("blind", "depth"), (10, 20))), "60 networks are too few for 50"
    first = study(read_study_data(source), plan("depth", "blind"), folder=tmp_path)
    assert {fit.predictor for fit in first.curves} == {"depth"}
    with pytest.raises(CnnGenError, match="no predictor 'nobody'"):
        StudyPlan(("depth",), curve=("nobody",))


def fit(predictor: str, seed: int, tau: float, mae: float) -> Fit:
    return Fit(predictor, "accuracy", seed, 80, 20, tau, mae, 0.9, 1.0, 1.0)


def test_contests_are_mann_and_whitneys_with_holms_correction_and_cliffs_delta() -> None:
    a, b = [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]
    fits = [fit("a", i, tau, 1.0) for i, tau in enumerate(a)]
    fits += [fit("b", i, tau, 1.0) for i, tau in enumerate(b)]
    tau, mae = contests(fits)
    # Of the 20 ways to draw three of six, one is as extreme on each side.
    assert isclose(tau.p, 2 / 20)
    assert isclose(tau.adjusted, 2 * 2 / 20)
    assert tau.delta == -1
    assert (mae.delta, mae.p, mae.corrected) == (0, 1, 1)


def test_cliffs_delta_counts_pairs() -> None:
    a, b = [0.1, 0.5, 0.7, 0.7], [0.2, 0.5, 0.6]
    fits = [fit("a", i, tau, 0.0) for i, tau in enumerate(a)]
    fits += [fit("b", i, tau, 0.0) for i, tau in enumerate(b)]
    more = sum(x > y for x, y in product(a, b)) - sum(x < y for x, y in product(a, b))
    assert isclose(contests(fits)[0].delta, more / 12)


def test_the_corrected_test_widens_the_variance_for_shared_networks() -> None:
    """By hand: differences 1, 2, 3 have mean 2 and variance 1; t = 2 / sqrt(1/3 + 1/4)."""
    t = 2 / sqrt(1 / 3 + 1 / 4)
    # The distribution of Student with two degrees of freedom, in closed form.
    expected = 1 - t / sqrt(2 + t**2)
    assert isclose(corrected(np.array([2.0, 4.0, 6.0]), np.array([1.0, 2.0, 3.0])), expected)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_the_front_is_what_nobody_beats(points: list[tuple[int, int]]) -> None:
    """Law: a network is on the front, or as good as one there, iff none dominates it."""
    gains, costs = [float(g) for g, _ in points], [float(c) for _, c in points]
    front = pareto(gains, costs)
    best = {
        (g, c)
        for g, c in points
        if not any((x >= g and y <= c) and (x > g or y < c) for x, y in points)
    }
    assert {points[i] for i in front} == best
    assert len(front) == len(best)
    assert [costs[i] for i in front] == sorted(costs[i] for i in front)


def test_what_a_training_did_not_reach_is_no_figure_of_the_report(tmp_path: Path) -> None:
    statuses = ["out_of_memory", "nan", "error", "time_budget", "dead"]
    frame = table().iloc[: len(statuses) + 1].assign(status=[*statuses, "ok"])
    frame.to_parquet(tmp_path / "some.parquet")
    data = read_study_data(tmp_path / "some.parquet", networks=False)
    assert len(data) == len(statuses) + 1
    assert len(data.numbers("train_seconds")) == 1
    assert len(data.numbers("energy_total_energy")) == 1
    assert len(data.numbers("test_accuracy")) == 2
    frame.assign(status="finished").to_parquet(tmp_path / "some.parquet")
    with pytest.raises(StoreError, match="has the status 'finished'"):
        read_study_data(tmp_path / "some.parquet", networks=False)


def test_spreads_and_outcomes_are_counted(tmp_path: Path) -> None:
    frame = table().iloc[:5].copy()
    frame["test_accuracy"] = [0.1, 0.12, 0.5, 0.95, 1.0]
    frame.to_parquet(tmp_path / "five.parquet")
    data = read_study_data(tmp_path / "five.parquet", networks=False)
    spread = Spread.of(data.numbers("test_accuracy"))
    assert (spread.least, spread.quarter, spread.median, spread.most) == (0.1, 0.12, 0.5, 1.0)
    # Chance is a tenth and three standard errors of 359 images: below 0.15.
    assert Outcomes.of(data) == Outcomes(5, {"ok": 4, "dead": 1}, 1, 2)


def test_equal_spreads_are_told_from_unequal_ones() -> None:
    random = np.random.default_rng(0)
    some, same, wider = (
        random.normal(at, s, 200) for at, s in ((0.5, 0.1), (0.7, 0.1), (0.5, 0.2))
    )
    assert p_of_equal_spreads(some, same) > 0.05, "where the middle lies does not matter"
    assert p_of_equal_spreads(some, wider) < 1e-6
    assert np.isnan(p_of_equal_spreads(some, wider[:1]))


def test_trees_say_what_a_figure_hangs_on(tmp_path: Path) -> None:
    frame = table()
    frame["test_accuracy"] = np.log(frame["parameters"]) / 20
    frame.to_parquet(tmp_path / "weights.parquet")
    known = read_study_data(tmp_path / "weights.parquet").examples
    found = importance(known, "accuracy", repeats=2)
    assert "parameters" in [one.feature for one in found[:3]], found[:5]
    assert found[0].fall > 0.1
    assert abs(found[-1].fall) < 0.1


def test_figures_without_networks_are_studied_without_predictors(tmp_path: Path) -> None:
    frame = table().drop(columns="description").iloc[:3]
    frame["description"] = None
    frame.to_parquet(tmp_path / "cells.parquet")
    beside = read_study_data(tmp_path / "cells.parquet", networks=False)
    assert beside.examples == []
    found = study(beside, plan("depth"), folder=tmp_path / "out", beside=beside)
    page = write_report(found, tmp_path / "out").read_text()
    assert "too few networks" in page
    assert not found.fits
    assert cell_network(Cell([[0, 1], [0, 0]], ["input", "output"])).is_described is False


def test_the_command_writes_the_report_and_prints_its_page(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report"
    given = [str(source), "-o", str(out), "-p", "depth", "-t", "accuracy", "-r", "2"]
    assert run(["report", *given, "--beside", str(source)]) == 0
    assert capsys.readouterr().out.strip() == str(out / "report.html")
    assert run(["report", *given, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["networks"] == 60


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["{source}", "-p", "oracle"], "no predictor 'oracle'"),
        (["{source}", "-t", "beauty"], "unknown target 'beauty'"),
        (["{source}", "-t", ","], "',' has an empty name"),
        (["{source}", "-t", ""], "needs a target"),
        (["{source}", "-p", " , "], "' , ' has an empty name"),
        (["{source}", "--curve", "oracle"], "no predictor 'oracle'"),
        (["{empty}"], "no runs"),
        (["{empty}/nowhere"], "there is no"),
    ],
)
def test_mistakes_are_told_with_code_2(
    arguments: list[str],
    told: str,
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    filled = [argument.format(source=source, empty=tmp_path) for argument in arguments]
    assert run(["report", *filled, "-o", str(tmp_path / "out")]) == 2
    assert told in capsys.readouterr().err


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(StoreError, match="cannot be read as a Parquet file"):
        read_study_data(tmp_path / "x.parquet")
    with pytest.raises(CnnGenError):
        StudyPlan(("depth",), ("beauty",))  # type: ignore[arg-type]
