from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from cnngen.backend import Backend, backend_names, get_backend
from cnngen.backend.testing.random_networks import random_network
from cnngen.errors import BackendError
from cnngen.operations import (
    Add,
    BatchNorm,
    Concat,
    Conv2d,
    Dense,
    Dropout,
    Flatten,
    GlobalPool,
    Pool,
    SqueezeExcite,
)
from cnngen.space.sampling import sample
from cnngen.system import plugins

ROOT = Path(__file__).parent.parent

THIRD_PARTY = """
from cnngen.backend import Backend

class Toy(Backend):
    name = "toy"
    interface = {interface}
    install = "pip install toy"

    def version(self):
        return "toy 1.0"

    def emit(self, network, *, script=False):
        return f"LAYERS = {{len(network)}}\\n"

class NoBackend:
    interface = 1
"""


def in_python(program: str, **environment: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


@pytest.fixture
def declare(tmp_path, monkeypatch):
    """Install a package with an entry point, as pip would leave it on the path."""

    def install(
        value: str, *, name: str = "toy", interface: int = 1, source: str = THIRD_PARTY
    ) -> None:
        (tmp_path / "cnngen_toy.py").write_text(source.format(interface=interface))
        info = tmp_path / "cnngen_toy-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cnngen-toy\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[cnngen.backends]\n{name} = {value}\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "cnngen_toy", raising=False)

    plugins._declared.cache_clear()
    plugins._made.cache_clear()
    yield install
    monkeypatch.undo()
    sys.modules.pop("cnngen_toy", None)
    plugins._declared.cache_clear()
    plugins._made.cache_clear()


OURS = {"flax", "keras", "onnx", "torch"}


def test_our_backends_are_found_with_their_versions():
    assert set(backend_names()) >= OURS
    for name in OURS:
        assert get_backend(name).version().startswith(f"{name} ")


def test_a_third_party_backend_is_found_by_its_entry_point(declare):
    declare("cnngen_toy:Toy")
    assert backend_names() == sorted(backend_names())
    assert OURS | {"toy"} <= set(backend_names())
    network = sample("compact", seed=0)
    assert network.to_source("toy") == f"LAYERS = {len(network)}\n"


class Toynet(ModuleType):
    """The framework of docs/backends.md: its tensors are shapes."""

    def __getattr__(self, function: str):
        kind = {
            "conv": Conv2d,
            "batch_norm": BatchNorm,
            "pool": Pool,
            "global_pool": GlobalPool,
            "dropout": Dropout,
            "flatten": Flatten,
            "squeeze_excite": SqueezeExcite,
            "dense": Dense,
            "add": Add,
            "concat": Concat,
        }[function]
        return lambda *inputs, name, **options: kind(**options).output_shape(*inputs)


def test_the_backend_of_the_documentation_works(declare, monkeypatch):
    page = (ROOT / "docs/backends.md").read_text()
    example = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    declare(
        "cnngen_toy:ToynetBackend",
        name="toynet",
        source=example.replace("{", "{{").replace("}", "}}"),
    )
    monkeypatch.setitem(sys.modules, "toynet", Toynet("toynet"))
    for seed in range(30):
        network = random_network(seed)
        module = ModuleType("emitted")
        exec(network.to_source("toynet"), module.__dict__)
        assert module.network(network.input_shape) == network.output_shape
    assert get_backend("toynet").version() is None


def test_an_unknown_backend_is_an_error_that_names_the_known_ones():
    with pytest.raises(BackendError, match="no backend 'tensorflow'") as error:
        get_backend("tensorflow")
    assert ", ".join(sorted(OURS)) in error.value.hint


@pytest.mark.parametrize(
    ("value", "interface", "message"),
    [
        ("cnngen_toy:Toy", 99, "interface 99"),
        ("cnngen_toy:Missing", 1, "cannot be loaded"),
        ("cnngen_missing:Toy", 1, "cannot be loaded"),
        ("cnngen_toy:NoBackend", 1, "not a Backend"),
    ],
)
def test_a_backend_that_does_not_fit_is_an_error_and_no_crash(declare, value, interface, message):
    declare(value, interface=interface)
    with pytest.raises(BackendError, match=message):
        get_backend("toy")
    assert get_backend("torch").name == "torch"


def test_a_checkout_that_is_not_installed_has_its_backends_beside_installed_ones(monkeypatch):
    toy = EntryPoint("toy", "cnngen_toy:Toy", "cnngen.backends")
    monkeypatch.setattr(plugins, "entry_points", lambda group: (toy,))
    plugins._declared.cache_clear()
    try:
        assert OURS | {"toy"} <= set(backend_names())
    finally:
        plugins._declared.cache_clear()


def test_finding_a_backend_and_emitting_imports_no_framework():
    program = (
        "import sys\n"
        "from cnngen.backend import backend_names, get_backend\n"
        "from cnngen.space.sampling import sample\n"
        "network = sample('paper', seed=0)\n"
        "for name in backend_names():\n"
        "    get_backend(name).version()\n"
        "    network.to_source(name, script=True)\n"
        "frameworks = {'torch', 'keras', 'tensorflow', 'jax', 'flax', 'onnx', 'onnxruntime'}\n"
        "print(frameworks & set(sys.modules))\n"
    )
    assert in_python(program) == "set()"


def test_keras_tells_the_engine_it_would_start_with(tmp_path):
    program = "from cnngen.backend import get_backend\nprint(get_backend('keras').version())"

    def version(**environment: str) -> str:
        return in_python(program, KERAS_HOME=str(tmp_path), **environment)

    assert ", jax " in version(KERAS_BACKEND="jax")
    assert ", torch " in version(KERAS_BACKEND="torch")
    assert version(KERAS_BACKEND="no-such-engine") == "None"
    assert ", tensorflow " in version(KERAS_BACKEND="")
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    assert ", jax " in version(KERAS_BACKEND="")
    (tmp_path / "keras.json").write_text("[no json")
    assert ", tensorflow " in version(KERAS_BACKEND="")


def test_a_backend_without_training_says_so():
    class Writer(Backend):
        name = "writer"

        def version(self):
            return None

        def emit(self, network, *, script=False):
            return ""

    with pytest.raises(BackendError, match="writer backend cannot train"):
        Writer().train("", sample("compact", seed=0), None, None)
