"""Changes that an editor offers: after each the text is right."""

from __future__ import annotations

from random import Random

import pytest
from sentences import Writer, write

from cnngen.editor import Action, TextSettings, actions, apply, diagnostics, fill
from cnngen.editor.analysis import DEFAULTS, comments
from cnngen.editor.edits import difference
from cnngen.errors import Span
from cnngen.language import parse
from cnngen.space.resolution import resolve


def everywhere(text: str) -> Span:
    return Span(0, len(text))


def has_error(text: str, settings: TextSettings = DEFAULTS) -> bool:
    return any(each.severity == "error" for each in diagnostics(text, settings))


def offered(text: str, kind: str) -> list[Action]:
    return [action for action in actions(text, everywhere(text)) if action.kind == kind]


def test_no_offered_change_leaves_an_error() -> None:
    """For random sentences, contradictory or not, every action's result is right."""
    contradictions = mended = 0
    for seed in range(100):
        random = Random(seed)
        text = write(Writer(random, given=0.5, depth=2).architecture(), random)
        wrong = has_error(text)
        at = random.randrange(len(text))
        places = [everywhere(text)] if wrong else [Span(at, at), everywhere(text)]
        for place in places:
            found = actions(text, place)
            for action in found:
                assert not has_error(apply(text, action.edits)), (text, action)
            if wrong and "classes" not in diagnostics(text)[0].message:
                contradictions += 1
                mended += any(action.kind == "fix" for action in found)
    assert contradictions > 8
    assert mended / contradictions > 0.8


def test_what_is_filled_needs_no_seed() -> None:
    """With all of it filled, every seed gives the network that the settings' seed gave."""
    filled = 0
    for seed in range(25):
        random = Random(seed)
        text = write(Writer(random, given=0.3).architecture(), random)
        settings = TextSettings(seed=seed)
        if has_error(text, settings):
            continue
        after = apply(text, fill(text, settings))
        network = resolve(parse(text), seed=seed)
        assert resolve(parse(after), seed=seed + 1).id == network.id
        assert fill(after, settings) == []
        kept = [text[span.start : span.end] for span in comments(text)]
        assert kept == [after[span.start : span.end] for span in comments(after)]
        filled += 1
    assert filled > 8


def test_filling_here_leaves_the_rest_open() -> None:
    text = "input conv(kernel=3 /* why */) pooling flatten dense output"
    at = text.index("pooling")
    (here, everything) = actions(text, Span(at, at))
    after = apply(text, here.edits)
    assert after.startswith("input conv(kernel=3 /* why */) ")
    assert "_pooling(size=" in after
    assert after.endswith(" flatten dense output")
    assert len(everything.edits) > len(here.edits)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "input [add (conv(stride=2), Empty)] flatten dense output",
            "input [add (conv(stride=2), conv(kernel=1, stride=2, padding=same, activation=linear))]"
            " flatten dense output",
        ),
        (
            "input conv(filters=8) [add (conv(filters=16), conv(filters=8))] output",
            "input conv(filters=8) [add (conv(filters=16), conv(filters=16))] output",
        ),
        (
            "input(8x8x1) conv(kernel=9, padding=valid) output",
            "input(8x8x1) conv(kernel=9, padding=same) output",
        ),
    ],
    ids=["a residual that reduces", "filters", "a window too large"],
)
def test_the_first_fix_is_the_smallest(text: str, wanted: str) -> None:
    assert apply(text, offered(text, "fix")[0].edits) == wanted


def test_a_projection_and_a_concatenation_are_offered_for_channels() -> None:
    text = "input [add (conv(filters=4) [add (conv(filters=4), Empty)], conv(filters=8) )] output"
    titles = [action.title for action in offered(text, "fix")]
    assert any(title.startswith("Project the left side to 8 channels") for title in titles)


def test_two_contradictions_are_mended_together() -> None:
    text = (
        "input(32x32x3) [add (conv(stride=2), Empty)] [add (conv(stride=2), Empty)]"
        " [add (conv(filters=5), conv(filters=6))] output"
    )
    fixes = offered(text, "fix")
    assert fixes[0].title.endswith(", and fix what follows")


def test_misspelt_words_are_corrected_as_the_grammar_allows() -> None:
    """A sentence with a letter lost from long words is mended into itself."""
    corrected = 0
    for seed in range(40):
        random = Random(seed)
        words = Writer(random, given=0.3, depth=1).architecture()
        text = " ".join(words)
        long = [
            n for n, word in enumerate(words) if word.isidentifier() and len(word) > 5 and n > 3
        ]
        if has_error(text) or len(long) < 2:
            continue
        for number in random.sample(long, 2):
            words[number] = words[number][:3] + words[number][4:]
        broken = " ".join(words)
        assert has_error(broken)
        fix = next(iter(offered(broken, "fix")), None)
        corrected += fix is not None and apply(broken, fix.edits) == text
    assert corrected > 8
    (fix,) = offered("input conv max_poling flaten dense output", "fix")
    assert fix.title == "Write 'max_pooling' and 'flatten'"
    assert not offered("input conv max_poling 3 output", "fix")


def test_a_fix_is_offered_at_its_merge_alone() -> None:
    text = "input conv [add (conv(stride=2), Empty)] flatten dense output"
    assert not [action for action in actions(text, Span(2, 2)) if action.kind == "fix"]
    assert offered(text, "fix")


def test_nothing_is_offered_for_broken_texts() -> None:
    assert actions("input conv(", Span(0, 11)) == []
    assert actions("", Span(0, 0)) == []


def test_the_difference_of_two_texts_makes_one_the_other() -> None:
    """apply(a, difference(a, b)) == b, with at most one edit."""
    for seed in range(300):
        random = Random(seed)
        a, b = ("".join(random.choices("ab", k=random.randrange(6))) for _ in range(2))
        edits = difference(a, b)
        assert apply(a, edits) == b
        assert len(edits) == (a != b)
