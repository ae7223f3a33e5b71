"""Code as tokens: hyper-parameters are read, comments and docstrings are not."""

import pytest

import cnngen
from cnngen.errors import CnnGenError
from cnngen.predict import Example
from cnngen.predict.code import CodePredictor
from cnngen.predict.code.tokens import MOST_STATEMENTS, NUMBER, network_statements, statements
from cnngen.predict.model_file import State

TEXT = "input(8x8x1) conv(filters={}, kernel=3, stride=1) dropout(rate={}) flatten dense output(10)"


def tokens(filters: int = 16, rate: float = 0.2, backend: str = "torch"):
    network = cnngen.resolve(cnngen.parse(TEXT.format(filters, rate)), seed=0)
    return network_statements(network, backend)


def test_one_changed_hyperparameter_changes_tokens_and_nothing_else():
    plain, other = tokens(), tokens(rate=0.4)
    assert len(plain) == len(other)
    changed = [
        (a, b)
        for one, two in zip(plain, other, strict=True)
        for a, b in zip(one, two, strict=True)
        if a != b
    ]
    assert [(a.word, a.value, b.value) for a, b in changed] == [(NUMBER, 0.2, 0.4)]
    assert tokens(filters=17) != plain


def test_comments_and_docstrings_are_not_read():
    read = statements(
        '"""input conv output"""\nclass Net:  # 3x3\n    """(1, 8)"""\n\n    left_2 = 1_0\n'
    )
    assert [[token.word for token in one] for one in read] == [
        ["class", "Net", ":"],
        ["left", NUMBER, "=", NUMBER],
    ]
    assert [token.value for token in read[1] if token.word == NUMBER] == [2, 10]


def test_any_backend_can_be_read():
    assert tokens(backend="keras") != tokens(backend="torch")


def test_a_very_long_file_is_cut():
    assert len(statements("x = 1\n" * 5000)) == MOST_STATEMENTS


@pytest.mark.parametrize(
    "words", [None, "text", [1, 2], ["twice", "twice"], [str(at) for at in range(5000)]]
)
def test_words_of_a_stranger_are_checked(words):
    predictor = CodePredictor()
    predictor.target_ = "accuracy"
    with pytest.raises(CnnGenError, match="words"):
        predictor.restore(State({"calibration": 1.0, "members": 1, "words": words}, {}))


def test_heads_that_do_not_divide_are_a_users_mistake():
    network = cnngen.resolve(cnngen.parse(TEXT.format(16, 0.2)), seed=0)
    known = [Example(network, {"accuracy": at / 20}, "") for at in range(12)]
    with pytest.raises(CnnGenError, match="twice heads"):
        CodePredictor(hidden=30, heads=4).fit(known, "accuracy")
