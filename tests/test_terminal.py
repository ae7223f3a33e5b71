"""What strangers wrote stays text where it leaves: on terminals, in pages, cards and pictures.

And what a terminal cannot say is said in plainer characters.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table as Rows
from test_cli import LENET
from test_store import SOURCE, failed, network, record

from cnngen.cli import output
from cnngen.cli.app import run
from cnngen.cli.show_comparison import CompareDisplay
from cnngen.cli.terminal import FALLBACK, doors
from cnngen.report import plots
from cnngen.report.page import Heading, Image, Paragraph, Table, to_html, to_markdown
from cnngen.runs.campaign import Job, Metering
from cnngen.runs.dataset_card import plain
from cnngen.runs.store import save
from cnngen.training.protocol import Protocol

CLIPBOARD = "\x1b]52;c;ZXZpbA==\x07"
EVIL = f"{CLIPBOARD}\x1b[2J\x9b31m\x7f\r\u202e\u2028[bold]a[/x]:smile:$\\frac`<script>"
FILE = os.fsdecode(b"\xff\x9b") + EVIL.replace("/", "")

hostile = st.text(
    st.one_of(
        st.characters(codec=None),
        st.sampled_from("\x00\x07\x08\t\r\n\x1b\x7f\x85\x9b\x9d\u202e\u2066\u2028\u2029\ud800[]/$"),
    )
) | st.just(EVIL)


def assert_seen(text: str) -> None:
    hidden = {c for c in text if not c.isprintable()} - {"\n"}
    assert not hidden, (hidden, text)


@given(hostile)
def test_what_is_printed_can_be_seen_and_is_taken_literally(text: str) -> None:
    """Law: no text makes a terminal do anything, nor Rich, and no text stops a command."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
    before, sys.stdout = sys.stdout, out
    try:
        with doors():
            print(text)
            rows = Rows(text, title=text)
            rows.add_row(text)
            output.console.print(rows)
            output.console.print(text, soft_wrap=True)
            output.console.print("[bold]a[/x] :smile:")
            output.print_json({"text": text})
    finally:
        sys.stdout = before
    out.flush()
    said = out.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert_seen(said)
    assert "[bold]a[/x] :smile:" in said
    assert json.loads(said[said.rindex("{\n") :])["text"] == text


@given(hostile, hostile)
def test_pages_and_cards_hold_what_can_be_seen(one: str, other: str) -> None:
    """Law: HTML and Markdown of any texts are UTF-8 in which nothing is hidden."""
    blocks = [
        *(Heading(one), Paragraph(other), Image(one, other, b"<svg/>")),
        Table([one, other], [[other, one]]),
    ]
    for page in (to_html(one, blocks), to_markdown(one, blocks, "figures")):
        assert_seen(page)
        page.encode()
    assert "\n" not in plain(one)


def test_a_plot_takes_any_text_for_a_label() -> None:
    svg = plots.bars({EVIL: (1.0, 0.1), "\ud800$$": (2.0, 0.1)}, EVIL)
    assert_seen("".join(ElementTree.fromstring(svg).itertext()))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of which strangers wrote all they could."""
    runs = tmp_path / "runs"
    kept = record()
    data = replace(kept.data, name=EVIL)
    hardware = replace(kept.hardware, cpu=EVIL, gpu=EVIL)
    save(runs, replace(kept, data=data, space=EVIL, hardware=hardware), network(), SOURCE)
    lost = failed()
    save(runs, replace(lost, cause=EVIL, energy=None, energy_cause=EVIL), network(), SOURCE)
    (runs / kept.key / FILE).touch()
    broken = record(network(5))
    save(runs, broken, network(5), SOURCE)
    (runs / broken.key / "record.json").write_text(json.dumps({"schema": EVIL, EVIL: 1}))
    (tmp_path / FILE).write_text(f"input {EVIL} conv")
    (tmp_path / f"right{FILE}").write_text(f"{LENET} // {EVIL}")
    monkeypatch.chdir(tmp_path)
    return runs


COMMANDS = (
    ("show", "runs"),
    ("show", "runs", "--json"),
    ("show", record().key),
    ("show", FILE),
    ("check", FILE, f"right{FILE}"),
    ("check", FILE, f"right{FILE}", "--json"),
    ("check", f"right{FILE}", "--space", FILE),
    ("format", "--check", f"right{FILE}"),
    ("generate", FILE),
    ("generate", f"right{FILE}", "--backend", EVIL),
    ("draw", f"right{FILE}", "--out", EVIL),
    ("draw", f"right{FILE}", "--out", f"{FILE}.svg"),
    ("sample", "--space", FILE),
    ("train", FILE, "--data", FILE),
    ("campaign", "--space", FILE),
    ("campaign", "--data", FILE, "-n", "1"),
    ("index", "runs", "--card"),
    ("index", FILE),
    ("merge", "other", "runs"),
    ("merge", "other", FILE),
    ("report", "runs", "--predictors", EVIL),
    ("report", FILE),
    ("predict", f"right{FILE}", "--model", FILE),
    ("predict", FILE),
    ("verify", FILE),
    ("verify", f"right{FILE}", "--modes", EVIL),
    ("compare", FILE, "--modes", EVIL),
    ("export", FILE),
    ("backends", EVIL),
    ("studio", FILE, "--host", EVIL),
    (EVIL,),
    (f"--{EVIL}",),
    ("sample", "--seed", EVIL),
    ("sample", f"--{EVIL}"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command[0]:.8}".strip("\x1b"))
def test_no_command_sends_a_terminal_what_strangers_wrote(
    folder: Path, command: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    run(command)
    said = capfd.readouterr()
    assert_seen(said.out)
    assert_seen(said.err)
    assert "Traceback" not in said.err
    assert said.out + said.err


def test_what_is_said_of_trainings_stays_on_its_line(capfd: pytest.CaptureFixture[str]) -> None:
    net = network()
    with doors(), CompareDisplay(2) as display:
        display.lost(Job("key", net, Protocol(), "torch", Metering()), EVIL)
        display.broken(Path(FILE), EVIL, Path(FILE))
        display.mode_began(EVIL, 0)
        display.mode_failed(EVIL, f"{EVIL}\nforged")
    said = capfd.readouterr().err
    assert_seen(said)
    assert len(said.splitlines()) == 3
    assert "[bold]a[/x]" in said


def test_a_record_gives_no_lines_that_it_forged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    forged = "x\nFORGED"
    kept = failed()
    kept = replace(kept, data=replace(kept.data, name=forged), cause=forged, space=forged)
    save(tmp_path, replace(kept, energy=None, energy_cause=forged), network(), SOURCE)
    for command in (("show", str(tmp_path)), ("show", str(tmp_path), kept.key)):
        run(command)
        said = capfd.readouterr().out
        assert "x FORGED" in said
        assert not [line for line in said.splitlines() if line.strip().startswith("FORGED")]


def test_bars_take_descriptions_literally() -> None:
    out = io.StringIO()
    progress = output.progress_bars()
    progress.console.file, before = out, progress.console.file
    try:
        progress.add_task(EVIL, total=1)
        progress.console.print(progress.get_renderable())
    finally:
        progress.console.file = before
    assert_seen(out.getvalue())
    assert "[bold]a" in out.getvalue()


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "cp437", "utf-16", "latin-1"])
def test_what_a_terminal_cannot_say_is_said_plainly(
    folder: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stdout with such an encoding, as under Windows: no error, and files stay UTF-8."""
    name = "日本.cnn"
    Path(name).write_text(f"{LENET} // é → 日本", encoding="utf-8")
    for command in (
        ("show", "runs"),
        ("show", record().key),
        ("show", record().key, "--json"),
        ("check", name, f"right{FILE}"),
        ("check", "日本", "--json"),
        ("format", name),
        ("format", "--write", name),
        ("generate", name),
        ("draw", name, "--out", "日本.svg"),
        ("backends",),
        ("index", "runs", "--card"),
        ("sample", "--help"),
        ("sample", "--日本"),
    ):
        out, said = (
            io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True) for _ in range(2)
        )
        with monkeypatch.context() as streams:
            streams.setattr(sys, "stdout", out)
            streams.setattr(sys, "stderr", said)
            run(command)
        written = out.buffer.getvalue()  # type: ignore[attr-defined]
        if command[0] in ("format", "generate"):
            written.decode()  # what goes into a file
        elif "--json" in command:
            json.loads(written.decode(encoding))
        else:
            assert "日" not in written.decode(encoding) or encoding == "utf-16"
    assert "日本" in Path(name).read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [["--help"], ["check", "-"]])
def test_output_that_cannot_go_out_ends_a_command_without_a_traceback(command: list[str]) -> None:
    def run_into(stdout: IO[bytes]) -> tuple[int, bytes]:
        line = [sys.executable, "-P", "-m", "cnngen", *command]
        done = subprocess.run(line, input=LENET.encode(), stdout=stdout, stderr=subprocess.PIPE)
        return done.returncode, done.stderr

    if (full := Path("/dev/full")).exists():
        with full.open("wb") as stdout:
            assert run_into(stdout) == (1, b"cnngen: No space left on device\n")
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb") as stdout:
        assert run_into(stdout) == (1, b"")


def test_sparklines_and_arrows_have_plainer_forms() -> None:
    said = "▁▂▃▄▅▆▇█ → × … é Å 日 –".encode("ascii", FALLBACK)
    assert said == b"_.-~=+*# -> x ... e A ? -"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pty")
def test_on_a_terminal_the_only_escapes_are_those_of_colours(folder: Path) -> None:
    for command in (("show", "runs"), ("sample", f"--{EVIL}")):
        said = on_a_terminal("-m", "cnngen", *command)
        assert COLOUR.search(said)
        plain = COLOUR.sub("", said).replace("\r\n", "\n")
        assert_seen(plain)
        assert "52;c;ZXZpbA" in plain  # at = an option would end


COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def on_a_terminal(*arguments: str) -> str:
    """What Python writes to a terminal 200 columns wide."""
    import pty

    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", "PYTHONUTF8": "1"}
    environment.pop("NO_COLOR", None)
    done = subprocess.Popen(
        [sys.executable, *arguments], stdin=slave, stdout=slave, stderr=slave, env=environment
    )
    os.close(slave)
    said = b""
    with contextlib.suppress(OSError):  # which is the end of a terminal on Linux
        while part := os.read(master, 4096):
            said += part
    os.close(master)
    done.wait()
    return said.decode()


def wide_table() -> Rows:
    table = output.table_of("network", "figure")
    for number in range(3):
        table.add_row(f"{number}-{'n' * 300}", f"outside: {number} %")
    return table


def test_a_piped_table_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(wide_table())
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split(maxsplit=1) for line in lines] == [
        [f"{number}-{'n' * 300}", f"outside: {number} %"] for number in range(3)
    ]


def test_on_a_narrow_terminal_each_cell_keeps_its_characters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    narrow = output.PlainConsole()
    monkeypatch.setattr(narrow, "_force_terminal", True)
    narrow.size = (40, 20)
    monkeypatch.setattr(output, "console", narrow)
    with narrow.capture() as capture:
        output.print_table(wide_table())
    shown = re.sub(r"\x1b\[[\d;]*m", "", capture.get())
    assert "".join(shown.split()).count("n" * 300) == 3
    for number in range(3):
        assert f"  figure outside: {number} %" in shown.splitlines()


def test_lines_of_boxes_have_plainer_forms() -> None:
    for encoding in ("ascii", "cp1252"):
        assert "┌─┬━┐│┃╭╯".encode(encoding, FALLBACK) == b"+-+-+||++"
