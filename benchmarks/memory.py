"""Measure the peak memory of sampling networks to disk, which must not grow with their number.

The baseline is the peak after the first 1,000 of 10,000.
"""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path

from cnngen.language import format
from cnngen.space.sampling import sample_many


def peak() -> float:
    """Return the largest resident size of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        first = 0.0
        for number, network in enumerate(sample_many(10_000, "paper", seed=1), 1):
            text = format(network.description, long=True)
            (Path(folder) / f"{network.id}.cnn").write_text(text)
            if number == 1000:
                first = peak()
            if number % 1000 == 0:
                print(f"{number:6,} networks: peak {peak():.1f} MiB, {peak() / first:.3f} of first")


if __name__ == "__main__":
    main()
