"""The token cursor of all readers written by hand."""

from __future__ import annotations

import pytest

from carengine.languages.sigma.condition import ConditionError
from carengine.syntax import END, Token, TokenCursor

TOKENS = [
    Token("word", "a", 0, 1),
    Token("sign", "(", 2, 3),
    Token("word", "b", 3, 4),
    Token("sign", ")", 4, 5),
    Token(END, "", 5, 5),
]


def cursor() -> TokenCursor:
    return TokenCursor(TOKENS, ConditionError)


def test_it_goes_forward_and_stays_at_the_end() -> None:
    tokens = cursor()
    assert tokens.left == 4
    assert [tokens.take().text for _ in range(6)] == ["a", "(", "b", ")", "", ""]
    assert (tokens.left, tokens.next.kind, tokens.previous.text) == (0, END, ")")
    assert tokens.peek(9).kind == END


def test_what_is_next_and_what_comes_behind() -> None:
    tokens = cursor()
    assert tokens.is_next("word")
    assert tokens.is_next("word", "x", "a")
    assert not tokens.is_next("word", "x")
    assert not tokens.is_next("sign", "a")
    assert tokens.peek(1).text == "("
    assert tokens.accept("sign", "(") is None
    assert tokens.accept("word", "a") == TOKENS[0]
    assert tokens.previous == tokens.token_at(0) == TOKENS[0]


def test_what_is_expected_is_taken_or_told_with_its_place() -> None:
    tokens = cursor()
    tokens.take()
    opened = tokens.expect("sign", "(", message="")
    with pytest.raises(ConditionError, match="never closed") as at_opened:
        tokens.expect("sign", ")", message="this is never closed", place=opened)
    assert (at_opened.value.start, at_opened.value.end) == (2, 3)
    with pytest.raises(ConditionError) as at_hand:
        tokens.expect("sign", ")", message="no")
    assert (at_hand.value.start, at_hand.value.end) == (3, 4)
    error = tokens.error("both", opened, tokens.next)
    assert isinstance(error, ConditionError)
    assert (error.start, error.end) == (2, 4)


def test_a_part_is_read_as_if_the_text_ended_behind_it() -> None:
    tokens = cursor()
    with tokens.until(2):
        assert [tokens.take().text for _ in range(4)] == ["a", "(", "", ""]
        assert tokens.next == Token(END, "", 3, 3)
    assert tokens.next.text == "b"
    tokens.replace_next(Token("word", "c", 3, 4))
    assert tokens.take().text == "c"
    assert TOKENS[2].text == "b"
