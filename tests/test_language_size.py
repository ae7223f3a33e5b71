"""Large and deep texts: memory is the only limit, and strangers cannot reach it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cnngen.errors import DescriptionError
from cnngen.language import Description, Layer, Merge, format, parse, parser, sentence
from cnngen.language.tree import KINDS, PARAMETERS, Body, Node, Value, layer_text
from cnngen.operations.hyperparameters import LARGEST
from cnngen.runs.run_folder import MAX_TEXT as MAX_FILE
from cnngen.runs.trainings import MAX_TEXT

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
        ("[" * 80_000_000, "80,000,000 characters, more than 75,497,472"),
        ("[" * 8_000_000, "1:1: found '['"),
        ("input " + "[(" * 4_000_000, "merges are nested deeper than 100,000"),
        ("input [(conv," * 600_000, "1:14: found 'input'"),
        ("input [conv" + "|Empty" * 2_000_000, "there are more than 100,000 branches of merges"),
        ("input " + "[conv|" * 2_000_000, "merges are nested deeper than 100,000"),
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


def test_there_is_a_most_of_branches(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "input [concat conv | Empty | Empty ] [add Empty | conv ] output"
    monkeypatch.setattr(parser, "MAX_BRANCHES", 5)
    description = parse(text)
    sentence.check(description)
    monkeypatch.setattr(parser, "MAX_BRANCHES", 4)
    with pytest.raises(DescriptionError, match="1:51: there are more than 4 branches of merges"):
        parse(text)
    with pytest.raises(DescriptionError, match="there are more than 4 branches of merges"):
        sentence.check(description)


def test_there_is_a_most_of_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "MAX_LAYERS", 4)
    assert parse("input conv conv flatten dense output")
    with pytest.raises(DescriptionError, match="1:33: there are more than 4 layers"):
        parse("input conv conv flatten dropout dense output")


LONGEST: dict[str, Value] = {
    **dict.fromkeys(("filters", "units", "squeezed"), LARGEST),
    **dict.fromkeys(("kernel", "stride", "size", "dilation"), (LARGEST, LARGEST - 1)),
    **dict.fromkeys(("epsilon", "rate"), 2.2250738585072014e-308),
    "padding": "valid",
    "activation": "hardsigmoid",
    "groups": "depthwise",
    "gate": "hardsigmoid",
    "order": "conv_act_norm",
    "bias": False,
}
"""The values that take most characters."""


def largest(layers: int, bodies: int) -> Description:
    """A tree of so many layers and bodies whose text is as long as one can be."""
    texts = [Layer(kind, {name: LONGEST[name] for name in PARAMETERS[kind]}) for kind in KINDS]
    layer = max(texts, key=lambda layer: len(layer_text(layer)))
    node: Node = layer
    for _ in range(bodies):
        node = Merge("concat", (Body((node,), ()),))
    return Description((*[layer] * (layers - 1), node))


def test_the_longest_text_of_a_tree_within_the_limits_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Law: the limits of a text follow from those of trees. Twice as large takes twice the text."""
    once, twice = (len(format(largest(100 * n, 50 * n), long=True)) for n in (1, 2))
    tens = parser.MAX_LAYERS // 100
    assert tens == parser.MAX_BODIES // 50
    assert once + (tens - 1) * (twice - once) + 200 <= parser.MAX_CHARACTERS
    assert min(MAX_FILE, MAX_TEXT) >= parser.MAX_CHARACTERS

    description = largest(100, 50)
    monkeypatch.setattr(parser, "MAX_LAYERS", 100)
    monkeypatch.setattr(parser, "MAX_BODIES", 50)
    for long in (False, True):
        assert parse(format(description, long=long)) == description
    sentence.check(description)
    for more in (largest(101, 50), largest(100, 51)):
        for refuse in (lambda: parse(format(more)), lambda: sentence.check(more)):  # noqa: B023
            with pytest.raises(DescriptionError, match="there are more than"):
                refuse()
