from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import keras_worker
import numpy as np
import pytest
from test_torch_source import bright_and_dark

from cnngen.backend import get_backend
from cnngen.backend.mode_process import ModeProcess, parse_mode
from cnngen.backend.testing import (
    Case,
    ComputationConformance,
    EmissionConformance,
    Outcome,
)
from cnngen.backend.testing.cases import run, run_apart
from cnngen.backend.testing.networks import BACKBONE, SMALL, fixed, nested
from cnngen.comparison.equality.answers import figures, here
from cnngen.comparison.equality.inputs import Question, ask
from cnngen.comparison.equality.tolerances import Answer, differences
from cnngen.errors import BackendError
from cnngen.language import parse
from cnngen.network import Network
from cnngen.space.resolution import lower
from cnngen.space.sampling import sample
from cnngen_torch.runner import TorchRunner


def emit(network: Network, *, script: bool = False) -> str:
    return get_backend("keras").emit(network, script=script)


class TestKeras(EmissionConformance):
    backend = "keras"
    framework = ("keras", "tensorflow", "torch", "jax")


class OnEngine(ComputationConformance):
    """Keras on one engine, in one process, beside what PyTorch gives for the same weights.

    Keras's own file asks for another layout and precision, which must change nothing.
    """

    backend = "keras"
    float64 = 1e-10
    trained: ClassVar[Sequence[str]] = ("flatten", "global_max_pooling", "graph", "small")
    answers: ClassVar[dict[str, tuple[Question, Answer]]]
    script: ClassVar[str]
    deep: ClassVar[int]
    saved: ClassVar[dict[str, bytes]]

    @classmethod
    def run(cls, cases: Sequence[Case]) -> list[Outcome]:
        with TemporaryDirectory() as folder:
            data = Path(folder, "data.npz")
            bright_and_dark(data, 129)
            config = {"image_data_format": "channels_first", "floatx": "float16"}
            Path(folder, "keras.json").write_text(json.dumps(config))
            environment = {
                "KERAS_HOME": folder,
                "JAX_ENABLE_X64": "1",
                "OMP_NUM_THREADS": "1",
                # JAX compiles each operation for each new shape: in half the time like this.
                "XLA_FLAGS": "--xla_backend_optimization_level=0",
            }
            mode = parse_mode(f"keras:{cls.mode}")
            with ModeProcess(mode, environment=environment) as process:
                assert process.call(keras_worker.engine).decode() == cls.mode
                outcomes = run_apart(process, cases)
                asked = {n: ask(fixed()[n], steps=20 if n == "small" else 0) for n in cls.trained}
                cls.answers = {n: (q, figures(process, q)) for n, q in asked.items()}
                source = emit(lower(parse(SMALL)), script=True)
                cls.script = process.call(keras_worker.run_script, source, data).decode()
                if cls.mode == "torch":  # one engine is enough: the limit is Keras's own
                    cls.saved = {
                        name: process.call(keras_worker.saved, emit(fixed()[name]), Path(folder))
                        for name in ("flatten", "graph")
                    }
                    cls.deep = int(process.call(keras_worker.layers, emit(nested(1000))))
        return outcomes

    def test_logits_equal_those_of_torch_with_the_same_weights(self):
        """Law: equal weights give equal outputs to 1e-5, whatever the framework."""
        for name, (network, case, outcome) in self._ran().items():
            source = get_backend("torch").emit(network)
            expected = run(TorchRunner(), Case(name, source, case.weights, case.images)).outputs
            np.testing.assert_allclose(
                outcome.outputs, expected, rtol=1e-5, atol=1e-5, err_msg=name, strict=True
            )

    def test_loss_gradients_and_training_are_those_of_torch_with_the_same_weights(self):
        """Law: in float64 nothing differs but by rounding, in float32 no more than is stated."""
        self._ran()
        for name, (question, answer) in self.answers.items():
            found = differences(answer, here("torch", question))
            assert {d.precision for d in found} == {"float32", "float64"}
            assert {"outputs", "loss", "gradients"} <= {d.what for d in found}
            assert all(d.is_small for d in found), (name, found)

    def test_every_operation_is_a_layer_of_its_name(self):
        for name, (network, _, outcome) in self._ran().items():
            for node in network.nodes:
                assert outcome.shapes[node.name] == node.shape, (name, node.name)

    def test_keras_counts_the_weights(self):
        assert all(outcome.parameters is not None for _, _, outcome in self._ran().values())

    def test_a_script_trains_and_prints_its_accuracy(self):
        self._ran()
        accuracy = re.search(r"test accuracy ([\d.]+)", self.script)
        assert float(accuracy[1]) > 0.9


class TestOnTensorFlow(OnEngine):
    mode = "tensorflow"
    # TensorFlow holds the slope of leaky_relu in float32.
    float64 = 1e-9


class TestOnTorch(OnEngine):
    mode = "torch"
    random_networks = 12

    def test_merges_nested_a_thousand_deep_build(self):
        self._ran()
        assert self.deep > 2000

    def test_saved_models_load_without_the_file_and_give_the_same(self):
        self._ran()
        assert self.saved == dict.fromkeys(self.saved, b"[true, true]")


class TestOnJax(OnEngine):
    mode = "jax"
    trained = ("small",)
    every_window = 24
    random_networks = 0


def test_files_depend_on_keras_and_at_most_numpy():
    imports = re.compile(r"^(?:import|from) (\w+)", re.MULTILINE)
    for network in (sample("paper", seed=1), nested(500)):
        standard = set(sys.stdlib_module_names)
        uneven = {"numpy"} if "average_pool(" in emit(network) else set()
        assert set(imports.findall(emit(network))) - standard == {"keras"} | uneven
        assert set(imports.findall(emit(network, script=True))) - standard == {"keras", "numpy"}


def test_the_file_says_that_the_loss_takes_logits():
    assert "from_logits=True" in emit(lower(parse(SMALL)))


def test_a_backbone_has_no_script():
    with pytest.raises(BackendError, match="backbone"):
        emit(lower(parse(BACKBONE)), script=True)
