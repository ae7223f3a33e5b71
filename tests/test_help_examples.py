"""Every example that a `--help` page shows is right: it runs as printed, or its arguments fit.

The folder of each has what a reader has: the examples and data of the repository, networks that
were sampled, the runs of the first command and of a campaign.
"""

from __future__ import annotations

import re
import shutil
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
import typer
from command_lines import parsed, parts
from test_cell_tables import ec_nas

from cnngen.cli import energy, space
from cnngen.cli.app import COMMANDS, run
from cnngen.predict.model import SHIPPED

ROOT = Path(__file__).parents[1]

EXPENSIVE = re.compile(
    r"cnngen (campaign|search|compare|verify|report|studio|lsp|backends|doctor|predict --fit)\b"
    r"|cnngen energy calibrate($| --csv meter.csv| --source)"
    r"|--data cifar10|--backend keras|--repeats"
)
"""Examples that take long, need data that must be downloaded, or serve until they are stopped."""


def examples() -> list[str]:
    """The example lines of all commands, as they are printed."""
    functions = [function for panel in COMMANDS.values() for function in panel]
    groups = (space.space, energy.energy)
    functions += [command.callback for group in groups for command in group.registered_commands]
    lines = [line.strip() for f in functions for line in (f.__doc__ or "").splitlines()]
    return [line for line in lines if re.match(r"(cnngen|echo) ", line)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the readers have who began with `cnngen`, and then did what other examples say."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(ROOT / "examples", folder / "examples")
    (folder / "benchmarks").symlink_to(ROOT / "benchmarks")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run([]) == 0
        assert run(["sample", "-n", "2", "--space", "compact", "--out", "nets/"]) == 0
        assert run(["generate", "examples/lenet.cnn", "-o", "lenet.onnx"]) == 0
        assert run(["import", "lenet.onnx", "-o", "imported.cnn"]) == 0
    for campaign in ("compact", "paper"):  # as if `cnngen campaign` had made them
        # Without the run that an example names by its first digits alone.
        others = shutil.ignore_patterns("610c*")
        shutil.copytree(folder / "runs/first", folder / "runs" / campaign, ignore=others)
    shutil.copy(SHIPPED, folder / "digits.zip")
    for published in ("energy_7V9E_4epochs", "nasbench_full"):
        ec_nas(folder / f"{published}.tfrecord")
    return folder


@pytest.fixture
def reader(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A reader in a folder of their own, without a browser."""
    shutil.copytree(prepared, tmp_path / "here", symlinks=True)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("CNNGEN_CONFIG", str(tmp_path / "config"))
    Path("meter.csv").write_text("time,watts\n2026-11-27T13:10:00+00:00,43.2\n")
    monkeypatch.setattr(typer, "launch", lambda path: 0)
    return monkeypatch


def test_examples_are_found() -> None:
    assert len(examples()) > 45
    assert any(line.startswith("echo") for line in examples())


@pytest.mark.parametrize("line", [line for line in examples() if not EXPENSIVE.search(line)])
def test_an_example_runs_as_it_is_printed(
    line: str, reader: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, out, stdin in parts(line):
        reader.setattr(sys, "stdin", TextIOWrapper(BytesIO(stdin.encode())))
        code = run(arguments)
        printed = capsys.readouterr()
        assert code == 0, printed.err
        if out is not None:
            Path(out).write_text(printed.out)


@pytest.mark.parametrize("line", [line for line in examples() if EXPENSIVE.search(line)])
@pytest.mark.usefixtures("reader")
def test_the_arguments_of_an_expensive_example_fit(line: str) -> None:
    for arguments, _, _ in parts(line):
        context = parsed(arguments)
        for name, value in context.params.items():
            for path in value if isinstance(value, list) else [value]:
                if isinstance(path, Path) and name != "out":
                    assert path.exists(), f"{line}: readers have no {path}"
