"""The formatter: what it writes is read back as the same description."""

from __future__ import annotations

from random import Random

from sentences import Writer, write
from texts import ACCEPTED

from cnngen.language import format, parse


def test_formatting_and_parsing_again_gives_an_equal_description() -> None:
    """Law: parse(format(d)) == d, short and long, and formatting again changes nothing."""
    random = Random(4)
    texts = [write(Writer(random, given=0.5).architecture(), random) for _ in range(500)]
    for text in [*texts, *ACCEPTED.values()]:
        description = parse(text)
        for long in (False, True):
            formatted = format(description, long=long)
            again = parse(formatted)
            assert again == description
            assert hash(again) == hash(description)
            assert format(again, long=long) == formatted


def test_the_short_form_is_one_line_in_the_words_of_the_paper() -> None:
    text = """
        LENET → input(28x28x1) // the classic
          conv( activation=tanh,filters = 6, kernel=5x5) pooling [add(conv,Empty)( bnconv
          dropout(rate=.50), conv convbn)] bnconv(epsilon=1.1E-10) flatten fullyConnected
        output(10)
    """
    assert str(parse(text)) == (
        "LENET -> input(28x28x1) conv(filters=6, kernel=5, activation=tanh) pooling"
        " [add ( conv , Empty ) ( bnconv dropout(rate=0.5) , conv convbn ) ]"
        " bnconv(epsilon=1.1e-10) flatten dense output(10)"
    )
    assert format(parse(text), named=False).startswith("input(28x28x1) conv(")


def test_the_long_form_is_indented() -> None:
    text = """
        Net -> input conv(filters=16) dropout avg_pooling BatchNormalisation
        [ concat ( max_pooling conv dropout [(conv,Empty)] [(conv,bnconv)] conv , conv bnconv )
        (conv, convbn) ] dropout(rate=0.1) max_pooling
        flatten dropout dense(units=84) dense output(10)
    """
    assert (
        format(parse(text), long=True)
        == """\
Net -> input
  conv(filters=16) dropout avg_pooling
  BatchNormalisation
  [concat
    (
      max_pooling
      conv dropout
      [
        ( conv , Empty )
      ]
      [
        ( conv , bnconv )
      ]
      conv
    ,
      conv
      bnconv
    )
    ( conv , convbn )
  ] dropout(rate=0.1) max_pooling
  flatten
  dropout dense(units=84)
  dense
output(10)
"""
    )


def test_lines_of_the_long_form_break_before_they_are_too_long() -> None:
    """Law: no line has over 88 characters, but for one layer with its indentation."""
    random = Random(5)
    for _ in range(300):
        description = parse(write(Writer(random, given=0.7).architecture(), random))
        for line in format(description, long=True).splitlines():
            alone = line.strip().count("(") <= 1 and " dropout" not in line.strip()
            assert len(line) <= 88 or alone, line


def test_numbers_come_back_exactly() -> None:
    """Law: a float is written so that reading it gives the same float."""
    random = Random(6)
    for _ in range(500):
        rate = random.random() * 10 ** random.uniform(-300, 0)
        text = format(parse(f"input conv dropout(rate={rate!r}) output"))
        (_, dropout) = parse(text).features
        assert dropout.parameters == {"rate": rate}
