"""Foreign text before eyes: nothing in it hides, turns it round, or makes a page of it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.foreign import brief, seen


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("plain é 한 עב", "plain é 한 עב"),
        ("a\x1b[31m\n\t\0", "a\u241b[31m\u240a\u2409\u2400"),
        ("exe\u202egnp\u2066", "exe<U+202E>gnp<U+2066>"),
        ("a\u200b\ufeff\xad\x7f\x9b", "a<U+200B><U+FEFF><U+00AD><U+007F><U+009B>"),
    ],
)
def test_what_cannot_be_seen_is_made_visible(text: str, told: str) -> None:
    assert seen(text) == told


@given(st.text(st.characters(categories=["Cc", "Cf", "Zl", "Zp", "L", "N"], max_codepoint=0xFFFF)))
def test_no_control_and_nothing_that_turns_the_text_is_left(text: str) -> None:
    left = {unicodedata.category(one) for one in seen(text)}
    turning = {unicodedata.bidirectional(one) for one in seen(text)}

    assert not left & {"Cc", "Zl", "Zp"}
    assert not turning & {"LRE", "LRO", "RLE", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_a_long_text_shows_how_it_begins_and_ends() -> None:
    assert brief("a" * 20 + "b" * 10, 30) == "a" * 20 + "b" * 10
    assert brief("a" * 400 + "\u202e" + "b" * 9, 30) == "a" * 20 + " … " + "<U+202E>" + "b" * 9
