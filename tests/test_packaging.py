"""The layout works from a wheel, a source archive, and a checkout that is not installed."""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import cnngen
from cnngen.backend import backend_names
from cnngen.language import parse
from cnngen.space.resolution import resolve

ROOT = Path(__file__).parent.parent

TRY = """
import pathlib, sys
import cnngen
import cnngen
from cnngen.backend import backend_names, get_backend
from cnngen.language.grammar import grammar_file
from cnngen.space import builtin_spaces
home = pathlib.Path(sys.argv[1]).resolve()
assert pathlib.Path(cnngen.__file__).is_relative_to(home), cnngen.__file__
assert grammar_file().resolve().is_relative_to(home), grammar_file()
assert builtin_spaces() == ["authors", "compact", "paper"]
ours = {"flax", "keras", "onnx", "torch"}
assert ours <= set(backend_names()), backend_names()
network = cnngen.sample("compact", seed=1)
for name in ours:
    module = sys.modules[type(get_backend(name)).__module__]
    assert pathlib.Path(module.__file__).resolve().is_relative_to(home), module.__file__
    assert network.to_source(name)
assert b"PNG" in network.to_png()[:8]
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive, built from a clean copy."""
    folder = tmp_path_factory.mktemp("dist")
    copy = tmp_path_factory.mktemp("clean") / "cnngen"
    ignored = shutil.ignore_patterns(".*", "runs", "__pycache__", "dist")
    shutil.copytree(ROOT, copy, ignore=ignored)
    shutil.copy(ROOT / ".gitignore", copy)
    for kind in ("--wheel", "--sdist"):
        command = [sys.executable, "-m", "build", "--no-isolation", kind, "-o", str(folder), "."]
        subprocess.run(command, cwd=copy, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def dependencies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that is installed here but CNNGen itself."""
    folder = tmp_path_factory.mktemp("site-packages")
    for place in site.getsitepackages():
        for entry in Path(place).iterdir():
            if "cnngen" not in entry.name and entry.suffix != ".pth":
                (folder / entry.name).symlink_to(entry)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked."""
    (wheel,) = built.glob("*.whl")
    folder = tmp_path_factory.mktemp("wheel")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def run(
    code: str, *arguments: str, path: list[Path], cwd: Path, succeeds: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run code in a Python that sees these folders alone, from a folder of no meaning."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, *arguments],
        cwd=cwd,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(cwd),
            "PYTHONPATH": os.pathsep.join(map(str, path)),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == succeeds, done.stdout + done.stderr
    return done


def test_a_wheel_holds_all_that_it_needs(
    installed: Path, dependencies: Path, tmp_path: Path
) -> None:
    assert (installed / "cnngen/grammar.tx").is_file()
    assert (installed / "cnngen/editor/studio/page/libraries.js").is_file()
    assert not list(installed.glob("tests*")), "tests are not for users' site-packages"
    run(TRY, str(installed), path=[installed, dependencies], cwd=tmp_path)


def test_textx_itself_checks_and_generates(
    installed: Path, dependencies: Path, tmp_path: Path
) -> None:
    def textx(*arguments: str, succeeds: bool = True) -> str:
        command = "from textx.cli import textx; textx()"
        path = [installed, dependencies]
        done = run(command, *arguments, path=path, cwd=tmp_path, succeeds=succeeds)
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    sentence = "net -> input conv max_pooling flatten dense output"
    (tmp_path / "net.cnn").write_text(f"\ufeff{sentence}\u2003\n", "utf-8")
    assert "cnngen (*.cnn)" in textx("list-languages")
    listed = textx("list-generators")
    for backend in backend_names():
        assert f"cnngen -> {backend} " in listed
    assert "OK" in textx("check", "net.cnn")

    options = ("--input", "28x28x1", "--classes", "5", "--seed", "3", "--space", "compact")
    textx("generate", "net.cnn", "--target", "torch", "-o", "out", *options, "--script")
    network = resolve(parse(sentence), input_shape=(28, 28, 1), classes=5, seed=3, space="compact")
    written = tmp_path / "out/net_torch.py"
    assert written.read_text("utf-8") == network.to_source("torch", script=True)

    (tmp_path / "bad.cnn").write_text("input\nconv poling output", "utf-8")
    assert "bad.cnn:2:6: found 'poling'" in textx("check", "bad.cnn", succeeds=False)


def test_a_users_program_has_types(installed: Path, tmp_path: Path) -> None:
    program = Path(__file__).parent / "user_program.py"
    used = set(re.findall(r"\bcnngen\.([A-Za-z_]+)", program.read_text("utf-8")))
    assert used == set(cnngen.__all__)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(program)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # Mypy believes the types of installed packages that are marked, and of no others.
    for package in ("cnngen", "cnngen_torch", "cnngen_keras", "cnngen_flax", "cnngen_onnx"):
        assert (installed / package / "py.typed").is_file()


def test_a_checkout_works_without_being_installed(dependencies: Path, tmp_path: Path) -> None:
    run(TRY, str(ROOT), path=[ROOT, dependencies], cwd=tmp_path)


def test_a_source_archive_has_what_builds_and_tests_it(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        names = {name.split("/", 1)[1] for name in files.getnames() if "/" in name}
    for needed in ("grammar.tx", "Makefile", "constraints.txt", "tests/test_resolution.py"):
        assert needed in names
    for needed in ("examples/lenet.cnn", "docs/language.md", "backends/cnngen_torch/source.py"):
        assert needed in names
    assert not [name for name in names if name.endswith(".pyc")]
    data = {name for name in names if name.endswith(".parquet")}
    assert data
    assert all(name.startswith("benchmarks/data/") for name in data)
