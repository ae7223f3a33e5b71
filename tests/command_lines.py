"""Command lines that documents print, taken apart as a shell does."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import click
from typer.main import get_command

from cnngen.cli.app import app


def expanded(words: list[str]) -> list[str]:
    """Words with patterns such as nets/*.cnn replaced by the files, as a shell does."""
    found = []
    for word in words:
        found += sorted(map(str, Path().glob(word))) if "*" in word else [word]
    return found


def parts(line: str) -> Iterator[tuple[list[str], str | None, str]]:
    """The CNNGen commands of a line: arguments, the file that takes the output, and stdin."""
    words = shlex.split(line, comments=True)
    while words:
        end = words.index("&&") if "&&" in words else len(words)
        command, words = words[:end], words[end + 1 :]
        stdin = ""
        if command[0] == "echo":
            stdin, command = command[1], command[command.index("|") + 1 :]
        command = command[: command.index("|")] if "|" in command else command
        out = command[-1] if ">" in command else None
        command = command[: command.index(">")] if ">" in command else command
        assert command[0] == "cnngen", line
        yield expanded(command[1:]), out, stdin


def parsed(arguments: list[str]) -> click.Context:
    """The context that a command would be invoked with. Raises what mistaken options raise."""
    command, context = get_command(app), None
    name = "cnngen"
    while True:
        context = command.make_context(name, list(arguments), parent=context)
        if not isinstance(command, click.Group):
            return context
        arguments = [*context._protected_args, *context.args]
        resolved, command, arguments = command.resolve_command(context, arguments)
        name = resolved or name
