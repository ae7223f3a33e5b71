"""Systems that lack `fcntl`, `resource`, POSIX signals and inherited files can run CNNGen."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import rivals

from cnngen.system import link

LACKING = """
import os, signal, sys
from importlib import import_module
sys.modules |= {"fcntl": None, "resource": None}
del os.sched_getaffinity, os.killpg, signal.setitimer, signal.SIGBUS, signal.SIGALRM
for name in sys.argv[1:]:
    import_module(name)
from cnngen.system import machine
assert machine.usable_cores() == os.cpu_count()
machine.limit_memory(1)
with machine.time_limit(1e-9):
    bytearray(2)
"""


def test_no_module_needs_what_some_systems_lack() -> None:
    modules = [
        *("cnngen.__main__", "cnngen.cli.measure", "cnngen.cli.campaign", "cnngen.cli.compare"),
        *("cnngen.cli.studio", "cnngen.cli.lsp", "cnngen.cli.verify", "cnngen.runs.campaign"),
        *("cnngen.runs.train", "cnngen.runs.merge", "cnngen.comparison.experiment"),
        *("cnngen.editor.studio.app", "cnngen.editor.lsp.server", "cnngen.backend.mode_process"),
    ]
    done = subprocess.run(
        [sys.executable, "-W", "ignore:only soft", "-c", LACKING, *modules],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


WITHOUT_POSIX = """
import builtins, os, signal
real = builtins.__import__

def lacking(name, globals=None, *rest, **more):
    ours = str((globals or {}).get("__name__")).startswith("cnngen")
    if ours and name in ("fcntl", "resource", "pwd", "grp", "termios"):
        raise ImportError(name)
    return real(name, globals, *rest, **more)

builtins.__import__ = lacking
del os.sched_getaffinity, os.killpg, signal.setitimer, signal.SIGBUS, signal.SIGALRM
"""
"""Run by every process, the workers too. Packages of others may use what there is."""


def test_commands_and_their_workers_run_without_posix(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_POSIX)
    network = str(Path(__file__).parents[1] / "examples/open.cnn")
    modes = "rivals:steady,rivals:slow"
    path = os.pathsep.join([str(tmp_path), rivals.install(tmp_path / "plugins")])
    for arguments in (
        ["train", network, "--epochs", "1"],
        ["campaign", "-n", "1", "--epochs", "1", "-o", "runs/campaign"],
        ["compare", network, "-r", "1", "-b", modes, "--epochs", "1", "--idle", "0"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "cnngen", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "RIVALS_LOG": str(tmp_path / "log")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.rglob("record.json"))) == 4


def test_a_worker_that_connects_has_to_know_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "inherits_files", lambda: False)
    code = """
import os, sys
from cnngen.system.link import KEY, connected
connection = connected(sys.argv[1])
connection.send(("hello", KEY in os.environ))
connection.recv()
"""

    def start(address: str, variables: dict[str, str], ends: list[int]) -> subprocess.Popen[bytes]:
        port = int(address.partition(":")[2])
        for guess in (b"", b"short", bytes(link.KEY_BYTES)):
            with socket.create_connection(("127.0.0.1", port)) as stranger:
                stranger.sendall(guess)
        assert not ends
        return subprocess.Popen(
            [sys.executable, "-c", code, address], env={**os.environ, **variables}
        )

    process, connection = link.linked(start, 60)
    assert connection.poll(60)
    assert connection.recv() == ("hello", False)
    connection.close()
    assert process.wait(60) != 0  # its recv() finds the end

    def dead(address: str, variables: dict[str, str], ends: list[int]) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", ""])

    with pytest.raises(TimeoutError, match="did not connect"):
        link.linked(dead, 60)
