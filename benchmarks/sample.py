"""Measure sampling and resolving of both spaces, compared with resolving by trial and error.

The baseline works like generators that validate afterwards: it draws every window from the space
and starts again if two branches do not match or a map vanishes.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable

from cnngen.language import Description, Layer, Merge
from cnngen.operations import WINDOW_NAMES
from cnngen.space import Space, load_space
from cnngen.space.resolution.windows import given, possible_windows
from cnngen.space.sampling import sample, sample_description

ROUNDS = 5
COUNT = 200
TRIES = 500


def by_trial(description: Description, space: Space, draw: Callable[[], float]) -> int | None:
    """Return the number of tries until every merge matched; None after `TRIES` tries."""
    for attempt in range(1, TRIES + 1):
        if _one_trial(description, space, draw):
            return attempt
    return None


def _one_trial(description: Description, space: Space, draw: Callable[[], float]) -> bool:
    size = (32, 32)
    merges: list[list[tuple[int, int]]] = []
    for item in description.walk():
        match item:
            case Layer() if item.kind in WINDOW_NAMES:
                known = given(item)
                assert known is not None
                output = possible_windows(space, known, "full").draw(draw).output(size)
                if output is None:
                    return False
                size = output
            case Merge():
                merges.append([size, size, size])
            case "(":
                size = merges[-1][0]
            case ",":
                merges[-1][2], size = size, merges[-1][1]
            case ")":
                if merges[-1][2] != size:
                    return False
                merges[-1][:2] = size, size
            case "]":
                size = merges.pop()[0]
    return True


def main() -> None:
    for name in ("paper", "compact"):
        space = load_space(name)
        ours: list[float] = []
        trial: list[float] = []
        unsolved = layers = 0
        for round_ in range(ROUNDS + 1):
            seeds = range(round_ * COUNT, (round_ + 1) * COUNT)
            began = time.process_time()
            for seed in seeds:
                layers += len(sample(space, seed=seed))
            between = time.process_time()
            for seed in seeds:
                drawn = sample_description(space, seed=seed)
                unsolved += by_trial(drawn, space, random.Random(seed).random) is None
            ended = time.process_time()
            if round_:  # the first round fills caches
                ours.append(COUNT / (between - began))
                trial.append(COUNT / (ended - between))
        drawn_in_all = COUNT * (ROUNDS + 1)
        print(
            f"{name}: {statistics.median(ours):,.0f} networks a second of CPU time "
            f"({min(ours):,.0f} to {max(ours):,.0f}), {layers / drawn_in_all:.0f} layers on "
            f"average, none unsolved"
        )
        print(
            f"{name}, sizes alone by trial and error, {TRIES} tries at most: "
            f"{statistics.median(trial):,.0f} a second ({min(trial):,.0f} to {max(trial):,.0f}), "
            f"{unsolved / drawn_in_all:.1%} unsolved"
        )
        ratio = statistics.median(a / b for a, b in zip(ours, trial, strict=True))
        print(f"{name}: ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
