"""Every block of the tutorials runs, in its order, as a reader would run it.

Files are written under their titles, Python and commands are executed, with fewer networks and
epochs than are printed. `pip install .` leaves on the path what pip would. What a `text` block
shows is printed or written; a `console` block has times and energies, which differ.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs" / "tutorials").glob("*-*.md"))
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)

FEWER = {
    r"^(cnngen campaign .*)-n \d+(.*)$": r"\1-n 3 --epochs 1 --idle 0\2",
    r"^(cnngen train .*)$": r"\1 --epochs 1",
    r"^(cnngen report .*)$": r"\1 --repeats 1",
}

READER = """
import shlex
from pathlib import Path
from cnngen.cli.app import run

def command(line):
    assert run(shlex.split(line)) == 0, line

"""


@pytest.fixture
def tutorial(tmp_path: Path) -> Path:
    """The folder `tutorial` of a checkout that has examples and a few known networks."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    known = pq.read_table(ROOT / "benchmarks" / "data" / "digits.parquet").slice(0, 60)
    (tmp_path / "benchmarks" / "data").mkdir(parents=True)
    pq.write_table(known, tmp_path / "benchmarks" / "data" / "digits.parquet")
    folder = tmp_path / "tutorial"
    folder.mkdir()
    return folder


def installed(pyproject: str, folder: Path) -> None:
    """What `pip install .` would leave on the path: the package's name and entry points."""
    project = tomllib.loads(pyproject)["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(head)
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def steps(page: Path, folder: Path) -> str:
    """A program that does what the page says."""
    program = [READER]
    for kind, title, text in BLOCK.findall(page.read_text("utf-8")):
        if title:
            program.append(f"Path({title!r}).write_text({text!r})")
            if title == "pyproject.toml":
                installed(text, folder)
        elif kind == "python":
            program.append(text)
        elif kind == "sh":
            for line in text.splitlines():
                if line == "pip install .":
                    continue
                assert line.startswith("cnngen "), line
                for pattern, fewer in FEWER.items():
                    line = re.sub(pattern, fewer, line)
                program.append(f"command({shlex.join(shlex.split(line)[1:])!r})")
        else:
            assert kind in ("text", "console"), f"a {kind} block that nobody runs"
    return "\n".join(program)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_runs_as_it_is_printed(page: Path, tutorial: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", steps(page, tutorial)],
        cwd=tutorial,
        env=os.environ | {"PYTHONPATH": str(tutorial), "CNNGEN_CACHE": str(tutorial / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    written = done.stdout + "".join(file.read_text("utf-8") for file in tutorial.glob("*.py"))
    shown = [text for kind, title, text in BLOCK.findall(page.read_text("utf-8")) if kind == "text"]
    for line in "\n".join(shown).splitlines():
        assert "…" in line or line in written, line
