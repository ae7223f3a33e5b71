"""The labels of operations, as a fixed vocabulary."""

from __future__ import annotations

from cnngen.operations import WORDS

OPERATIONS: tuple[str, ...] = (
    "input",
    *(name for name, word in WORDS.items() if len(word.operations) == 1),
    *("add", "concat", "activate", "truncate"),
)
"""All that `cnngen.network.adjacency.label` gives."""
