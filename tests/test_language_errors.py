"""What errors say: where, what was found, what could stand there, and never more than that."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from random import Random

import pytest
from sentences import Writer, scramble, spoil, write
from texts import ACCEPTED, REJECTED

from cnngen.errors import CnnGenError, DescriptionError, Source, Span
from cnngen.language import parse, read
from cnngen.language.grammar import grammar
from cnngen.language.other_names import OTHER_NAMES


def error_of(text: str) -> DescriptionError:
    with pytest.raises(DescriptionError) as caught:
        parse(text, "net.cnn")
    return caught.value


def message_of(text: str) -> list[str]:
    return str(error_of(text)).splitlines()


@pytest.mark.parametrize("name", REJECTED)
def test_an_error_names_its_place_and_what_is_wrong(name: str) -> None:
    text, place, said = REJECTED[name]
    message = str(error_of(text))
    assert message.startswith(f"net.cnn:{place}: ")
    assert said in message


@pytest.mark.parametrize("name", REJECTED)
def test_a_message_is_short_and_fit_for_a_terminal(name: str) -> None:
    lines = message_of(REJECTED[name][0])
    assert 3 <= len(lines) <= 5
    assert all(line.isprintable() and len(line) < 300 for line in lines)
    assert set(lines[2].strip()) == {"^"}


def test_a_message_shows_the_line_and_marks_what_was_found() -> None:
    text = "input\n  conv(filters=8)\n  max_poling\nflatten dense output"
    assert message_of(text) == [
        "net.cnn:3:3: found 'max_poling', expected 'dropout', 'avg_pooling', 'max_pooling',"
        " 'pooling', 'bnconv', 'convbn', 'conv', 'BatchNormalisation', 'activate', 'squeeze_excite',"
        " 'flatten', 'global_avg_pooling', 'global_max_pooling', 'globalPooling', 'output' or '['",
        "    max_poling",
        "    ^^^^^^^^^^",
        "Did you mean 'max_pooling'?",
    ]


def test_a_value_out_of_range_says_what_the_range_is() -> None:
    assert message_of("input conv dropout(rate=1.5) output") == [
        "net.cnn:1:25: 'rate' cannot be 1.5; it is a share from 0 to below 1",
        "  input conv dropout(rate=1.5) output",
        "                          ^^^",
    ]


def test_the_span_of_an_error_holds_what_the_message_quotes() -> None:
    """Law: the marked characters are those that the message says it found."""
    random = Random(7)
    quoted = 0
    for _ in range(600):
        text = write(spoil(Writer(random).architecture(), random), random)
        try:
            parse(text)
            continue
        except DescriptionError as e:
            error = e
        assert error.span is not None
        marked = text[error.span.start : error.span.end]
        if error.message.startswith("found '"):
            quoted += 1
            assert error.message.startswith(f"found '{marked}', expected ")
        line, column = error.position or (0, 0)
        assert text.split("\n")[line - 1][column - 1 :].startswith(marked)
    assert quoted > 200


@pytest.mark.parametrize(
    ("text", "line", "carets"),
    [
        ("input\tconv\tfoo", "  input conv foo", "             ^^^"),
        ("input /* 輸入 */ foo", "  input /* 輸入 */ foo", "                   ^^^"),
        ("輸入 conv", "  輸入 conv", "  ^^^^"),
        ("input /* e\u0301 */ foo", "  input /* e\u0301 */ foo", "                ^^^"),
        ("input \x1b[2J conv", "  input  [2J conv", "        ^"),
        ("input conv\r\nfoo\r\noutput", "  foo", "  ^^^"),
        ("input conv\rfoo\routput", "  foo", "  ^^^"),
    ],
    ids=["tab", "wide before", "wide", "combining", "escape", "CRLF", "CR"],
)
def test_carets_stand_under_what_they_mark(text: str, line: str, carets: str) -> None:
    assert message_of(text)[1:3] == [line, carets]


def test_a_long_line_is_cut_around_the_error() -> None:
    text = "input " + "conv " * 100_000 + "foo" + " conv" * 100_000 + " output"
    message = message_of(text)
    assert message[0].startswith("net.cnn:1:500007: found 'foo'")
    assert len(message[1]) <= 78
    start = message[2].index("^")
    assert message[1][start : start + 3] == "foo"


def test_lines_and_columns_count_as_editors_count() -> None:
    source = Source("a\r\nbc\rd\n\ne")
    places = [source.position(i) for i in range(len(source.text))]
    assert places[0] == (1, 1)
    assert places[3:5] == [(2, 1), (2, 2)]
    assert (places[6], places[9]) == ((3, 1), (5, 1))
    assert [source.line(n) for n in range(1, 6)] == ["a", "bc", "d", "", "e"]
    assert source.position(len(source.text)) == (5, 2)


def test_the_name_of_a_file_cannot_move_the_terminal() -> None:
    with pytest.raises(DescriptionError) as caught:
        parse("", "a\x1b[2J\nb.cnn")
    assert str(caught.value).startswith("a [2J b.cnn:1:1: ")


def test_errors_keep_their_place_when_they_cross_processes() -> None:
    error = pickle.loads(pickle.dumps(error_of("input conv foo")))
    assert isinstance(error, DescriptionError)
    assert (error.position, error.span) == ((1, 12), Span(11, 14))
    assert str(error) == str(error_of("input conv foo"))


def test_nothing_but_a_description_error_comes_out_of_random_characters() -> None:
    """Law: any text is a description or raises `DescriptionError` with a short message."""
    random = Random(8)
    alphabet = [*map(chr, range(128)), *"\0\xa0\ud800\ufeff\u202e\u2028\U0001f600\u0661→é"]
    alphabet += ["input ", "conv ", "[", "(", ")", "]", ",", "/*", "*/", "//", "(kernel=", "3x"]
    for _ in range(1000):
        check("".join(random.choices(alphabet, k=random.randint(0, 40))))
    for _ in range(5000):
        check(scramble(random.choice([*ACCEPTED.values()]), random))


def test_nothing_but_a_description_error_comes_out_of_random_bytes(tmp_path: Path) -> None:
    """Law: any file is a description or raises `DescriptionError` with a short message."""
    random = Random(9)
    path = tmp_path / "net.cnn"
    for _ in range(300):
        text = bytearray(ACCEPTED["three bodies in a chain"].encode())
        for _ in range(random.randint(0, 4)):
            text[random.randrange(len(text))] = random.randrange(256)
        path.write_bytes(text if random.random() < 0.8 else random.randbytes(50))
        check(path)


def check(given: str | Path) -> None:
    try:
        parse(given) if isinstance(given, str) else read(given)
    except DescriptionError as error:
        message = str(error)
        assert len(message.splitlines()) <= 5, message
        assert all(line.isprintable() for line in message.split("\n")), message


def test_a_file_is_read_with_and_without_a_mark_of_byte_order(tmp_path: Path) -> None:
    path = tmp_path / "net.cnn"
    for encoding in ("utf-8", "utf-8-sig"):
        path.write_text("LENET → input conv\r\noutput\r\n", encoding=encoding)
        assert read(path).name == "LENET"
        assert read(str(path)) == parse("LENET -> input conv output")


def test_a_file_that_cannot_be_read_is_an_error_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "folder.cnn").mkdir()
    (tmp_path / "latin.cnn").write_bytes("input conv output // é".encode("latin-1"))
    (tmp_path / "net.txt").write_text("input conv output")
    os.mkfifo(tmp_path / "pipe.cnn")
    (tmp_path / "endless.cnn").symlink_to("/dev/zero")
    (tmp_path / "circle.cnn").symlink_to("circle.cnn")
    with (tmp_path / "huge.cnn").open("wb") as file:
        file.truncate(2**40)
    for name, said in {
        "missing.cnn": "No such file",
        "folder.cnn": "not a regular file",
        "pipe.cnn": "not a regular file",
        "endless.cnn": "not a regular file",
        "circle.cnn": "cannot be read",
        "latin.cnn": "byte 21 is not UTF-8",
        "net.txt": "descriptions end in .cnn",
        "huge.cnn": "too large",
        "zero\0byte.cnn": "",
        "n" * 300 + ".cnn": "too long",
    }.items():
        with pytest.raises(CnnGenError) as caught:
            read(tmp_path / name)
        assert said in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1


def test_a_mark_of_byte_order_takes_no_column(tmp_path: Path) -> None:
    path = tmp_path / "net.cnn"
    path.write_text("input foo", encoding="utf-8-sig")
    with pytest.raises(DescriptionError) as caught:
        read(path)
    assert caught.value.position == (1, 7)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("input conv maxpool flatten dense output", "Did you mean 'max_pooling'?"),
        ("input conv MaxPool2d flatten dense output", "Did you mean 'max_pooling'?"),
        ("input conv batchnorm flatten dense output", "Did you mean 'BatchNormalisation'?"),
        ("input conv flatten BatchNorm1d dense output", "Batch normalisation belongs"),
        ("input conv relu flatten dense output", "An activation belongs to its layer"),
        ("input conv(kernel_size=3) flatten dense output", "Did you mean 'kernel'?"),
        ("input conv(out_channels=3) flatten dense output", "Did you mean 'filters'?"),
        ("input conv max_pooling(kernel=2) flatten dense output", "Did you mean 'size'?"),
        ("input conv max_pooling(pool_size=2) flatten dense output", "Did you mean 'size'?"),
        ("input conv flatten dense(neurons=9) dense output", "Did you mean 'units'?"),
        ("input conv flatten fc output", "Did you mean 'dense'?"),
        ("input conv flatten Linear output", "Did you mean 'dense'?"),
        ("input conv residual flatten dense output", "A merge stands in brackets"),
        ("input conv dropout(p=0.5) flatten dense output", "Did you mean 'rate'?"),
    ],
)
def test_names_of_other_libraries_are_understood(text: str, hint: str) -> None:
    with pytest.raises(CnnGenError) as refused:
        parse(text)
    assert refused.value.hint is not None
    assert refused.value.hint.startswith(hint)


def test_the_words_that_hints_name_are_those_of_the_language() -> None:
    words = grammar().words
    for meant in OTHER_NAMES.values():
        assert set(meant) <= words
