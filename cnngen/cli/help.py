"""Writes `help.txt`: `python -m cnngen.cli.help`, after a command or its summary changed."""

from __future__ import annotations

import os
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

FILE = Path(__file__).parent / "help.txt"


def render() -> str:
    """Render the top-level help as Typer prints it, 80 columns wide and without colours."""
    os.environ |= {"COLUMNS": "80", "TERMINAL_WIDTH": "80", "NO_COLOR": "1", "TERM": "dumb"}
    from cnngen.cli.app import run

    with redirect_stdout(StringIO()) as out:
        run(["--help", ""])
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).strip("\n") + "\n"


if __name__ == "__main__":
    FILE.write_text(render(), encoding="utf-8")
