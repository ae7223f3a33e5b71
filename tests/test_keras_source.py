from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np
import pytest
from test_torch_source import TorchRunner, bright_and_dark

from cnngen.backend import get_backend
from cnngen.errors import BackendError
from cnngen.language import parse
from cnngen.network import Network
from cnngen.resolution import lower
from cnngen.sampling import sample
from cnngen.testing import (
    Case,
    ComputationConformance,
    EmissionConformance,
    Outcome,
)
from cnngen.testing.networks import BACKBONE, SMALL, nested
from cnngen.testing.runner import run, run_apart


def emit(network: Network, *, script: bool = False) -> str:
    return get_backend("keras").emit(network, script=script)


class TestKeras(EmissionConformance):
    backend = "keras"
    framework = ("keras", "tensorflow", "torch", "jax")


class OnEngine(ComputationConformance):
    """Keras on one engine, in one process, beside what PyTorch gives for the same weights."""

    backend = "keras"
    script = Path(__file__).parent / "keras_worker.py"
    engine: ClassVar[str]
    results: ClassVar[dict]

    @classmethod
    def run(cls, cases: Sequence[Case]) -> list[Outcome]:
        with TemporaryDirectory() as folder:
            beside = Path(folder, "beside")
            beside.mkdir()
            (beside / "script.py").write_text(emit(lower(parse(SMALL)), script=True))
            if cls.engine == "torch":  # one engine is enough: the limit is Keras's own
                (beside / "deep.py").write_text(emit(nested(1000)))
            bright_and_dark(beside / "data.npz", 129)
            environment = {
                "KERAS_BACKEND": cls.engine,
                "KERAS_HOME": folder,
                "OMP_NUM_THREADS": "1",
                "TF_CPP_MIN_LOG_LEVEL": "3",
                # JAX compiles each operation for each new shape: in half the time like this.
                "XLA_FLAGS": "--xla_backend_optimization_level=0",
                "BESIDE": str(beside),
            }
            outcomes = run_apart(cls.script, cases, Path(folder), environment)
            cls.results = json.loads((beside / "results.json").read_text())
        assert cls.results["engine"] == cls.engine
        return outcomes

    def test_logits_equal_those_of_torch_with_the_same_weights(self):
        """Law: equal weights give equal outputs to 1e-5, whatever the framework."""
        for name, (network, case, outcome) in self._ran().items():
            source = get_backend("torch").emit(network)
            expected = run(TorchRunner(), Case(name, source, case.weights, case.images)).outputs
            np.testing.assert_allclose(
                outcome.outputs, expected, rtol=1e-5, atol=1e-5, err_msg=name, strict=True
            )

    def test_every_operation_is_a_layer_of_its_name(self):
        for name, (network, _, outcome) in self._ran().items():
            for node in network.nodes:
                assert outcome.shapes[node.name] == node.shape, (name, node.name)

    def test_keras_counts_the_weights(self):
        assert all(outcome.parameters is not None for _, _, outcome in self._ran().values())

    def test_a_script_trains_and_prints_its_accuracy(self):
        self._ran()
        accuracy = re.search(r"test accuracy ([\d.]+)", self.results["script"])
        assert float(accuracy[1]) > 0.9


class TestOnTensorFlow(OnEngine):
    engine = "tensorflow"


class TestOnTorch(OnEngine):
    engine = "torch"

    def test_merges_nested_a_thousand_deep_build(self):
        self._ran()
        assert self.results["deep"] > 2000


class TestOnJax(OnEngine):
    engine = "jax"
    every_window = 24
    random_networks = 0


def test_files_depend_on_keras_alone_and_scripts_on_numpy_too():
    imports = re.compile(r"^(?:import|from) (\w+)", re.MULTILINE)
    for network in (sample("paper", seed=1), nested(500)):
        standard = set(sys.stdlib_module_names)
        assert set(imports.findall(emit(network))) - standard == {"keras"}
        assert set(imports.findall(emit(network, script=True))) - standard == {"keras", "numpy"}


def test_the_file_says_that_the_loss_takes_logits():
    assert "from_logits=True" in emit(lower(parse(SMALL)))


def test_a_backbone_has_no_script():
    with pytest.raises(BackendError, match="backbone"):
        emit(lower(parse(BACKBONE)), script=True)
