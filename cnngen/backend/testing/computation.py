"""Tests of what a backend's models compute: emitted source is run in its framework."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

import numpy as np

from cnngen.backend.definitions import evaluate, random_weights, weight_shapes, weights_of
from cnngen.backend.mode_process import ModeProcess, parse_mode
from cnngen.backend.registry import get_backend
from cnngen.backend.testing.cases import Case, Outcome, run, run_apart
from cnngen.backend.testing.networks import (
    NAMES,
    SMALL,
    by_hand,
    check_complete,
    fixed,
    many_branches,
    windows,
)
from cnngen.backend.testing.random_networks import random_branches, random_network
from cnngen.language import parse
from cnngen.network import Network
from cnngen.operations import Conv2d
from cnngen.space.resolution import lower
from cnngen.space.sampling import sample


class ComputationConformance:
    """Shapes, weights and outputs of the models that emitted source builds.

    What `backend` emits is run by its runner: in this process, or where `mode` names one of the
    backend's modes, in a process of its own with `environment` set there.
    """

    backend: ClassVar[str]
    mode: ClassVar[str | None] = None
    environment: ClassVar[Mapping[str, str]] = {}

    tolerance: ClassVar[float] = 1e-5
    """Greatest error of an output in float32, of the largest output or of 1."""

    float64: ClassVar[float | None] = None
    """The same in float64, 1e-10 where the framework can compute in it: that shows mistakes
    which float32 hides. None: it cannot."""

    every_window: ClassVar[int] = 1
    """Every how many-th window is tried; more than 1 for a framework that compiles for each."""

    random_networks: ClassVar[int] = 25

    def test_outputs_are_those_of_the_definitions(self) -> None:
        """Law: with the same weights, outputs are those of the operations' definitions."""
        wrong = []
        for name, (network, case, outcome) in self._ran().items():
            expected = evaluate(network, case.weights, case.images)[-1]
            shape = (len(case.images), *network.output_shape)
            assert outcome.outputs.shape == shape, f"{name}: {outcome.outputs.shape}, not {shape}"
            assert outcome.outputs.dtype == case.images.dtype, f"{name}: {outcome.outputs.dtype}"
            allowed = self.tolerance if case.images.dtype == np.float32 else self.float64
            assert allowed is not None
            off = np.abs(outcome.outputs - expected).max() / max(1, np.abs(expected).max())
            if not off <= allowed:
                wrong.append(f"{name}: off by {off:.2g}")
        assert not wrong, f"{len(wrong)} of {len(self._ran())}\n" + "\n".join(wrong[:20])

    def test_the_same_weights_and_images_give_the_same_bits(self) -> None:
        ran = self._ran()
        for name in fixed():
            first, again = ran[name][2], ran[f"{name} again"][2]
            assert np.array_equal(first.outputs, again.outputs), name

    def test_weights_are_keyed_by_operation_and_have_their_shapes(self) -> None:
        for name, (network, _, outcome) in self._ran().items():
            found = {
                operation: {weight: value.shape for weight, value in own.items()}
                for operation, own in outcome.initial.items()
            }
            assert found == weight_shapes(network), name

    def test_parameters_are_counted_as_the_network_counts_them(self) -> None:
        for name, (network, _, outcome) in self._ran().items():
            total = sum(w.size for own in outcome.initial.values() for w in own.values())
            assert total == network.cost.parameters + network.cost.buffers, name
            if outcome.parameters is not None:
                assert outcome.parameters == network.cost.parameters, name

    def test_layers_that_tell_their_shapes_tell_the_networks(self) -> None:
        for name, (network, _, outcome) in self._ran().items():
            known = {node.name: node.shape for node in network.nodes}
            for layer, shape in outcome.shapes.items():
                assert shape == known.get(layer, shape), f"{name}: {layer} gives {shape}"

    def test_weights_start_glorot_uniform_and_all_else_neutral(self) -> None:
        largest = []
        for name, (network, _, outcome) in self._ran().items():
            for operation, declared in weights_of(network).items():
                own = outcome.initial.get(operation, {})
                for weight in declared:
                    what = f"{name}: {weight.name} of {operation}"
                    if weight.first != "glorot":
                        neutral = np.array(float(weight.first == "ones"))
                        # Another test finds missing ones.
                        assert (own.get(weight.name, neutral) == neutral).all(), what
                        continue
                    assert weight.name in own, f"{what} is missing"
                    values = own[weight.name]
                    *window, inputs, outputs = values.shape
                    bound = math.sqrt(6 / (math.prod(window) * (inputs + outputs)))
                    share = np.abs(values).max() / bound
                    assert 0 < share <= 1 + 1e-6, f"{what} is {share:.2g} of Glorot's"
                    largest.append(share if values.size > 200 else 1)
        # The largest of more than 200 is near the bound, unless the bound is another.
        assert min(largest) > 0.9, "weights are too small"

    @classmethod
    def _networks(cls) -> dict[str, Network]:
        check_complete()
        networks = fixed()
        for number, window in enumerate(windows()[:: cls.every_window]):
            networks |= window.networks(number)
        drawn = [random_network(seed) for seed in range(cls.random_networks)]
        networks |= {f"random network {seed}": network for seed, network in enumerate(drawn)}
        networks["many added"] = many_branches(12, "add")
        networks["many concatenated"] = many_branches(12, "concat")
        for seed in range(math.ceil(cls.random_networks / 4)):
            networks[f"random branches {seed}"] = random_branches(seed)
        for seed in range(math.ceil(cls.random_networks / 8)):
            networks[f"paper {seed}"] = sample("paper", seed=seed, input_shape=(17, 16, 3))
        for name in NAMES:
            networks[f"called {name}"] = lower(parse(f"{name} -> {SMALL}"))
        # Wide enough that the spread of its first weights shows.
        networks["wide"] = by_hand((5, 6, 8), Conv2d(24, (3, 5)))
        # One column comes out, of more columns than the window has or of fewer.
        networks["cropped"] = by_hand((5, 4, 1), Conv2d(3, (2, 3), (1, 4), "same"))
        networks["padded"] = by_hand((5, 2, 1), Conv2d(3, (3, 4), (1, 3), "same"))
        return networks

    @classmethod
    @cache
    def _ran(cls) -> dict[str, tuple[Network, Case, Outcome]]:
        """Every network with its result; all are run once, before the first test."""
        networks = cls._networks()
        cases = [cls._case(name, network) for name, network in networks.items()]
        again = [name for name in fixed() if name in networks]
        cases += [cls._case(f"{name} again", networks[name]) for name in again]
        if cls.float64 is not None:
            exact = [name for number, name in enumerate(networks) if number % 4 == 0]
            cases += [cls._case(f"{name}, float64", networks[name], np.float64) for name in exact]
            networks |= {f"{name}, float64": networks[name] for name in exact}
        networks |= {f"{name} again": networks[name] for name in again}
        outcomes = cls.run(cases)
        return {
            case.name: (networks[case.name], case, outcome)
            for case, outcome in zip(cases, outcomes, strict=True)
        }

    @classmethod
    def run(cls, cases: Sequence[Case]) -> list[Outcome]:
        """Run cases by the backend's runner, here or in the mode's process."""
        if cls.mode is None:
            runner = get_backend(cls.backend).runner()
            return [run(runner, case) for case in cases]
        with ModeProcess(
            parse_mode(f"{cls.backend}:{cls.mode}"), environment=cls.environment
        ) as process:
            return run_apart(process, cases)

    @classmethod
    def _case(cls, name: str, network: Network, dtype: type[np.floating[Any]] = np.float32) -> Case:
        images = np.random.default_rng(1).normal(size=(2, *network.input_shape)).astype(dtype)
        weights = {
            operation: {weight: value.astype(dtype) for weight, value in own.items()}
            for operation, own in random_weights(network).items()
        }
        return Case(name, get_backend(cls.backend).emit(network), weights, images)
