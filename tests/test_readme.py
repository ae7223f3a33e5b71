"""The commands of README's block run as printed, one after the other.

Two things differ from a reader's: the numbers of networks and epochs are small, and `cifar10` is a
few images that lie where CNNGen looks before it downloads.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_lines import parsed, parts
from PIL import Image

from cnngen.cli.app import run

ROOT = Path(__file__).parents[1]

SMALLER = [
    ("-n 100 ", "-n 2 --layers 9:14 "),
    ("-n 1300 ", "-n 2 --layers 9:14 "),
    ("--protocol paper", "--protocol paper --epochs 1"),
    ("cnngen search ", "cnngen search --epochs 1 --layers 9:12 "),
]

ELSEWHERE = ("doctor", "energy", "verify", "compare", "studio")
"""Commands that take long, ask, or do not end; other tests run them. Here their arguments are read."""


def block() -> list[str]:
    """The lines of README's block of commands."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"```sh\n(cnngen .*?)```", text, re.DOTALL)
    return found.splitlines()


def made_cifar10(folder: Path) -> None:
    """Write a few images in the layout of the Parquet files that Hugging Face has of CIFAR-10."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for split, count in (("train", 60), ("test", 20)):
        rows = []
        for number in range(count):
            file = folder / "image.png"
            Image.fromarray(random.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(file)
            rows.append({"img": {"bytes": file.read_bytes(), "path": None}, "label": number % 10})
            file.unlink()
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{split}.parquet")


def test_the_block_of_commands_runs_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    made_cifar10(tmp_path / "data" / "cifar10")
    monkeypatch.setenv("CNNGEN_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    lines = block()
    for line in lines:
        for printed, small in SMALLER:
            line = line.replace(printed, small)
        for arguments, _, _ in parts(line):
            if arguments[0] in ELSEWHERE:
                assert parsed(arguments)
            else:
                assert run(arguments) == 0, f"{line}\n{capsys.readouterr().err}"
    assert len(lines) > 12
    assert len(list(tmp_path.glob("nets/*.cnn"))) == 2
    assert len(list(tmp_path.glob("runs/paper/*/record.json"))) == 2
    assert (tmp_path / "report/report.html").is_file()
