"""`python -m cnngen`, and the console script."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

HELP = Path(__file__).parent / "cli" / "help.txt"

GARBAGE = (100_000, 20, 20)
"""When it is looked for. Networks are many objects that stay: to look among them every 700 takes
a fifth of the time in which a thousand descriptions are read."""


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    # The help of the whole, as Typer prints it, without the time it takes Typer to print it.
    if sys.argv[1:] in (["--help"], ["-h"]):
        from cnngen.cli.terminal import delivered

        sys.exit(delivered(_print_help))
    from cnngen.cli.app import run

    gc.set_threshold(*GARBAGE)
    sys.exit(run(sys.argv[1:]))


def _print_help() -> int:
    from cnngen.cli.terminal import never_fail

    never_fail(sys.stdout)
    print(HELP.read_text(encoding="utf-8"), end="")
    return 0


if __name__ == "__main__":
    main()
