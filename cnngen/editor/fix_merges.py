"""Fixes contradictory dimensions with small changes.

Candidates are tried from the smallest on. A candidate is valid if the whole text resolves with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from cnngen.editor.analysis import DEFAULTS, TextSettings, analyse, parse_result, word_at
from cnngen.editor.edits import Edit, apply, difference
from cnngen.errors import CnnGenError, LayerError, MergeError, Span
from cnngen.language.tree import Body, Description, Extent, Layer, Merge, value_text
from cnngen.operations import WORDS
from cnngen.operations.shapes import output_size

Size = Extent
"""Height and width of a feature map, in pixels."""

MAX_CONTRADICTIONS = 8
MAX_CANDIDATES = 24
MAX_FIXES = 3
MAX_NAMED = 3
"""Branches that a title names."""


@dataclass(frozen=True, slots=True)
class MergeFix:
    """A change with which the text resolves."""

    title: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    title: str
    edits: list[Edit]


def merge_fixes(text: str, settings: TextSettings = DEFAULTS) -> list[MergeFix]:
    """Return up to `MAX_FIXES` fixes of contradictory dimensions, the smallest first.

    If several merges are contradictory, the fixes differ in how they mend the first; the others
    are mended with the smallest change. Empty if there is no contradiction, or no fix was found.
    """
    ways: list[MergeFix] = []
    for candidate in islice(_candidates(text, settings), MAX_CANDIDATES):
        mended = _fix_rest(text, apply(text, candidate.edits), settings)
        if mended is None:
            continue
        more = "" if mended == apply(text, candidate.edits) else ", and fix what follows"
        way = MergeFix(candidate.title + more, tuple(difference(text, mended)))
        if all(way.edits != other.edits for other in ways):
            ways.append(way)
        if len(ways) == MAX_FIXES:
            break
    return ways


def _fix_rest(before: str, text: str, settings: TextSettings) -> str | None:
    """Fix the remaining contradictions of a changed text; None if the change fixes nothing."""
    for _ in range(MAX_CONTRADICTIONS):
        if _solved(text, settings):
            return text
        if not _comes_later(before, text, settings):
            return None
        following = (
            apply(text, candidate.edits)
            for candidate in islice(_candidates(text, settings), MAX_CANDIDATES)
        )
        before, text = (
            text,
            next((new for new in following if _comes_later(text, new, settings)), text),
        )
        if text == before:
            return None
    return text if _solved(text, settings) else None


def _solved(text: str, settings: TextSettings) -> bool:
    analysis = analyse(text, settings)
    return analysis.network is not None and analysis.parsed.is_sentence


def _comes_later(before: str, text: str, settings: TextSettings) -> bool:
    """Return whether the first contradiction of a text comes later than in the text before."""
    if _solved(text, settings):
        return True
    old, new = (analyse(each, settings).contradiction for each in (before, text))
    if old is None or new is None or old.span is None or new.span is None:
        return False
    # Sizes are matched before channels. Positions are counted from the end, where the change has
    # moved nothing.
    old_rank = (_stage(old), old.span.end - len(before))
    return (_stage(new), new.span.end - len(text)) > old_rank


def _stage(error: CnnGenError) -> int:
    # In the order in which resolving checks them.
    if isinstance(error, LayerError):
        return 2
    return int(isinstance(error, MergeError) and error.channels is not None)


def _candidates(text: str, settings: TextSettings) -> Iterator[_Candidate]:
    analysis = analyse(text, settings)
    description, error = analysis.parsed.description, analysis.contradiction
    if description is None or error is None or error.span is None:
        return
    if not analysis.parsed.is_sentence or error.source != analysis.source:
        return
    layer = next((item for item in description.layers() if item.span == error.span), None)
    if layer is not None and isinstance(error, LayerError):
        yield from _without(text, layer)
    elif layer is not None:
        yield from _fit(text, layer)
    merge, body = _merge_at(description, error.span) or (None, None)
    if merge is None or body is None:
        return
    if isinstance(error, MergeError) and error.channels is not None:
        yield from _channels(text, merge, body, error.channels)
    elif isinstance(error, MergeError) and error.sizes is not None:
        yield from _sizes(text, body, error.sizes)
    else:
        yield from _open(text, body, ("filters",))
        yield _Candidate("Add the sides instead", [_mode(text, merge, body, "add")])


def _merge_at(description: Description, span: Span) -> tuple[Merge, Body] | None:
    for item in description.walk():
        if isinstance(item, Merge):
            for body in item.bodies:
                if body.span == span:
                    return item, body
    return None


def _without(text: str, layer: Layer) -> Iterator[_Candidate]:
    """Yield fixes for groups that share nothing out, and for a dilation beside a stride."""
    for name in ("filters", "stride", "groups", "dilation", "order"):
        if name in layer.parameters:
            what = "out" if name in WORDS[layer.kind].optional else "open"
            yield _Candidate(f"Leave its {name} {what}", [_unset(text, layer, name)])


def _fit(text: str, layer: Layer) -> Iterator[_Candidate]:
    """Yield fixes for a window that is larger than its input."""
    yield _Candidate("Pad it: padding=same", [_set(text, layer, "padding", "same")])
    for name in ("kernel", "size", "stride", "padding"):
        if name in layer.parameters:
            yield _Candidate(f"Leave its {name} open", [_unset(text, layer, name)])


def _channels(
    text: str, merge: Merge, body: Body, channels: tuple[int | None, ...]
) -> Iterator[_Candidate]:
    """Yield fixes for added sides with different channels."""
    goals = [(goal, _others(channels, goal)) for goal in Counter(filter(None, channels))]
    goals.sort(key=lambda goal: len(goal[1]))
    for goal, others in goals:
        lasts = [_last_with_filters(body.sides[place]) for place in others]
        edits = [_set(text, last, "filters", str(goal)) for last in lasts if last]
        if len(edits) == len(others):
            rest = "the other has" if len(body.sides) == 2 else "others have"
            title = f"Give {_named(body, others)}'s last convolution {goal} filters, as {rest}"
            yield _Candidate(title, edits)
    for goal, others in goals:
        projection = _conv(filters=goal, stride=(1, 1))
        title = f"Project {_named(body, others)} to {goal} channels: {projection}"
        yield _Candidate(title, [_append(text, body, place, projection) for place in others])
    yield _Candidate("Concatenate the sides instead", [_mode(text, merge, body, "concat")])


def _others(channels: tuple[int | None, ...], goal: int) -> list[int]:
    return [place for place, count in enumerate(channels) if count not in (None, goal)]


def _last_with_filters(side: Sequence[Layer | Merge]) -> Layer | None:
    """Return the layer that gives a side its channels, if its filters are given."""
    for node in reversed(side):
        if isinstance(node, Merge):
            break
        if "filters" in WORDS[node.kind].parameter_names:
            return node if "filters" in node.parameters else None
    return None


def _sizes(text: str, body: Body, sizes: tuple[list[Size], ...]) -> Iterator[_Candidate]:
    """Yield fixes for sides that cannot reach a common height and width."""
    last: list[_Candidate] = []
    # A side ends nowhere where its windows do not fit; then no reduction of the others helps.
    ends = {tuple(each): None for each in sizes} if all(sizes) else {}
    for there in ends:
        others = [place for place, own in enumerate(sizes) if not {*own} & {*there}]
        starts = [sizes[place][0] for place in others]
        strides = next(filter(all, ([_stride(s, wanted) for s in starts] for wanted in there)), [])
        reductions = [_conv(stride=stride) for stride in strides if stride]
        if not reductions and all(
            there[0][0] <= start[0] and there[0][1] <= start[1] for start in starts
        ):
            extents = ((s[0] - there[0][0] + 1, s[1] - there[0][1] + 1) for s in starts)
            reductions = [_conv(kernel=extent, padding="valid") for extent in extents]
        if not others or not reductions:
            continue
        title = f"Reduce {_named(body, others)} too: {' and '.join(dict.fromkeys(reductions))}"
        edits = [
            _append(text, body, place, reduction)
            for place, reduction in zip(others, reductions, strict=True)
        ]
        if strides:
            yield _Candidate(title, edits)
        else:
            last.append(_Candidate(title, edits))
    yield from _open(text, body, ("stride", "padding", "kernel", "size"))
    yield from last


def _named(body: Body, places: Sequence[int]) -> str:
    """Name sides of a body: `the left side`, or `branch 1, branch 3 and 4 more`."""
    names = [body.side_name(place) for place in places[:MAX_NAMED]]
    if not body.bare:
        return f"the {' and '.join(names)} side"
    if len(places) > MAX_NAMED:
        names.append(f"{len(places) - MAX_NAMED} more")
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _open(text: str, body: Body, names: tuple[str, ...]) -> Iterator[_Candidate]:
    """Yield fixes that leave one given hyper-parameter of a body open, the last first."""
    layers = [node for side in body.sides for node in side if isinstance(node, Layer)]
    for name in names:
        for layer in reversed(layers):
            if name in layer.parameters:
                line = text.count("\n", 0, layer.span.start) + 1
                title = f"Leave {name} of the {layer.kind} in line {line} open"
                yield _Candidate(title, [_unset(text, layer, name)])


def _stride(start: Size, wanted: Size) -> Extent | None:
    """Return the stride that leads from one size to another, if there is one."""
    if wanted[0] > start[0] or wanted[1] > start[1]:
        return None
    stride = (-(-start[0] // wanted[0]), -(-start[1] // wanted[1]))
    ends = tuple(
        output_size(size, 1, step, "same") for size, step in zip(start, stride, strict=True)
    )
    return stride if ends == wanted else None


def _conv(
    *,
    filters: int | None = None,
    kernel: Extent = (1, 1),
    stride: Extent = (1, 1),
    padding: str = "same",
) -> str:
    """Return a linear convolution, as residual networks use for projections."""
    given = f"filters={filters}, " if filters else ""
    return (
        f"conv({given}kernel={value_text(kernel)}, stride={value_text(stride)}, "
        f"padding={padding}, activation=linear)"
    )


def _append(text: str, body: Body, place: int, layer: str) -> Edit:
    """Append a convolution to a side, before a left side's final pooling."""
    side = body.sides[place]
    if not side:
        return Edit(_empty(text, body, place), layer)
    ends_pooled = not body.bare and place == 0 and _is_pooling(side[-1])
    end = side[-1 - ends_pooled].span.end
    return Edit(Span(end, end), f" {layer}")


def _empty(text: str, body: Body, place: int) -> Span:
    """Return the span of the `Empty` of a side."""
    filled = next((n for n in range(place - 1, -1, -1) if body.sides[n]), None)
    start = body.span.start if filled is None else body.sides[filled][-1].span.end
    skipped = place if filled is None else place - filled - 1
    signs = (
        token.span
        for token in parse_result(text).tokens
        if token.span.start >= start and token.terminal.literal == "Empty"
    )
    return next(islice(signs, skipped, None), body.span)


def _mode(text: str, merge: Merge, body: Body, mode: str) -> Edit:
    """Change or insert the mode of a merge."""
    opening = merge.span.start + 1
    written = _sign(text, merge.mode, Span(opening, body.span.start)) if merge.mode else None
    return Edit(written, mode) if written else Edit(Span(opening, opening), f"{mode} ")


def _set(text: str, layer: Layer, name: str, value: str) -> Edit:
    """Change or insert a hyper-parameter of a layer."""
    if name in layer.parameters:
        return Edit(layer.parameter_spans[name], f"{name}={value}")
    if layer.parameters:
        last = max(span.end for span in layer.parameter_spans.values())
        return Edit(Span(last, last), f", {name}={value}")
    return Edit(Span(layer.span.end, layer.span.end), f"({name}={value})")


def _unset(text: str, layer: Layer, name: str) -> Edit:
    """Remove a hyper-parameter with its comma, or with the brackets if it is the only one."""
    spans = sorted(layer.parameter_spans.values())
    at = spans.index(layer.parameter_spans[name])
    if len(spans) == 1:
        return Edit(Span(word_at(text, layer.span.start).end, layer.span.end), "")
    if at:
        return Edit(Span(spans[at - 1].end, spans[at].end), "")
    return Edit(Span(spans[0].start, spans[1].start), "")


def _is_pooling(node: Layer | Merge) -> bool:
    return isinstance(node, Layer) and node.kind in ("pooling", "max_pooling", "avg_pooling")


def _sign(text: str, word: str, within: Span) -> Span | None:
    """Return the span of the last occurrence of a sign in a part of the text."""
    for token in reversed(parse_result(text).tokens):
        if within.start <= token.span.start < within.end and token.terminal.literal == word:
            return token.span
    return None
