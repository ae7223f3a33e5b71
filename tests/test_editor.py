"""What an editor is told of a text, held against the parser, the resolver and the command line."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from sentences import Writer, spoil, write
from texts import ACCEPTED, REJECTED

from cnngen.backend.testing.random_networks import random_network
from cnngen.cli.app import run
from cnngen.editor import (
    Symbol,
    TextSettings,
    apply,
    completions,
    diagnostics,
    folds,
    formatting,
    hints,
    hover,
    name_span,
    rename,
    symbols,
    tokens,
)
from cnngen.editor.analysis import DEFAULTS, MAX_CHARACTERS, MAX_LAYERS, analyse
from cnngen.editor.meanings import KEYWORDS, PARAMETERS, kind_of, meaning
from cnngen.editor.outline import MAX_DEPTH
from cnngen.editor.recovery import expected, parse_on
from cnngen.errors import CnnGenError, DescriptionError, Source, Span
from cnngen.language import format, format_text, parse
from cnngen.language.grammar import grammar
from cnngen.operations import WORDS
from cnngen.operations.hyperparameters import VALUE_WORDS
from cnngen.space.resolution import resolve


def errors(text: str, settings: TextSettings = DEFAULTS) -> list[str]:
    return [d.message for d in diagnostics(text, settings) if d.severity == "error"]


def spoilt(seed: int) -> str:
    random = Random(seed)
    words = Writer(random).architecture()
    for _ in range(random.randint(0, 3)):
        words = spoil(words, random)
    return write(words, random)


def refusal(text: str) -> str | None:
    try:
        parse(text)
    except DescriptionError as error:
        return str(error)
    return None


# Mistakes


def test_there_is_an_error_exactly_where_check_refuses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """diagnostics(text) has an error <=> `cnngen check` refuses the text."""
    for seed in range(80):
        (tmp_path / f"{seed:03}.cnn").write_text(spoilt(seed), encoding="utf-8")
    files = sorted(tmp_path.glob("*.cnn"))
    run(["check", "--json", *map(str, files)])
    checked = json.loads(capsys.readouterr().out)
    right = [found["right"] for found in checked]
    assert right == [not errors(file.read_text(encoding="utf-8")) for file in files]
    assert 15 < sum(right) < 65  # both are put to the test


def test_the_parsers_error_is_among_those_told() -> None:
    """Every text that `parse` refuses has its message, place and hint among the errors."""
    texts = [*(text for text, *_ in REJECTED.values()), *map(spoilt, range(1000, 1150))]
    for text in texts:
        told = {str(error) for error in parse_on(Source(text)).errors}
        assert refusal(text) in told or (refusal(text) is None and not told)


def test_a_right_text_is_read_as_the_parser_reads_it() -> None:
    for text in [
        *ACCEPTED.values(),
        *(write(Writer(Random(s)).architecture(), Random(s)) for s in range(40)),
    ]:
        parsed = parse_on(Source(text))
        assert parsed.errors == ()
        assert parsed.description == parse(text)


def test_each_strange_word_is_an_error_of_its_own() -> None:
    """A sentence with k strange words put in has k errors, at those places."""
    for seed in range(80):
        random = Random(seed)
        words = Writer(random).architecture()
        begin = words.index("input") + 1
        places = {random.randrange(begin, len(words)) for _ in range(3)}
        strange = [f"attention{place}" for place in sorted(places)]
        for place in sorted(places, reverse=True):
            words.insert(place, f"attention{place}")
        text = " ".join(words)
        found = parse_on(Source(text)).errors
        spans = [error.span for error in found]
        assert [text[span.start : span.end] for span in spans if span] == strange, text


def test_a_text_in_the_making_keeps_its_shapes() -> None:
    text = "input(32x32x3)\n conv(filters=8, stride=2, padding=same, kernl=3)\n conv(fil"
    assert len(errors(text)) == 2
    shapes = {text[: hint.offset].split()[-1][-8:]: hint.text for hint in hints(text)}
    assert "→ 16x16x8" in shapes.values()


def test_a_contradiction_is_told_with_both_shapes_at_its_merge() -> None:
    text = "input(32x32x3)\n[add\n (conv(stride=2, padding=same), Empty)] flatten dense output"
    (found,) = diagnostics(text)
    assert found.severity == "error"
    assert "16x16" in found.message
    assert "32x32" in found.message
    assert text[found.span.start : found.span.end].startswith("(conv(stride=2")


def test_a_backbone_is_hinted_at_and_no_error() -> None:
    (found,) = diagnostics("input conv output")
    assert (found.severity, found.span) == ("hint", Span(11, 17))


def test_settings_stand_in_for_open_ends() -> None:
    text = "input conv(kernel=9, padding=valid) flatten dense output"
    assert not errors(text)
    assert errors(text, TextSettings(input_shape=(8, 8, 1)))
    assert "unknown space" in errors(text, TextSettings(space="nowhere"))[0]
    # What the text says, it says: the settings are no data.
    assert not errors("input(9x9x1) " + text[6:], TextSettings(input_shape=(8, 8, 1)))
    assert not errors("input conv flatten dense(units=3) output", TextSettings(classes=4))
    assert not errors("input conv flatten dense output(3)", TextSettings(classes=4))


def test_texts_too_long_or_deep_say_so_and_are_no_errors() -> None:
    long = "input " + "conv " * (MAX_CHARACTERS // 5) + "output"
    many = "input " + "conv " * (MAX_LAYERS + 1) + "output"
    for text, reason in ((long, "characters"), (many, "layers")):
        found = diagnostics(text)
        assert found[0].severity == "information"
        assert reason in found[0].message
        assert not errors(text)
        assert hover(text, 8) is None or "unknown shape" in hover(text, 8).markdown  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text",
    [
        "input " + "[(" * 5_000,
        "input " + "[(" * 2_000 + "conv" + ",Empty)]" * 2_000 + " output",
        "input " + "[ ( foo , " * 500,
        "input " + "/* " * 30_000,
        "input conv(filters=" + "9" * 90_000 + ") output",
        ") ] , " * 5_000,
        "\x00\ud800\u202e" * 1_000,
    ],
    ids=["open", "deep", "strange", "comments", "digits", "closing", "no text"],
)
def test_hostile_texts_are_answered(text: str) -> None:
    settings = TextSettings(dimensions=False)
    assert diagnostics(text, settings)
    completions(text, len(text), settings)
    hover(text, len(text) // 2, settings)
    for symbol in symbols(text, settings):
        assert _depth(symbol) <= 2 * MAX_DEPTH + 3
    folds(text), tokens(text), hints(text, settings)


def _depth(symbol: Symbol) -> int:
    return 1 + max(map(_depth, symbol.children), default=0)


# Completion


def test_completion_knows_the_word_that_comes_next() -> None:
    """For each prefix of a sentence, what may come next holds the token that does."""
    labels = set()
    for seed in range(25):
        words = Writer(Random(seed), given=0.4).architecture()
        for number, word in enumerate(words):
            text = " ".join([*words[:number], ""])
            if word in grammar().words or not (word[0].isalnum() or word[0] in "._→-"):
                offered = completions(text, len(text))
                assert word in [completion.text for completion in offered], text
                labels |= {completion.kind for completion in offered}
            else:
                patterns = [terminal.pattern for terminal in expected(text).patterns]
                assert any(p and p.fullmatch(word) for p in patterns), (text, word)
    assert labels == {"layer", "parameter", "value", "keyword", "sign"}


def test_what_completion_offers_is_right_there() -> None:
    """Every word offered after a prefix is one that the parser takes there."""
    for seed in range(12):
        words = Writer(Random(seed), given=0.4).architecture()
        text = " ".join([*words[: Random(seed).randrange(len(words))], ""])
        for completion in completions(text, len(text)):
            if completion.kind != "value" or completion.text in grammar().words:
                after = text + completion.text
                error = next(iter(parse_on(Source(after)).errors), None)
                assert error is None or error.span == Span(len(after), len(after)), after


def test_a_begun_word_is_replaced() -> None:
    text = "input conv max_po flatten dense output"
    found = next(c for c in completions(text, 17) if c.text == "max_pooling")
    assert (found.span, found.kind) == (Span(11, 17), "layer")


def test_given_hyperparameters_are_not_offered_again() -> None:
    text = "input conv(kernel=3, stride="
    assert {c.text for c in completions(text, 21)} == {
        "filters",
        "stride",
        "padding",
        "activation",
        "bias",
        "groups",
        "dilation",
    }
    assert [c.text for c in completions(text, len(text))] == ["1", "2", "3", "4"]


def test_nothing_is_offered_in_a_comment() -> None:
    text = "input // con\n /* con */ con"
    assert not completions(text, 12)
    assert not completions(text, 20)
    assert completions(text, len(text))


def test_every_word_of_the_grammar_has_a_meaning() -> None:
    values = {*VALUE_WORDS, "true", "false"}
    for word in grammar().words:
        assert (meaning(word) == "") == (word in values), word
        assert (kind_of(word) == "value") == (word in values), word
    assert PARAMETERS.keys() == {name for word in WORDS.values() for name in word.parameter_names}
    assert {word for word in KEYWORDS if word.isidentifier()} <= grammar().words


# Shapes and costs


def test_hovers_show_the_networks_shapes_and_add_up_to_its_cost() -> None:
    """Each layer's hover has its last operation's shape; all together have the network's cost."""
    for seed in range(8):
        text = format(random_network(seed).description, long=True)
        description = parse(text)
        network = resolve(description)
        by_order = [
            n for n in network.nodes[1:] if type(n.operation).__name__ not in ("Add", "Concat")
        ]
        parameters = flops = taken = 0
        for layer in description.layers():
            taken += len(WORDS[layer.kind].operations)
            shown = hover(text, layer.span.start + 1)
            assert shown is not None
            assert shown.shape == by_order[taken - 1].shape
            assert shown.parameters is not None
            assert shown.flops is not None
            parameters += shown.parameters
            flops += shown.flops
        assert (parameters, flops) == (network.cost.parameters, network.cost.flops)


def test_a_hover_says_what_was_drawn() -> None:
    text = "input conv(kernel=3) flatten dense output"
    shown = hover(text, 7, TextSettings(seed=5))
    assert shown is not None
    assert "filters, stride, padding, activation, bias left open" in shown.markdown
    assert "seed 5" in shown.markdown
    given = hover(
        "input(8x8x1) conv(filters=1, kernel=1, stride=1, padding=same, activation=relu, bias=true) output",
        15,
    )
    assert given is not None
    assert "drawn" not in given.markdown
    assert "8x8x1 → **8x8x1** · 2 parameters · 128 FLOPs" in given.markdown


def test_hovers_of_merges_show_both_sides() -> None:
    text = "input(8x8x3) [concat (conv(filters=4, stride=1, padding=same), Empty)] flatten dense output"
    shown = hover(text, text.index("["))
    assert shown is not None
    assert "8x8x4 + 8x8x3 → **8x8x7**" in shown.markdown


def test_a_join_knows_its_place_though_merges_stand_inside() -> None:
    text = "input [ ( [ ( conv , Empty ) ] conv , Empty ) ] output"
    joins = [
        n.span
        for n in resolve(parse(text)).nodes
        if type(n.operation).__name__ in ("Add", "Concat")
    ]
    assert [span.start for span in joins] == [text.index("[ ( conv"), 6]


def test_hints_stand_behind_layers_and_merges() -> None:
    text = "input(4x4x1) conv(filters=2, stride=2, kernel=1) [ (conv, Empty) ] flatten dense(units=3) output"
    shown = {text[: hint.offset].rpartition(" ")[2]: hint.text for hint in hints(text)}
    assert shown["kernel=1)"] == "→ 2x2x2"
    assert shown["dense(units=3)"] == "→ 3"
    assert "]" in shown
    assert len(hints(text, within=Span(0, 50))) == 1


# Outline, colours, names, form


def test_the_outline_has_every_layer_in_its_place() -> None:
    for seed in range(20):
        text = write(Writer(Random(seed)).architecture(), Random(seed))
        (root,) = symbols(text)
        found: list[str] = []
        pending = [root]
        while pending:
            symbol = pending.pop(0)
            assert symbol.span.start <= symbol.word.start <= symbol.word.end <= symbol.span.end
            assert all(
                symbol.span.start <= c.span.start and c.span.end <= symbol.span.end
                for c in symbol.children
            )
            if symbol.kind == "layer":
                assert text[symbol.word.start : symbol.word.end] == symbol.name
                found.append(symbol.name)
            pending = [*symbol.children, *pending]
        synonyms = [name.replace("fullyConnected", "dense") for name in found]
        assert synonyms == [layer.kind for layer in parse(text).layers()]


def test_merges_and_comments_of_several_lines_fold() -> None:
    text = "/* a\nb */ input [\n(conv,\nEmpty) ] [(conv,Empty)] // c\noutput"
    assert [text[s.start : s.end][:3] for s in folds(text)] == ["/* ", "[\n(", "(co"]


def test_every_word_has_a_colour() -> None:
    text = "N -> input conv(kernel=3) // x\n[add (conv, Empty)] output"
    kinds = [(text[t.span.start : t.span.end], t.kind) for t in tokens(text)]
    assert kinds[:7] == [
        ("N", "name"),
        ("input", "keyword"),
        ("conv", "layer"),
        ("kernel", "parameter"),
        ("3", "number"),
        ("// x", "comment"),
        ("add", "keyword"),
    ]


def test_formatting_twice_changes_nothing_more() -> None:
    """formatting(formatting(text)) has no edits, and gives what `cnngen format` gives."""
    for seed in range(30):
        text = write(Writer(Random(seed), given=0.4).architecture(), Random(seed))
        once = apply(text, formatting(text))
        assert once == format_text(text)
        assert formatting(once) == []
    assert formatting("input conv") == []


def test_the_architecture_is_renamed_alone() -> None:
    text = "/* Net */ Net -> input conv output // Net"
    assert apply(text, rename(text, "Other")) == "/* Net */ Other -> input conv output // Net"
    unnamed = "// x\ninput conv output"
    assert name_span(unnamed) is None
    assert parse(apply(unnamed, rename(unnamed, "New"))).name == "New"
    for bad in ("conv", "1x", "a b", "", "x" * 65, "é"):
        with pytest.raises(CnnGenError, match="cannot be a name"):
            rename(text, bad)


def test_one_analysis_serves_all_questions_about_a_text() -> None:
    text = "input conv flatten dense output"
    assert analyse(text) is analyse(text)
