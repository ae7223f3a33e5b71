"""Completion: the words that may come next, from the compiled grammar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cnngen.editor.analysis import DEFAULTS, MAX_CHARACTERS, TextSettings, comments
from cnngen.editor.meanings import WordKind, kind_of, meaning
from cnngen.editor.recovery import Expected, expected
from cnngen.errors import CnnGenError, Span
from cnngen.language.tree import value_text
from cnngen.operations import shapes

if TYPE_CHECKING:
    from cnngen.space import Space

MERGE = "[ ( conv , Empty ) ]"


@dataclass(frozen=True, slots=True)
class Completion:
    """A word that may come next. `span` covers what is already written of it."""

    text: str
    kind: WordKind
    span: Span
    detail: str = ""


def completions(text: str, offset: int, settings: TextSettings = DEFAULTS) -> list[Completion]:
    """Return all words and signs that may come next at an offset, words before signs.

    Numbers are completed with those that the space draws from. Hyper-parameters that the layer
    already has are left out.
    """
    if offset > MAX_CHARACTERS or any(_inside(span, offset, text) for span in comments(text)):
        return []
    start = offset
    while start and (text[start - 1].isalnum() or text[start - 1] in "_."):
        start -= 1
    following = expected(text[:start])
    span = Span(start, offset)
    found = [
        Completion(word, kind_of(word), span, meaning(word))
        for word in following.words
        if word not in following.given or following.parameter
    ]
    if following.patterns:
        found += [Completion(number, "value", span) for number in _numbers(following, settings)]
    if "[" in following.words:
        found.append(Completion(MERGE, "sign", span, "a whole merge"))
    return sorted(found, key=lambda completion: completion.kind == "sign")


def _inside(comment: Span, offset: int, text: str) -> bool:
    open_ended = text.startswith("//", comment.start)
    return comment.start < offset < comment.end + open_ended


def _numbers(following: Expected, settings: TextSettings) -> list[str]:
    """Return the usual numbers: those the space draws from, the input shape, the classes."""
    from cnngen.space import load_space
    from cnngen.space.resolution.hyperparameters import DEFAULT_CLASSES, DEFAULT_INPUT

    match following.rule:
        case "Input":
            return [shapes.text(settings.input_shape or DEFAULT_INPUT)]
        case "Output":
            return [str(settings.classes or DEFAULT_CLASSES)]
    try:
        space = load_space(settings.space)
    except CnnGenError:
        return []
    return [value_text(value) for value in _drawn(following, space)]


def _drawn(following: Expected, space: Space) -> Sequence[float]:
    windows = space.pooling if "pooling" in (following.layer or "") else space.convolution
    first, growth = space.convolution.first_filters, space.convolution.filter_growth
    drawn: dict[str | None, Sequence[float]] = {
        "filters": [first + growth * step for step in range(4)],
        "kernel": space.convolution.kernels.values,
        "size": space.pooling.sizes.values,
        "stride": windows.strides.values,
        "rate": space.dropout_rates.values,
        "epsilon": space.batch_norm_epsilons.values,
    }
    return drawn.get(following.parameter, ())
