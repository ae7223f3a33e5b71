"""`python -m cnngen`, and the console script."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

HELP = Path(__file__).parent / "cli" / "help.txt"

GARBAGE = (100_000, 20, 20)
"""Thresholds of garbage collection. Networks are many long-lived objects: with the default of 700,
collections take a fifth of the time to parse a thousand descriptions.
"""


def main() -> None:
    """Run the command line and exit with its exit code."""
    try:
        sys.exit(_run())
    except KeyboardInterrupt:  # while modules are loaded
        print("cnngen: stopped", file=sys.stderr)
        sys.exit(130)


def _run() -> int:
    # Print the stored top-level help, to save the time of importing Typer.
    if sys.argv[1:] in (["--help"], ["-h"]):
        from cnngen.cli.terminal import delivered

        return delivered(_print_help)
    from cnngen.cli.app import run

    gc.set_threshold(*GARBAGE)
    return run(sys.argv[1:])


def _print_help() -> int:
    from cnngen.cli.terminal import never_fail

    never_fail(sys.stdout)
    print(HELP.read_text(encoding="utf-8"), end="")
    return 0


if __name__ == "__main__":
    main()
