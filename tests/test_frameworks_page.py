"""The page that shows one network in each framework."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cnngen.backend import get_backend
from cnngen.language import parse
from cnngen.space.resolution import resolve

PAGE = (Path(__file__).parent.parent / "docs" / "frameworks.md").read_text()
BLOCKS = re.findall(r"```(?:\w*)\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(
    ("backend", "number"), [("torch", 1), ("keras", 2), ("flax", 3), ("onnx", 4)]
)
def test_the_page_shows_what_is_emitted(backend: str, number: int) -> None:
    network = resolve(parse(BLOCKS[0]))
    assert BLOCKS[number].strip() in get_backend(backend).emit(network)


@pytest.mark.parametrize("backend", ["torch", "keras", "flax", "onnx"])
def test_the_page_says_what_each_backend_can_and_how_to_install_it(backend: str) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{backend}` |")]
    chosen = get_backend(backend)
    assert re.search(r"'cnngen\[\w+\]'", chosen.install)[0] in row
    for ability in {"emit", "script", "train", "verify"}:
        assert (ability in row) is (ability in chosen.capabilities)


def test_the_weights_of_the_page_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(BLOCKS[-1], "page.py", "exec"), {})
    assert (tmp_path / "weights.npz").stat().st_size > 0
