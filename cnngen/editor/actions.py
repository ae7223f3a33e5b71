"""Code actions: the changes that are offered at a position in a text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from cnngen.editor.analysis import DEFAULTS, TextSettings, analyse
from cnngen.editor.edits import Edit, apply
from cnngen.editor.fill import fill
from cnngen.editor.fix_merges import merge_fixes
from cnngen.editor.spelling import corrections
from cnngen.errors import Span


@dataclass(frozen=True, slots=True)
class Action:
    """A named change, after which the text has no error. A `fix` mends an error."""

    title: str
    kind: Literal["fix", "fill"]
    edits: tuple[Edit, ...]


def actions(text: str, span: Span, settings: TextSettings = DEFAULTS) -> list[Action]:
    """Return the actions for the cursor or the selection `span`, the best fix first."""
    return [*_fixes(text, span, settings), *_fills(text, span, settings)]


def _fixes(text: str, span: Span, settings: TextSettings) -> Iterator[Action]:
    mistakes = [error.span for error in analyse(text, settings).parsed.errors if error.span]
    if any(_touch(mistake, span) for mistake in mistakes):
        spelling = corrections(text)
        if spelling and analyse(apply(text, spelling), settings).network is not None:
            words = " and ".join(f"'{edit.text}'" for edit in spelling)
            yield Action(f"Write {words}", "fix", tuple(spelling))
    error = analyse(text, settings).contradiction
    if error is not None and error.span is not None and _touch(error.span, span):
        for way in merge_fixes(text, settings):
            yield Action(way.title, "fix", way.edits)


def _fills(text: str, span: Span, settings: TextSettings) -> Iterator[Action]:
    everything = fill(text, settings)
    here = fill(text, settings, span)
    seed = f"seed {settings.seed}"
    if here and len(here) < len(everything):
        yield Action(f"Fill in what is open here ({seed})", "fill", tuple(here))
    if everything:
        yield Action(f"Fill in all that is open ({seed})", "fill", tuple(everything))


def _touch(one: Span, other: Span) -> bool:
    return one.start <= other.end and other.start <= one.end
