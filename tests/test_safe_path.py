"""A folder that somebody else filled: none of its modules run, whatever is started in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import rivals
import stand_in
import studio_server

from cnngen.runs.campaign import Workers

NAMES = (
    *("cnngen", "cnngen_onnx", "stand_in", "torch", "numpy", "onnx", "psutil", "sitecustomize"),
    *("usercustomize", "__future__", "random", "typing", "re", "json", "socket", "pickle", "gc"),
)
RUN = {
    "train": ("train", "net.cnn", "-b", "stand_in", "--epochs", "1"),
    "check": ("check", "net.cnn"),
    "verify": ("verify", "net.cnn", "-b", "onnx", "--input", "8x8x1", "--steps", "0"),
    "campaign": (
        *("campaign", "-n", "2", "-w", "2", "-b", "stand_in", "-s", "compact"),
        *("--epochs", "1", "-o", "runs"),
    ),
    "compare": (
        *("compare", "net.cnn", "-b", "rivals:steady,rivals:slow", "--epochs", "1"),
        *("--repeats", "1", "--idle", "0", "-o", "compared"),
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with modules that leave a mark when they run."""
    strange, marks = tmp_path / "strange", tmp_path / "marks"
    strange.mkdir()
    marks.mkdir()
    for name in NAMES:
        mark = str(marks / name)
        (strange / f"{name}.py").write_text(f"open({mark!r}, 'w').close()\n")
    (strange / "net.cnn").write_text("input conv flatten dense output")
    return strange


def marks(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder.parent / "marks").iterdir())


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    backends = [stand_in.install(tmp_path / "one"), rivals.install(tmp_path / "two")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(backends),
        "STAND_IN_LOG": str(tmp_path / "log"),
        "RIVALS_LOG": str(tmp_path / "log"),
        "OMP_NUM_THREADS": "1",
    }


@pytest.mark.parametrize("name", RUN)
def test_no_command_runs_a_module_of_the_working_folder(
    folder: Path, environment: Mapping[str, str], name: str
) -> None:
    # Python itself looks there for `cnngen`, unless it is told not to.
    python = [sys.executable, "-m", "cnngen"]
    (folder / "cnngen.py").unlink()
    done = subprocess.run(
        [*python, *RUN[name]], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert marks(folder) == []


def test_neither_the_command_nor_its_workers_take_a_cnngen_of_the_working_folder(
    folder: Path, environment: Mapping[str, str]
) -> None:
    script = Path(sys.executable).parent / "cnngen"
    command = [str(script)] if script.exists() else [sys.executable, "-P", "-m", "cnngen"]
    done = subprocess.run(
        [*command, *RUN["campaign"]], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert marks(folder) == []


def test_the_language_server_runs_no_module_of_the_working_folder(
    folder: Path, environment: Mapping[str, str]
) -> None:
    (folder / "cnngen.py").unlink()
    document = {"uri": "file:///a.cnn", "languageId": "cnn", "version": 1, "text": "input cnov"}
    messages = [
        {"id": 1, "method": "initialize", "params": {"capabilities": {}, "processId": None}},
        {"method": "initialized", "params": {}},
        {"method": "textDocument/didOpen", "params": {"textDocument": document}},
    ]
    with subprocess.Popen(
        [sys.executable, "-m", "cnngen", "lsp", "--stdio"],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        for message in messages:
            body = json.dumps({"jsonrpc": "2.0", **message}).encode()
            server.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        server.stdin.flush()
        told = b""
        while b"publishDiagnostics" not in told:
            piece = os.read(server.stdout.fileno(), 4096)
            assert piece, told
            told += piece
        server.kill()
    assert marks(folder) == []


def test_the_studio_runs_no_module_of_the_working_folder(folder: Path) -> None:
    (folder / "cnngen.py").unlink()
    with studio_server.serving(cwd=folder) as server:
        answer = server.ask("check", {"text": "input conv flatten dense output"})
        assert answer.status == 200, answer.body
    assert marks(folder) == []


def test_workers_find_what_a_program_finds_but_nothing_in_the_working_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "added").mkdir()
    (tmp_path / "added" / "helpful.py").write_text("def three():\n    return 3\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", f"{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.syspath_prepend(str(tmp_path / "added"))
    import helpful  # type: ignore[import-not-found]

    monkeypatch.setattr(sys, "path", ["", str(folder), *sys.path])
    with Workers(1) as workers:
        assert workers.submit(helpful.three).result() == 3
    assert marks(folder) == []
