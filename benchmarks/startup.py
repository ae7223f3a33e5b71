"""Measure the start-up time of commands, compared with `python -c pass`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 11
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "cnngen --help": ["-m", "cnngen", "--help"],
    "import cnngen": ["-c", "import cnngen"],
    "cnngen check": ["-m", "cnngen", "check", "examples/lenet.cnn"],
    "cnngen generate": ["-m", "cnngen", "generate", "examples/lenet.cnn"],
    "cnngen sample": ["-m", "cnngen", "sample"],
    "cnngen predict": ["-m", "cnngen", "predict", "examples/lenet.cnn"],
    "import torch": ["-c", "import torch"],
}


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for round_ in range(ROUNDS + 1):
        for name, arguments in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
            if round_:
                times[name].append(time.perf_counter() - began)
    base = times["python -c pass"]
    for name, seconds in times.items():
        ratio = statistics.median(a / b for a, b in zip(seconds, base, strict=True))
        print(
            f"{name:16} {statistics.median(seconds) * 1000:6.0f} ms "
            f"({min(seconds) * 1000:.0f} to {max(seconds) * 1000:.0f}), {ratio:.1f} times pass"
        )


if __name__ == "__main__":
    main()
