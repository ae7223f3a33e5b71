"""Large and deep texts: memory is the only limit, and strangers cannot reach it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cnngen.errors import DescriptionError
from cnngen.language import format, parse, parser

DEEP = """
import copy, gc, pickle, sys, threading
from cnngen.language import format, parse

def nested(depth, left="", right="Empty"):
    return f"input {'[ ( conv ' * depth} {f' , {right} ) ]' * depth} flatten dense output"

def work():
    for text in (nested(1000), nested(14000), nested(1000, right="conv conv")):
        description = parse(text)
        short, long = format(description), format(description, long=True)
        assert short.split() == text.split()
        for again in (parse(short), parse(long), copy.deepcopy(description),
                      pickle.loads(pickle.dumps(description))):
            assert again == description and hash(again) == hash(description)
            assert again is not description
        assert repr(description)
        del description, again
        gc.collect()
    done.append(True)

parse("input conv output")
done = []
sys.setrecursionlimit(150)
threading.stack_size(256 * 1024)
thread = threading.Thread(target=work)
thread.start()
thread.join()
sys.exit(not done)
"""


def test_a_thousand_merges_need_no_stack() -> None:
    """Parse, format, compare, hash, copy, pickle, free: on 256 kB of stack, 150 calls deep."""
    result = subprocess.run([sys.executable, "-c", DEEP], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]


def test_a_hundred_thousand_tokens_are_read_and_written() -> None:
    text = "input " + "conv(filters=8) dropout pooling " * 12_500 + "output"
    description = parse(text)
    assert len(list(description.layers())) == 37_500
    assert format(description) == text
    assert parse(format(description, long=True)) == description


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 10_000_000, "10,000,000 characters, more than 8,388,608"),
        ("[" * 8_000_000, "1:1: found '['"),
        ("input " + "[(" * 4_000_000, "merges are nested deeper than 100,000"),
        ("input [(conv," * 600_000, "1:14: found 'input'"),
        ("input conv " * 700_000, "1:12: found 'input'"),
        ("input conv(" + "(" * 8_000_000, "1:12: found '('"),
        ("input conv /*" + "*" * 8_000_000, "The comment is not closed"),
        ("input conv " + "/* " * 2_500_000, "The comment is not closed"),
        ("input " + "/**/" * 2_000_000, "found the end of the text"),
        ("\n" * 8_000_000, "1:1: found the end of the text"),
        ("input " + "x" * 8_000_000, "1:7: found 'xxxx"),
        ("input conv(kernel=" + "9" * 8_000_000 + "a) output", "found '9999"),
        ("input conv dropout(rate=0." + "9" * 8_000_000 + ") output", "'rate' cannot be 0.99"),
    ],
    ids=lambda value: None if len(value) > 60 else value,
)
def test_what_could_fill_the_memory_is_refused_in_a_few_lines(text: str, said: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        parse(text)
    message = str(caught.value)
    assert said in message
    assert len(message.splitlines()) <= 5
    assert len(message) < 600


def test_there_is_a_most_of_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "MAX_LAYERS", 4)
    assert parse("input conv conv flatten dense output")
    with pytest.raises(DescriptionError, match="1:33: there are more than 4 layers"):
        parse("input conv conv flatten dropout dense output")
