"""Measure source files emitted per second, compared with `ast.unparse` and `ruff format`.

    python benchmarks/emit.py [--rounds 7]

The networks are from `paper`, with about 30 layers. The baselines are the last step of a simpler
emitter: `ast.unparse` writes the same file from its syntax tree, in this process and ignoring line
lengths; `ruff format` formats the same file, in one process per file. All alternate in each round.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count, islice
from statistics import median

from cnngen.backend import backend_names, get_backend
from cnngen.space.sampling import sample

LAYERS = range(25, 36)
NETWORKS = 100
FEW = 10
"""Number of files for `ruff format`, which is slow."""

WANTED = 500


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=7)
    rounds = options.parse_args().rounds

    drawn = (sample("paper", seed=seed) for seed in count())
    networks = list(islice((net for net in drawn if len(net) in LAYERS), NETWORKS))
    layers = sum(map(len, networks)) / NETWORKS
    print(f"{NETWORKS} networks of {layers:.0f} layers on average; files a second")
    for name in backend_names():
        backend = get_backend(name)
        sources = [backend.emit(network) for network in networks]
        trees = [ast.parse(source) for source in sources]
        ways: dict[str, Callable[[], int]] = {
            "emit": lambda backend=backend: len([backend.emit(net) for net in networks]),
            "ast.unparse": lambda trees=trees: len([ast.unparse(tree) for tree in trees]),
            "ruff format": lambda sources=sources: len(
                [laid_out(source) for source in sources[:FEW]]
            ),
        }
        rates: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, run in ways.items():
                start = time.perf_counter()
                written = run()
                rates[way].append(written / (time.perf_counter() - start))
        for way, seen in rates.items():
            print(f"{name:6} {way:12} {median(seen):7,.0f} ({min(seen):,.0f} to {max(seen):,.0f})")
        for way in list(ways)[1:]:
            ratios = [ours / theirs for ours, theirs in zip(rates["emit"], rates[way], strict=True)]
            low, middle, high = min(ratios), median(ratios), max(ratios)
            print(f"{name:6} emit / {way}: {middle:.1f} ({low:.1f} to {high:.1f})")
        print(f"{name:6} {median(rates['emit']):,.0f} a second, {WANTED} wanted")


def laid_out(source: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
