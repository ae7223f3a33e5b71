"""The reference of the commands: what `--help` prints for each, with the examples set apart."""

from __future__ import annotations

import os
import re
from contextlib import redirect_stdout
from io import StringIO

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PAGE = "reference/commands.md"
HEAD = """# Commands

What `cnngen COMMAND --help` prints. Exit codes: 0 done, 1 done and something was wrong (a run that
cannot be read, frameworks that differ), 2 the command or a file is wrong, 130 Ctrl-C.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    """The page, made of the help of the whole and of each command."""
    os.environ |= {"COLUMNS": "84", "TERMINAL_WIDTH": "84", "NO_COLOR": "1", "TERM": "dumb"}
    from cnngen.cli.app import COMMANDS, app

    parts = [HEAD, "## cnngen\n", *_section()]
    for panel, commands in COMMANDS.items():
        parts.append(f"## {panel}\n")
        for command in commands:
            name = command.__name__.rstrip("_")
            parts += [f"### cnngen {name}\n", *_section(name)]
    for group in app.registered_groups:
        within = group.typer_instance.registered_commands if group.typer_instance else []
        known = group.typer_instance.info.name if group.typer_instance else ""
        parts.append(f"## cnngen {known}\n")
        for one in within:
            parts += [f"### cnngen {known} {one.name}\n", *_section(str(known), str(one.name))]
    return "\n".join(parts)


def _section(*command: str) -> list[str]:
    """Usage, what the command does, its examples, and its options as they are printed."""
    from cnngen.cli.app import run

    with redirect_stdout(StringIO()) as out:
        run([*command, "--help", *([] if command else [""])])
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    first = next(number for number, line in enumerate(lines) if line.startswith("╭"))
    usage, *prose = re.split(r"\n\s*\n", "\n".join(line[1:] for line in lines[:first]).strip("\n"))
    parts = [f"```text\n{usage}\n```\n"]
    for paragraph in prose:
        example = re.search(r"^(\S+ .*\| )?cnngen ", paragraph)
        parts.append(f"```sh\n{paragraph}\n```\n" if example else paragraph.strip() + "\n")
    return [*parts, "```text", *lines[first:], "```", ""]
