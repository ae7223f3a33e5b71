"""How far two networks are from each other."""

from __future__ import annotations

from rapidfuzz.distance import Levenshtein

from cnngen.language.tree import Layer, Merge, layer_text
from cnngen.network import Network


def edit_distance(first: Network, second: Network) -> float:
    """Return how many edits lead from one sentence to another.

    A layer or a bracket of a merge that is put in, left out or of another kind counts 1, other
    hyper-parameters or another mode 0.5. It is the mean of two Levenshtein distances, of the
    sequences of kinds and of whole layers, and so a metric: 0 for equal networks alone, the same in
    both directions, never longer than a way round.
    """
    kinds, texts = zip(_words(first), _words(second), strict=True)
    return (Levenshtein.distance(*kinds) + Levenshtein.distance(*texts)) / 2


def _words(network: Network) -> tuple[list[str], list[str]]:
    """The kinds in a sentence in the order of its text, and the same with hyper-parameters."""
    kinds, texts = [f"{network.input_shape}"], [f"{network.input_shape}"]
    for item in network.description.walk():
        match item:
            case Layer():
                kinds.append(item.kind)
                texts.append(layer_text(item))
            case Merge():
                kinds.append("[")
                texts.append(f"[{item.mode}")
            case _:
                kinds.append(item)
                texts.append(item)
    return kinds, texts
