"""Spaces are data: every slip in one gets a message that names the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnngen.cli.app import run
from cnngen.errors import SpaceError
from cnngen.space import builtin_spaces, load_space
from cnngen.space.space import space_text

PAPER = (Path(__file__).parent.parent / "cnngen/space/spaces/paper.toml").read_text()


def edited(tmp_path: Path, old: str, new: str) -> Path:
    assert PAPER.count(old) == 1
    path = tmp_path / "mine.toml"
    path.write_text(PAPER.replace(old, new))
    return path


def test_the_paper_space_has_the_settings_of_the_paper() -> None:
    paper = load_space("paper")
    assert paper.features.count == (3, 5)
    assert (paper.features.pooling, paper.features.dropout) == (0.66, 0.2)
    assert paper.features.merge == pytest.approx(1 / 3)
    assert paper.convolution.kernels.values == (1, 2, 3, 4, 5, 6, 7)
    assert paper.convolution.strides.values == paper.pooling.strides.values == (1, 2, 3, 4)
    assert paper.pooling.sizes.values == (1, 2, 3, 4, 5)
    assert paper.convolution.activations.values == ("relu", "selu", "tanh", "gelu")
    assert paper.dropout_rates.values == (0.01, 0.1, 0.2, 0.4, 0.5, 0.8)
    assert paper.batch_norm_epsilons.values == (1.1e-10, 1.1e-7, 1.1e-5, 1.001e-5, 1e-3)
    assert paper.classification.dense == (1, 3)
    assert paper.merge.bodies == (1, 2)


def test_both_spaces_are_there_and_valid() -> None:
    assert builtin_spaces() == ["authors", "compact", "paper"]
    assert load_space("compact").name == "compact"


@pytest.mark.parametrize(
    ("old", "new", "named", "reason"),
    [
        ("pooling = 0.66", "pooling = 1.66", "features.pooling", "less than or equal to 1"),
        ("pooling = 0.66", "pooling = nan", "features.pooling", ""),
        ("count = [3, 5]", "count = [5, 3]", "features.count", "is an empty range"),
        ("count = [3, 5]", "count = [3, 5, 7]", "features.count", ""),
        ("count = [3, 5]", "counts = [3, 5]", "features.counts", "not a key of a space"),
        ("count = [3, 5]", "count = [3, 100000000]", "features.count", ""),
        ("kernels = [1, 2, 3, 4, 5, 6, 7]", "kernels = []", "convolution.kernels", "empty"),
        ("kernels = [1, 2, 3, 4, 5, 6, 7]", "kernels = [0]", "convolution.kernels", "between"),
        ("kernels = [1, 2, 3, 4, 5, 6, 7]", "kernels = [3, 3]", "convolution.kernels", "twice"),
        ("kernels = [1, 2, 3, 4, 5, 6, 7]", "kernels = [1.5]", "convolution.kernels", "number"),
        (
            "kernels = [1, 2, 3, 4, 5, 6, 7]",
            "kernels = {3 = -1}",
            "convolution.kernels",
            "between 1e-90",
        ),
        ("kernels = [1, 2, 3, 4, 5, 6, 7]", "", "convolution.kernels", "is missing"),
        ('modes = ["add", "concat"]', 'modes = ["mean"]', "merge.modes", "add, concat"),
        ('name = "paper"', 'name = "../x"', "name", ""),
        ("max_depth = 24", "max_depth = 100000", "merge.max_depth", ""),
        (
            "sizes = [1, 2, 3, 4, 5]\nstrides = [1, 2, 3, 4]",
            "sizes = [1, 2, 3, 4, 5]\nstrides = [2]",
            "pooling",
            "cannot keep a size",
        ),
    ],
)
def test_a_slip_in_a_space_is_named(
    tmp_path: Path, old: str, new: str, named: str, reason: str
) -> None:
    with pytest.raises(SpaceError) as caught:
        load_space(edited(tmp_path, old, new))
    assert f"  {named}: " in str(caught.value)
    assert reason in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 6


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"name = [", "not valid TOML"), (b"\xff\xfe", "UTF-8"), (b"", "missing")],
)
def test_a_file_that_is_no_space_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(SpaceError, match=words):
        load_space(path)


def test_an_unknown_space_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="authors, compact, paper"):
        load_space("papier")
    with pytest.raises(SpaceError, match="cannot be read"):
        load_space(tmp_path / "none.toml")


def test_a_space_changed_on_disk_is_read_again(tmp_path: Path) -> None:
    path = edited(tmp_path, "count = [3, 5]", "count = [3, 5]")
    assert load_space(path).features.count == (3, 5)
    path.write_text(PAPER.replace("count = [3, 5]", "count = [2, 9]") + "\n# longer\n")
    assert load_space(path).features.count == (2, 9)


def test_a_space_with_a_base_holds_only_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('base = "compact"\n[convolution]\nkernels = [3]\n')
    space, base = load_space(path), load_space("compact")
    assert space.name == "mine"
    assert space.convolution.kernels.values == (3,)
    assert space.convolution.strides == base.convolution.strides
    assert space.merge == base.merge
    whole = tmp_path / "whole.toml"
    whole.write_text(space_text(path))
    assert load_space(whole).model_dump() == space.model_dump()
    path.write_text('base = "../compact"\n')
    with pytest.raises(SpaceError, match="'base' is not the name of a space"):
        load_space(path)


def test_a_changed_copy_does_not_go_by_the_name_of_ours(tmp_path: Path) -> None:
    text = space_text("compact")
    same = tmp_path / "mine.toml"
    same.write_text("# only a comment\n" + text)
    assert load_space(same).name == "compact"
    same.write_text(text.replace("max_layers = 120", "max_layers = 60"))
    assert load_space(same).name == "mine"
    other = tmp_path / "paper.toml"
    other.write_text(text.replace("max_layers = 120", "max_layers = 60"))
    with pytest.raises(SpaceError, match="differs from the space 'compact'"):
        load_space(other)


def test_the_commands_print_spaces_that_sample_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["space", "list"]) == 0
    assert "compact" in capsys.readouterr().out
    assert run(["space", "show", "compact"]) == 0
    path = tmp_path / "mine.toml"
    path.write_text(capsys.readouterr().out)
    assert load_space(path).name == "compact"
    assert run(["space", "show", "nothing"]) == 2
