"""The conformance kit: it finds what is wrong, and a backend outside the tree passes it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from itertools import combinations, product
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

import cnngen.backend.testing.computation
import cnngen.backend.testing.emission
from cnngen.backend.testing import BackendConformance, ComputationConformance, EmissionConformance
from cnngen.backend.testing.networks import KERNELS, PADDINGS, SIZES, STRIDES, fixed, windows
from cnngen.backend.testing.random_networks import random_network
from cnngen.operations import OPERATIONS, Activation

TOY = Path(__file__).parent.parent / "docs" / "toy_backend"

sys.path.append(str(TOY))
import cnngen_toynet  # noqa: E402
import toynet  # noqa: E402


def test_windows_meet_in_all_pairs_that_there_are() -> None:
    """Law: any two of size, kernel, stride and padding, along both axes, occur together."""
    rows = [(*w.size, *w.window, *w.stride, w.padding) for w in windows()]
    factors = (SIZES, SIZES, KERNELS, KERNELS, STRIDES, STRIDES, PADDINGS)
    for one, other in combinations(range(7), 2):
        seen = {(row[one], row[other]) for row in rows}
        assert seen == set(product(factors[one], factors[other]))
    for h, w, kh, kw, _, _, padding in rows:
        assert padding == "same" or (kh <= h and kw <= w)
    assert len(rows) < 150


def test_the_kits_networks_have_every_operation_and_activation() -> None:
    networks = [*fixed().values(), *(random_network(seed) for seed in range(25))]
    operations = [node.operation for network in networks for node in network.nodes]
    assert {type(operation) for operation in operations} == {*OPERATIONS}
    activations = {getattr(operation, "activation", None) for operation in operations}
    assert activations == {None, *get_args(Activation)}
    enumerated = [
        network for n, case in enumerate(windows()) for network in case.networks(n).values()
    ]
    convolutions = [node.operation for network in enumerated for node in network.nodes]
    assert {getattr(one, "groups", 1) for one in convolutions} == {1, 2, "depthwise"}
    assert {getattr(one, "dilation", (1, 1)) for one in convolutions} == {(1, 1), (2, 1)}


class Kit(BackendConformance):
    """The kit with fewer networks, made anew for each fault."""

    backend = "toynet"
    every_window = 12
    random_networks = 4


@pytest.fixture
def kit(monkeypatch: pytest.MonkeyPatch) -> type[Kit]:
    backend = cnngen_toynet.ToynetBackend()
    for module in (cnngen.backend.testing.computation, cnngen.backend.testing.emission):
        monkeypatch.setattr(module, "get_backend", lambda name: backend)
    return type("Kit", (Kit,), {})


IN_PROCESSES = (
    "test_it_tells_the_framework_and_its_version",
    "test_equal_networks_give_equal_text_in_every_process",
    "test_nothing_before_training_imports_the_framework",
    "test_files_pass_ruff_as_it_comes",
)
"""Those that start processes or need the toy to be installed."""


def failing(kit: type[Kit], part: type) -> set[str]:
    """The tests of a part of the kit that fail, but for those `IN_PROCESSES`."""
    failed = set()
    for name in {name for name in vars(part) if name.startswith("test_")} - {*IN_PROCESSES}:
        try:
            getattr(kit(), name)()
        except AssertionError:
            failed.add(name)
    return failed


@pytest.mark.parametrize("part", [EmissionConformance, ComputationConformance])
def test_the_kit_finds_no_fault_where_there_is_none(kit: type[Kit], part: type) -> None:
    assert failing(kit, part) == set()


def mean_with_padding(x, *, name, pooling, size, stride, padding):
    beyond, pooled = (-np.inf, np.max) if pooling == "max" else (0.0, np.mean)
    return pooled(toynet._windows(x, size, stride, padding, beyond), axis=(4, 5))


def maximum_with_zeros(x, *, name, pooling, size, stride, padding):
    beyond, pooled = (0.0, np.max) if pooling == "max" else (np.nan, np.nanmean)
    return pooled(toynet._windows(x, size, stride, padding, beyond), axis=(4, 5))


def tanh_gelu(x):
    return x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2


padding, batch_norm = toynet._padding, toynet.batch_norm
COMPUTED = {
    "the odd pixel goes before": ("_padding", lambda *axis: padding(*axis)[::-1]),
    "padding counts for the mean": ("pool", mean_with_padding),
    "padding counts for the maximum": ("pool", maximum_with_zeros),
    "flatten runs channels first": (
        "flatten",
        lambda x, name: x.transpose(0, 3, 1, 2).reshape(len(x), -1),
    ),
    "the right column comes first": (
        "concat",
        lambda *maps, name: np.concatenate(maps[::-1], axis=-1),
    ),
    "an epsilon of its own": (
        "batch_norm",
        lambda x, name, epsilon: batch_norm(x, name=name, epsilon=1e-2),
    ),
    "gelu by tanh": ("ACTIVATIONS", {**toynet.ACTIVATIONS, "gelu": tanh_gelu}),
    "dropout scales": ("dropout", lambda x, name, rate: x * (1 - rate)),
    "float64 comes out": ("add", lambda *maps, name: sum(maps).astype(np.float64)),
}


@pytest.mark.parametrize("fault", COMPUTED)
def test_the_kit_finds_what_is_computed_wrong(
    kit: type[Kit], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toynet, *COMPUTED[fault])
    assert failing(kit, ComputationConformance) == {"test_outputs_are_those_of_the_definitions"}


STARTED = {
    "kernels are too small": ("kernel", lambda w: w / 2),
    "kernels are too large": ("kernel", lambda w: w * 1.5),
    "biases are one": ("bias", lambda w: w + 1),
    "variances are zero": ("variance", lambda w: w - 1),
}


@pytest.mark.parametrize("fault", STARTED)
def test_the_kit_finds_weights_that_start_wrong(
    kit: type[Kit], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight, change = STARTED[fault]
    init = toynet.init

    def wrong(network, shape):
        made = init(network, shape)
        for own in made.values():
            own.update({name: change(w) for name, w in own.items() if name == weight})
        return made

    monkeypatch.setattr(toynet, "init", wrong)
    expected = {"test_weights_start_glorot_uniform_and_all_else_neutral"}
    assert failing(kit, ComputationConformance) == expected


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (
            lambda w: {name: own for name, own in w.items() if not name.startswith("norm")},
            {
                "test_weights_are_keyed_by_operation_and_have_their_shapes",
                "test_parameters_are_counted_as_the_network_counts_them",
            },
        ),
        (
            lambda w: {name.upper(): own for name, own in w.items()},
            {
                "test_weights_are_keyed_by_operation_and_have_their_shapes",
                "test_weights_start_glorot_uniform_and_all_else_neutral",
            },
        ),
    ],
    ids=["some are not told", "they have other names"],
)
def test_the_kit_finds_weights_that_are_told_wrong(
    kit: type[Kit], fault: Any, expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = lambda self, model: fault(model.weights)  # noqa: E731
    monkeypatch.setattr(cnngen_toynet.ToynetRunner, "weights", told)
    assert failing(kit, ComputationConformance) == expected


WRITTEN = {
    "a name in the code": (
        lambda network, text: text + f"NAME = {network.name!r}\n",
        {"test_no_name_reaches_more_than_the_docstring"},
    ),
    "no description": (
        lambda network, text: '"""A network."""' + text.split('"""', 2)[2],
        {"test_the_docstring_holds_the_description_that_gives_the_network_back"},
    ),
    "no last line end": (
        lambda network, text: text.rstrip("\n"),
        {"test_files_are_python_in_ascii"},
    ),
}


@pytest.mark.parametrize("fault", WRITTEN)
def test_the_kit_finds_what_is_written_wrong(
    kit: type[Kit], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, expected = WRITTEN[fault]
    emit = cnngen_toynet.ToynetBackend.emit
    monkeypatch.setattr(
        cnngen_toynet.ToynetBackend,
        "emit",
        lambda self, network, script=False: change(network, emit(self, network)),
    )
    assert failing(kit, EmissionConformance) == expected


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("interface", 2), ("name", "toy net"), ("capabilities", frozenset({"emit", "train"}))],
)
def test_the_kit_finds_a_class_that_says_what_is_not_so(
    kit: type[Kit], attribute: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cnngen_toynet.ToynetBackend, attribute, value)
    with pytest.raises(AssertionError):
        kit().test_it_is_made_for_this_interface()


def test_a_framework_that_is_imported_too_early_fails_the_kit(kit: type[Kit]) -> None:
    kit.backend, kit.framework = "torch", ("cnngen_torch",)
    with pytest.raises(AssertionError, match="imported before training: cnngen_torch"):
        kit().test_nothing_before_training_imports_the_framework()


def test_unformatted_source_fails_the_kit(kit: type[Kit], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit, "_files", classmethod(lambda cls: ["x = 'single'\n"]))
    with pytest.raises(AssertionError, match=r"net0\.py"):
        kit().test_files_pass_ruff_as_it_comes()


def test_the_page_shows_the_toy_as_it_is() -> None:
    page = (TOY.parent / "backends.md").read_text()
    for name in ("cnngen_toynet.py", "pyproject.toml", "test_toynet.py"):
        assert (TOY / name).read_text().strip() in page, name


# ---- A plugin of its own, built and installed outside the tree


def installed(folder: Path, *, interface: int = 1) -> Path:
    """A fresh virtual environment with the toy's wheel, built from a copy outside the tree.

    What else is installed here can be imported there, too.
    """
    copy = folder / "source"
    shutil.copytree(TOY, copy, ignore=shutil.ignore_patterns("__pycache__"))
    backend = copy / "cnngen_toynet.py"
    backend.write_text(backend.read_text().replace("interface = 1", f"interface = {interface}"))
    made = folder / "venv"
    venv.create(made)
    (site,) = made.glob("lib/python*/site-packages")
    ours = [path for path in sys.path if path.endswith("site-packages")]
    # A path alone would leave out what is installed in editable form there.
    lines = [f"import site; site.addsitedir({path!r})\n" for path in ours]
    (site / "ours.pth").write_text("".join(lines))
    dist = folder / "dist"
    build = ["build", "--no-isolation", "--wheel", "-o", str(dist), str(copy)]
    subprocess.run([sys.executable, "-m", *build], check=True, capture_output=True)
    (wheel,) = dist.glob("*.whl")
    install = ["--python", str(made), "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True, capture_output=True)
    return made


def python(made: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The Python of the environment, from a folder of no meaning."""
    return subprocess.run(
        [str(made / "bin" / "python"), *arguments],
        cwd=made.parent,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )


def test_a_plugin_in_a_wheel_of_its_own_is_found_used_and_passes_the_kit(tmp_path: Path) -> None:
    site = installed(tmp_path)
    (packages,) = site.glob("lib/python*/site-packages")
    assert sorted(path.name for path in packages.glob("*.py")) == ["cnngen_toynet.py", "toynet.py"]
    listed = python(site, "-m", "cnngen", "backends", "--json")
    assert listed.returncode == 0, listed.stderr
    (toy,) = [row for row in json.loads(listed.stdout) if row["name"] == "toynet"]
    assert toy["framework"] == "toynet 1.0"
    assert toy["can"] == ["emit", "verify"]
    (tmp_path / "net.cnn").write_text("input(8x8x1) [add (conv, Empty)] flatten dense output(10)\n")
    made = python(site, "-m", "cnngen", "generate", "net.cnn", "--backend", "toynet")
    assert made.returncode == 0, made.stderr
    (tmp_path / "net.py").write_text(made.stdout)
    program = (
        "import net, numpy, toynet\n"
        "weights = toynet.init(net.network, net.SHAPE)\n"
        "print(toynet.apply(net.network, weights, numpy.ones((2, 8, 8, 1))).shape)"
    )
    assert python(site, "-c", "import sys; sys.path.append('.')\n" + program).stdout == "(2, 10)\n"

    shutil.copy(TOY / "test_toynet.py", tmp_path)
    kit = python(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_toynet.py")
    assert kit.returncode == 0, kit.stdout[-3000:]
    assert "19 passed" in kit.stdout
    held = python(site, "-m", "cnngen", "verify", "net.cnn", "--backends", "toynet", "--json")
    assert held.returncode == 0, held.stderr
    (pair,) = json.loads(held.stdout)["networks"][0]["pairs"]
    assert (pair["one"], pair["other"], pair["equal"]) == ("toynet", "definitions", True)
    trained = python(site, "-m", "cnngen", "train", "net.cnn", "--backend", "toynet")
    assert trained.returncode == 2
    assert "cannot train" in trained.stderr


def test_a_plugin_made_for_another_interface_is_refused_with_a_sentence(tmp_path: Path) -> None:
    site = installed(tmp_path, interface=99)
    (tmp_path / "net.cnn").write_text("input(8x8x1) conv output\n")
    made = python(site, "-m", "cnngen", "generate", "net.cnn", "--backend", "toynet")
    assert made.returncode == 2
    assert "backend 'toynet' is made for interface 99, this CNNGen has 1" in made.stderr
    assert "Traceback" not in made.stderr
    assert python(site, "-m", "cnngen", "generate", "net.cnn").returncode == 0
    listed = python(site, "-m", "cnngen", "backends")
    assert "interface 99" in " ".join(listed.stdout.split())
