"""Formatting a text keeps what its author wrote beside the code."""

from __future__ import annotations

import random
import re

import pytest

from cnngen.language import format, format_text, parse
from cnngen.space.sampling import sample

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def test_comments_stay_with_the_code_that_they_speak_of() -> None:
    text = """// A head comment,
// of two lines.
NET -> input  // the image
  /* first */ conv(kernel=3 /* small */) dropout
  [add ( conv // left
   , Empty ) ]
flatten // and
dense output
// the end
"""
    assert (
        format_text(text)
        == """// A head comment,
// of two lines.
NET -> input  // the image
  /* first */
  conv(kernel=3) dropout  /* small */
  [add
    ( conv , Empty )  // left
  ]
  flatten  // and
  dense
output
// the end
"""
    )


@pytest.mark.parametrize("seed", range(20))
def test_no_comment_is_lost_and_a_second_formatting_changes_nothing(seed: int) -> None:
    """Law: the same comments in any places, an equal description, a fixed point."""
    draw = random.Random(seed)
    words = re.split(r"(?<=[\s(),])", sample("compact", seed=seed).to_text())
    written = []
    text = ""
    for word in words:
        text += word
        if draw.random() < 0.15:
            mark = f"{len(written)}"
            written.append(
                draw.choice([f"// c{mark}", f"/* c{mark} */", f"/* c{mark}\n   more */"])
            )
            text += f" {written[-1]}" + draw.choice(["\n", "\n\n"])
    formatted = format_text(text)
    assert sorted(COMMENT.findall(formatted)) == sorted(written)
    assert parse(formatted) == parse(text)
    assert format_text(formatted) == formatted


def test_without_comments_it_is_the_long_form() -> None:
    description = sample("paper", seed=3).description
    assert format_text(format(description)) == format(description, long=True)


def test_comments_end_where_the_grammar_ends_them() -> None:
    """Law: whatever ends the lines, formatting keeps the network and the comments, and doing it
    again changes nothing."""
    rng = random.Random(1)
    ends = ["\r", "\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", " "]
    words = "input(8x8x1) conv(filters=4) dropout [ ( conv , Empty ) ] flatten dense output(3)"
    for _ in range(300):
        text = ""
        for word in words.split():
            text += word + rng.choice(ends)
            if rng.random() < 0.4:
                text += rng.choice(
                    [
                        f"// note{rng.choice(ends[3:])}conv{rng.choice(ends[:3])}",
                        f"/* a{rng.choice(ends)}b */{rng.choice(ends)}",
                    ]
                )
        formatted = format_text(text)
        assert parse(formatted) == parse(text)
        assert format_text(formatted) == formatted
        for mark in ("// note", "/* a"):
            assert formatted.count(mark) == text.count(mark)
