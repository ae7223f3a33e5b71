"""Tests of the text that a backend emits, which run nothing."""

from __future__ import annotations

import ast
import copy
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from cnngen.backend.interface import INTERFACE, Backend
from cnngen.backend.registry import get_backend
from cnngen.backend.testing.networks import (
    BACKBONE,
    NAMES,
    SMALL,
    by_hand,
    fixed,
    many_branches,
    nested,
)
from cnngen.backend.testing.random_networks import random_branches, random_network
from cnngen.errors import BackendError, CnnGenError
from cnngen.language import parse
from cnngen.language.tree import Description, Layer
from cnngen.network import Network
from cnngen.operations import Conv2d, Operation, Pool
from cnngen.space.resolution import lower
from cnngen.space.sampling import sample

EVIL = ('"""\nimport os', "a\\", "na\xefve", "'x'", 'x"', "two\nlines", "#", "%s{0}")

MARK = "print(1)"
"""A value that would run as code."""

CAPABILITIES = {"emit", "script", "train", "resume", "verify", "signals"}


@dataclass(frozen=True, slots=True)
class _Unheard(Operation):
    """An operation that no backend knows; it keeps the shape, as `Operation` itself does."""


class EmissionConformance:
    """A backend's class and the source that it emits.

    `backend` is the name it is installed under; `framework` names the packages that may not be
    imported before training.
    """

    backend: ClassVar[str]
    framework: ClassVar[Sequence[str]] = ()

    def test_it_is_made_for_this_interface(self) -> None:
        backend = self._backend()
        assert backend.interface == INTERFACE, f"made for {backend.interface}, this is {INTERFACE}"
        assert backend.name == self.backend, f"it is installed as {self.backend}"
        assert backend.name.isidentifier(), f"{backend.name!r} is not an identifier"
        assert backend.name.islower(), f"{backend.name!r} is not lower-case"
        assert backend.capabilities <= CAPABILITIES, str(backend.capabilities)
        assert "emit" in backend.capabilities, "every backend emits"
        assert backend.install, "it does not say what installs it"
        trains = type(backend).train is not Backend.train
        assert trains is ("train" in backend.capabilities), "`train` and its capability disagree"
        verifies = type(backend).runner is not Backend.runner
        assert verifies is ("verify" in backend.capabilities), (
            "`runner` and the capability `verify` disagree"
        )

    def test_it_tells_the_framework_and_its_version(self) -> None:
        version = self._backend().version()
        assert version is not None, "its framework is not installed here, or it does not find it"
        assert any(sign.isdigit() for sign in version), f"{version!r} does not contain a version"

    def test_nothing_before_training_imports_the_framework(self) -> None:
        loaded = _in_python(
            "import sys\n"
            "from cnngen.backend.registry import get_backend\n"
            "from cnngen.space.sampling import sample\n"
            f"backend = get_backend({self.backend!r})\n"
            "backend.version()\n"
            "backend.emit(sample('paper', seed=0))\n"
            "print(*sys.modules)"
        ).split()
        too_early = sorted(set(self.framework) & set(loaded))
        assert not too_early, f"imported before training: {', '.join(too_early)}"

    def test_equal_networks_give_equal_text_in_every_process(self) -> None:
        scripted = "script" in self._backend().capabilities
        program = (
            "import hashlib\n"
            "from cnngen.space.sampling import sample\n"
            f"texts = [sample('paper', seed=seed).to_source({self.backend!r}, script={scripted}) "
            "for seed in range(5)]\n"
            "print(hashlib.sha256(''.join(texts).encode()).hexdigest())"
        )
        told = {_in_python(program, PYTHONHASHSEED=seed) for seed in ("0", "1", "12345")}
        assert len(told) == 1, "the text differs from process to process"

    def test_files_pass_ruff_as_it_comes(self) -> None:
        if find_spec("ruff") is None:
            import pytest

            pytest.skip("ruff is not installed")
        with TemporaryDirectory() as folder:
            for number, source in enumerate(self._files()):
                Path(folder, f"net{number}.py").write_text(source, encoding="utf-8")
            for command in (["check"], ["format", "--check"]):
                done = subprocess.run(
                    [sys.executable, "-P", "-m", "ruff", *command, "--isolated", "--no-cache", "."],
                    cwd=folder,
                    capture_output=True,
                    text=True,
                )
                assert done.returncode == 0, done.stdout[-3000:] + done.stderr

    def test_files_are_python_in_ascii(self) -> None:
        for source in self._files():
            assert source.isascii(), "there are characters beyond ASCII"
            assert source.endswith("\n"), "the last line has no end"
            ast.parse(source)

    def test_the_docstring_holds_the_description_that_gives_the_network_back(self) -> None:
        networks = [random_network(seed) for seed in range(20)]
        for network in (*networks, *map(random_branches, range(10))):
            docstring = ast.get_docstring(ast.parse(self._emit(network))) or ""
            described = docstring.split("\n\n", 2)[-1]
            assert " ".join(described.split()) == network.to_text(), (
                "see cnngen.backend.program.title"
            )
            assert lower(parse(described)) == network

    def test_an_operation_that_it_does_not_know_is_refused_by_its_name(self) -> None:
        unknown = by_hand((6, 6, 2), _Unheard(), Conv2d(3, (1, 1)))
        refusal: Exception | None = None
        try:
            self._emit(unknown)
        except Exception as error:
            refusal = error
        assert isinstance(refusal, BackendError), f"not a BackendError, but {refusal!r}"
        assert "_Unheard" in str(refusal), f"it does not say which: {refusal}"

    def test_no_name_reaches_more_than_the_docstring(self) -> None:
        plain = self._emit(lower(parse(SMALL))).split('"""', 2)[2]
        for name in NAMES:
            named = self._emit(lower(parse(f"{name} -> {SMALL}"))).split('"""', 2)[2]
            assert named == plain, f"a network called {name} gives other code"

    def test_a_tree_made_by_hand_cannot_break_out_of_the_docstring(self) -> None:
        good = lower(parse(SMALL))
        plain = _code(self._emit(good))
        for evil in EVIL:
            layer = Layer("conv")
            object.__setattr__(layer, "kind", evil)
            description = Description((layer,), (), None, good.input_shape)
            try:
                source = self._emit(Network(good.nodes, good.branches, description))
            except CnnGenError:
                continue
            assert _code(source) == plain, f"{evil!r} reaches the code"

    def test_no_value_put_in_behind_the_checks_reaches_the_code(self) -> None:
        for network in fixed().values():
            for at, node in enumerate(network.nodes):
                for name in node.operation.field_names():
                    for value in (MARK, (MARK, MARK), [1, MARK], (MARK, 1, 1)):
                        operation = copy.copy(node.operation)
                        object.__setattr__(operation, name, value)
                        nodes = list(network.nodes)
                        nodes[at] = replace(node, operation=operation)
                        try:
                            source = self._emit(replace(network, nodes=tuple(nodes)))
                        except CnnGenError:
                            continue
                        assert MARK not in source, f"{name} of {node.name} reaches the code"

    def test_a_backbone_has_source_but_no_script(self) -> None:
        backbone = lower(parse(BACKBONE))
        assert self._emit(backbone)
        if "script" in self._backend().capabilities:
            try:
                self._emit(backbone, script=True)
            except BackendError:
                return
            raise AssertionError("a script that trains what has no classes")

    def test_a_thousand_nested_merges_are_written(self) -> None:
        for source in (self._emit(nested(1000)), self._emit(nested(1000, "concat"))):
            ast.parse(source)

    @classmethod
    def _backend(cls) -> Backend:
        return get_backend(cls.backend)

    @classmethod
    def _emit(cls, network: Network, *, script: bool = False) -> str:
        return cls._backend().emit(network, script=script)

    @classmethod
    @cache
    def _files(cls) -> list[str]:
        """Files of every kind: sampled, random, deep, wide numbers, long names, scripts."""
        networks = [random_network(seed) for seed in range(200)]
        networks += [random_branches(seed) for seed in range(50)]
        for count in (7, 8, 9, 12, 30):
            networks += [many_branches(count, "add"), many_branches(count, "concat")]
        networks += [sample("paper", seed=seed) for seed in range(60)]
        networks += [*fixed().values(), nested(60), nested(1001, "concat"), _huge()]
        networks += [lower(parse(f"{name} -> {SMALL}")) for name in NAMES]
        scripted = "script" in cls._backend().capabilities
        return [
            cls._emit(network, script=scripted and number % 5 == 0 and not network.is_backbone)
            for number, network in enumerate(networks)
        ]


def _huge() -> Network:
    """A network with numbers that are too long for one line."""
    huge = 10**6
    return by_hand(
        (huge, huge - 1, huge),
        Conv2d(huge, (huge, huge - 2), (99_999, 99_998), "same", "sigmoid", False),
        Pool("avg", (99_998, 5), (3, 99_997), "same"),
        Pool("avg", (4, 5), (1, 2), "same"),
    )


def _code(source: str) -> str:
    """The code without its docstring and comments."""
    tree = ast.parse(source)
    return ast.dump(ast.Module(tree.body[1:], [])) if ast.get_docstring(tree) else ast.dump(tree)


def _in_python(program: str, **environment: str) -> str:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()
