"""Measure how parsing time grows with the text, compared with textX's own parser.

    python benchmarks/parse.py [--rounds 5]

Both use the same grammar and alternate on the same texts in each round. The last lines give the
exponent of time over tokens (1 is linear), and the ratio textX / ours at the sizes that both read.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from math import log
from statistics import linear_regression, median

from textx import metamodel_from_file

from cnngen.language import parse
from cnngen.language.grammar import grammar_file

TOKENS = [1_000, 3_000, 10_000, 30_000, 100_000]
TEXTX_TOKENS = 10_000
"""Longest text for textX, which takes seconds beyond."""

TOKEN = re.compile(r"->|\w+|[^\w\s]")
BLOCK = (
    "conv bnconv(filters=32, kernel=3x5) dropout max_pooling"
    " [ ( avg_pooling conv dropout [ ( convbn , Empty ) ] conv , convbn bnconv ) ( conv , conv ) ]"
    " dropout(rate=0.2) pooling\n"
)


def text_of(tokens: int) -> str:
    """Return a description of about `tokens` tokens."""
    blocks = tokens // len(TOKEN.findall(BLOCK))
    return f"input {BLOCK * blocks} flatten dense output"


def seconds(call: Callable[[str], object], text: str) -> float:
    start = time.perf_counter()
    call(text)
    return time.perf_counter() - start


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds

    textx = metamodel_from_file(grammar_file(), autokwd=True).model_from_str
    texts = {len(TOKEN.findall(text)): text for text in map(text_of, TOKENS)}
    times: dict[tuple[str, int], list[float]] = {}
    parse(text_of(100))
    for _ in range(rounds):
        for tokens, text in texts.items():
            times.setdefault(("cnngen", tokens), []).append(seconds(parse, text))
            if tokens <= TEXTX_TOKENS:
                times.setdefault(("textX", tokens), []).append(seconds(textx, text))

    print("microseconds a token      min  median     max")
    for (name, tokens), taken in times.items():
        low, middle, high = (f(taken) / tokens * 1e6 for f in (min, median, max))
        print(f"{name:8}{tokens:10,}   {low:8.2f}{middle:8.2f}{high:8.2f}")
    for name in ("cnngen", "textX"):
        points = [(log(n), log(median(taken))) for (who, n), taken in times.items() if who == name]
        slope = linear_regression(*zip(*points, strict=True)).slope
        print(f"{name}: time grows with tokens to the power of {slope:.3f}")
    for tokens in texts:
        if tokens <= TEXTX_TOKENS:
            pairs = zip(times["textX", tokens], times["cnngen", tokens], strict=True)
            ratios = [theirs / ours for theirs, ours in pairs]
            low, middle, high = min(ratios), median(ratios), max(ratios)
            print(f"textX / cnngen at {tokens:,} tokens: {middle:.1f} ({low:.1f} to {high:.1f})")


if __name__ == "__main__":
    main()
