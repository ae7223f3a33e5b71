"""The command line as a newcomer uses it, in processes of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cnngen.cli.help import FILE, render

LENET = "LENET -> input conv pooling conv pooling flatten fullyConnected fullyConnected output"


def cnngen(*arguments: str, cwd: Path, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cnngen", *arguments],
        cwd=cwd,
        input=text,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100", "NO_COLOR": "1"},
        timeout=300,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lenet.cnn").write_text(LENET)
    return tmp_path


def test_help_is_what_typer_prints_and_needs_no_typer(folder: Path) -> None:
    assert FILE.read_text(encoding="utf-8") == render(), "run: python -m cnngen.cli.help"
    assert cnngen("--help", cwd=folder).stdout == FILE.read_text(encoding="utf-8")


def test_neither_help_nor_describing_imports_a_framework(folder: Path) -> None:
    code = (
        "import sys; from cnngen.cli.app import run\n"
        "for line in (['check', 'lenet.cnn'], ['sample'], ['generate', 'lenet.cnn'],"
        " ['generate', 'lenet.cnn', '-b', 'keras'], ['draw', 'lenet.cnn'], ['backends']):\n"
        "    assert run(line) == 0, line\n"
        "loaded = {'torch', 'keras', 'tensorflow', 'jax', 'sklearn', 'codecarbon', 'pandas'}\n"
        "assert not loaded & set(sys.modules), loaded & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_check_tells_what_network_a_description_gives(folder: Path) -> None:
    done = cnngen("check", "lenet.cnn", "--input", "28x28x1", cwd=folder)
    assert done.returncode == 0
    assert "lenet.cnn: 8 layers" in done.stdout
    assert "28x28x1 to 10 classes" in done.stdout


def test_check_reads_stdin_and_reports_json_with_line_and_column(folder: Path) -> None:
    done = cnngen("check", "-", "lenet.cnn", "--json", cwd=folder, text="input\nconv dense output")
    assert done.returncode == 2
    wrong, right = json.loads(done.stdout)
    assert (wrong["right"], wrong["line"], wrong["column"]) == (False, 2, 6)
    assert right["right"]
    assert right["layers"] == 8


def test_check_tells_of_all_mistakes_of_a_text(folder: Path) -> None:
    (folder / "many.cnn").write_text(
        "input covn conv(kernel_size=3)\n[add (conv, max)] flatn dense output"
    )
    done = cnngen("check", "many.cnn", cwd=folder)
    assert done.returncode == 2
    places = [line.split()[0] for line in done.stderr.splitlines() if line.startswith("many.cnn")]
    assert places == ["many.cnn:1:7:", "many.cnn:1:17:", "many.cnn:2:13:", "many.cnn:2:19:"]
    (first,) = json.loads(cnngen("check", "many.cnn", "--json", cwd=folder).stdout)
    assert (first["line"], first["column"], len(first["others"])) == (1, 7, 3)


def test_format_prints_checks_and_changes(folder: Path) -> None:
    assert (
        cnngen("format", "--short", "lenet.cnn", cwd=folder).stdout
        == LENET.replace("fullyConnected", "dense") + "\n"
    )
    assert cnngen("format", "--check", "lenet.cnn", cwd=folder).returncode == 1
    assert (folder / "lenet.cnn").read_text() == LENET
    assert cnngen("format", "--write", "lenet.cnn", cwd=folder).returncode == 0
    assert cnngen("format", "--check", "lenet.cnn", cwd=folder).returncode == 0


def test_format_keeps_comments(folder: Path) -> None:
    (folder / "lenet.cnn").write_text("// mine\n" + LENET + " // the end")
    assert cnngen("format", "--write", "lenet.cnn", cwd=folder).returncode == 0
    lines = (folder / "lenet.cnn").read_text().splitlines()
    assert lines[0] == "// mine"
    assert lines[-1] == "output  // the end"


def test_samples_are_reproducible_and_their_files_resolve_to_the_same_ids(folder: Path) -> None:
    options = ("sample", "-n", "3", "--seed", "5", "--space", "compact", "--layers", "8:30")
    lines = json.loads(cnngen(*options, "--json", cwd=folder).stdout)
    assert cnngen(*options, "--out", "nets", cwd=folder).returncode == 0
    files = sorted((folder / "nets").iterdir())
    assert [file.stem for file in files] == sorted(line["id"] for line in lines)
    checked = cnngen("check", "--json", *map(str, files), cwd=folder)
    assert {net["id"] for net in json.loads(checked.stdout)} == {line["id"] for line in lines}


def test_open_samples_are_sentences_without_hyper_parameters(folder: Path) -> None:
    done = cnngen("sample", "--open", "-n", "4", cwd=folder)
    assert len(done.stdout.splitlines()) == 4
    assert "=" not in done.stdout


@pytest.mark.parametrize(
    ("out", "magic"), [("net.svg", b"<svg"), ("net.png", b"\x89PNG"), ("net.pdf", b"%PDF")]
)
def test_draw_writes_a_picture(folder: Path, out: str, magic: bytes) -> None:
    assert cnngen("draw", "lenet.cnn", "--out", out, cwd=folder).returncode == 0
    assert magic in (folder / out).read_bytes()[:200]


def test_draw_takes_several_files_into_a_folder(folder: Path) -> None:
    (folder / "other.cnn").write_text(LENET.replace("LENET", "OTHER"))
    files = ("lenet.cnn", "other.cnn")
    assert cnngen("draw", *files, "-o", "pictures", "--no-title", cwd=folder).returncode == 0
    assert {file.name for file in (folder / "pictures").iterdir()} == {"lenet.svg", "other.svg"}
    assert ">OTHER</text>" not in (folder / "pictures/other.svg").read_text()
    done = cnngen("draw", *files, "-o", "one.png", cwd=folder)
    assert done.returncode == 2
    assert "do not go into one picture" in done.stderr


def test_the_first_command_gives_a_table_and_all_artefacts_and_does_not_train_twice(
    folder: Path,
) -> None:
    done = cnngen("--backend", "torch", "--count", "2", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout
    assert "Energy by CodeCarbon" in done.stdout
    assert "of the machine busy" in done.stdout
    runs = [run for run in (folder / "runs/first").iterdir() if run.name[0] != "."]
    assert len(runs) == 2
    files = {
        "adjacency.json",
        "model.cnn",
        "model.png",
        "model.svg",
        "record.json",
        "model_torch.py",
        "weights.safetensors",
    }
    records = []
    for run in runs:
        assert {file.name for file in run.iterdir()} == files
        records.append((run / "record.json").read_bytes())
        record = json.loads(records[-1])
        assert record["status"] == "ok"
        assert record["test_accuracy"] > 0.2
        assert record["energy"]["total_energy"] > 0
        assert len(record["history"]) == record["protocol"]["epochs"]
    again = cnngen("--backend", "torch", "--count", "2", cwd=folder)
    assert again.stdout == done.stdout
    assert [(run / "record.json").read_bytes() for run in runs] == records

    shown = cnngen("show", "runs/first", "--json", cwd=folder)
    assert {r["id"] for r in json.loads(shown.stdout)} == {json.loads(r)["id"] for r in records}
    one = cnngen("show", str(runs[0]), "--json", cwd=folder)
    assert json.loads(one.stdout) == json.loads(records[0])


def test_a_script_trains_by_itself_on_exported_data(folder: Path) -> None:
    assert cnngen("export", "digits.npz", cwd=folder).returncode == 0
    options = ("--script", "--input", "8x8x1", "--space", "compact", "-o", "net.py")
    assert cnngen("generate", "lenet.cnn", *options, cwd=folder).returncode == 0
    done = subprocess.run(
        [sys.executable, "net.py", "digits.npz", "--epochs", "2"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "test" in done.stdout


MISTAKES = {
    "no description": (["check", "bad.cnn"], "bad.cnn:1:7:"),
    "wrong extension": (["check", "lenet.txt"], "end in .cnn"),
    "missing file": (["generate", "none.cnn"], "none.cnn"),
    "a folder": (["draw", "folder.cnn"], "folder.cnn"),
    "binary file": (["check", "binary.cnn"], "UTF-8"),
    "10 MB of brackets": (["check", "brackets.cnn"], "brackets.cnn"),
    "unknown backend": (["generate", "lenet.cnn", "-b", "caffe"], "Installed: "),
    "unknown data": (["train", "lenet.cnn", "-d", "digit"], "digits"),
    "unknown space": (["sample", "-s", "papier"], "authors, compact, paper"),
    "unknown protocol": (["train", "lenet.cnn", "-p", "fast"], "quick, paper"),
    "unwritable folder": (["sample", "-o", "lenet.cnn/x"], "cannot be created"),
    "unwritable file": (["generate", "lenet.cnn", "-o", "no/where.py"], "cannot be written"),
    "a folder to write": (["generate", "lenet.cnn", "-o", "."], "cannot be written"),
    "a file as a folder": (["generate", "lenet.cnn", "-o", "lenet.txt/x.py"], "cannot be written"),
    "a name too long": (["generate", "lenet.cnn", "-o", "x" * 300 + ".py"], "cannot be written"),
    "an npz nowhere": (["export", "lenet.txt/x.npz"], "cannot be written"),
    "an empty shard": (["campaign", "-n", "2", "--shard", "3/4", "-o", "c"], "is empty"),
    "no such picture": (["draw", "lenet.cnn", "-o", "net.jpg"], ".svg, .png or .pdf"),
    "a backbone": (["train", "backbone.cnn"], "backbone"),
    "a wrong shape": (["train", "big.cnn"], "8x8x1"),
    "an odd shape": (["check", "lenet.cnn", "-i", "32x32"], "32x32x3"),
    "an odd range": (["sample", "--layers", "40:10"], "more to less"),
    "impossible bounds": (["sample", "--parameters", ":1"], "bounds"),
    "an odd country": (["train", "lenet.cnn", "--country", "Atlantis"], "Atlantis"),
    "no runs": (["show", "none"], "none"),
    "an npz of objects": (["train", "lenet.cnn", "-d", "objects.npz"], "objects.npz"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_a_short_message_with_code_2_and_leaves_nothing_behind(
    folder: Path, mistake: str
) -> None:
    import numpy as np

    (folder / "bad.cnn").write_text("input covn flatten dense output")
    (folder / "lenet.txt").write_text(LENET)
    (folder / "folder.cnn").mkdir()
    (folder / "binary.cnn").write_bytes(bytes(range(256)))
    (folder / "backbone.cnn").write_text("input conv output")
    (folder / "big.cnn").write_text("input(32x32x3) conv flatten dense output")
    np.savez(folder / "objects.npz", images=np.array([object()]), labels=np.array([0]))
    if "brackets" in mistake:
        (folder / "brackets.cnn").write_text("input " + "[(" * 5_000_000)
    before = sorted(folder.rglob("*"))
    arguments, words = MISTAKES[mistake]
    done = cnngen(*arguments, cwd=folder)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    if not done.stderr.startswith("Usage"):
        assert 1 <= len(done.stderr.strip().splitlines()) <= 5
    assert done.stdout == ""
    assert sorted(folder.rglob("*")) == before


def test_stdin_that_is_no_text_is_refused(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cnngen", "check", "-"],
        cwd=folder,
        input=b"\xff",
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"<stdin>: not a text file: byte 0 is not UTF-8" in done.stderr


def test_formatting_a_link_changes_what_it_points_to_and_keeps_its_mode(folder: Path) -> None:
    (folder / "lenet.cnn").chmod(0o750)
    (folder / "link.cnn").symlink_to("lenet.cnn")
    assert cnngen("format", "--write", "link.cnn", cwd=folder).returncode == 0
    assert (folder / "link.cnn").is_symlink()
    assert cnngen("format", "--check", "lenet.cnn", cwd=folder).returncode == 0
    assert (folder / "lenet.cnn").stat().st_mode & 0o777 == 0o750


def test_what_is_no_file_is_written_to_and_not_replaced(folder: Path) -> None:
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True) as reader:
        assert cnngen("generate", "lenet.cnn", "-o", "pipe", cwd=folder).returncode == 0
        assert reader.communicate()[0] == cnngen("generate", "lenet.cnn", cwd=folder).stdout
    assert pipe.is_fifo()


def test_open_samples_are_those_that_are_resolved(folder: Path) -> None:
    sentences = cnngen("sample", "--open", "-n", "3", cwd=folder).stdout.splitlines()
    networks = cnngen("sample", "-n", "3", cwd=folder).stdout.splitlines()
    for sentence, network in zip(sentences, networks, strict=True):
        words = re.sub(r"(?<=\w)\(.*?\)", "", network.replace("[add", "[").replace("[concat", "["))
        assert sentence.split() == words.split()


def test_the_framework_is_loaded_before_energy_is_measured(folder: Path) -> None:
    """A training must not be charged for an import that only the first one in a process has."""
    code = """
import sys
import cnngen
from cnngen.training.energy import Meter

class Watching(Meter):
    def window(self, name):
        assert "torch" in sys.modules
        return super().window(name)

data = cnngen.load_data("digits")
network = cnngen.sample("compact", input_shape=data.input_shape, seed=1)
protocol = cnngen.Protocol("one", epochs=1)
assert "torch" not in sys.modules
assert cnngen.train(network, data, protocol, meter=Watching()).record.status == "ok"
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_times_have_units_and_mean_the_same_in_every_command(folder: Path) -> None:
    from cnngen.cli.options import seconds_of

    assert [seconds_of(text) for text in ("90s", "1.5min", "6h", "2d")] == [90, 90, 21600, 172800]
    for command in (["campaign", "-n", "1", "-o", "c"], ["compare"], ["verify", "lenet.cnn"]):
        done = cnngen(*command, "--patience", "6", cwd=folder)
        assert done.returncode == 2
        assert "such as 90s, 30min or 6h" in done.stderr


def test_json_is_one_value_in_every_command(folder: Path) -> None:
    assert json.loads(cnngen("sample", "-n", "2", "--json", cwd=folder).stdout)[1]["layers"] > 2
    assert json.loads(cnngen("check", "lenet.cnn", "--json", cwd=folder).stdout)[0]["right"]
    assert {row["name"] for row in json.loads(cnngen("backends", "--json", cwd=folder).stdout)} >= {
        "torch",
        "onnx",
    }


def test_ctrl_c_ends_any_command_with_a_sentence_and_code_130(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "cnngen", "sample", "-n", "1000000"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it is at work
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert said == "cnngen: stopped\n"


def test_a_backend_is_called_installed_only_once_its_framework_was_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A package that is there and cannot be imported, as after a broken update."""
    (folder / "onnxruntime").mkdir()
    (folder / "onnxruntime/__init__.py").write_text("raise ImportError('no libgomp.so.1')")
    monkeypatch.syspath_prepend(str(folder))  # which worker processes get
    from cnngen.cli.measure import _backend

    found = _backend("onnx")
    assert found["framework"] is None
    assert "cannot be loaded" in found["missing"]
    assert "no libgomp.so.1" in found["missing"]
