"""Patterns of tags: what they match, and that no pattern takes long."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.names import Tag
from appliance.domain.patterns import matcher, parse_pattern
from appliance.errors import ImagePolicyInvalid

_PATTERN = st.text("ab.*?", min_size=1, max_size=12)
_TAG = st.text("ab.", min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("latest", ["latest"], ["latest1", "Latest", "alatest"]),
        ("v*", ["v", "v1", "v1.2-rc"], ["1v", "V1"]),
        ("*", ["a", "1.2.3"], []),
        ("v?.?", ["v1.2"], ["v1.22", "v1x", "v1.2.3"]),
        ("release-*-final", ["release-1-final", "release--final"], ["release-final", "release-1-final2"]),
        ("v[0-9]*", ["v1", "v9x"], ["vx", "v"]),
        ("v[!0-9]", ["vx"], ["v1", "v"]),
        ("*.*.*", ["1.2.3", "1.2.3.4"], ["1.2"]),
        ("a.b", ["a.b"], ["axb"]),
    ],
)
def test_a_pattern_matches_as_in_a_shell(pattern: str, matching: list[str], others: list[str]) -> None:
    matches = matcher([parse_pattern(pattern)])

    assert [tag for tag in matching if not matches(Tag(tag))] == []
    assert [tag for tag in others if matches(Tag(tag))] == []


@given(_PATTERN, _TAG)
def test_it_agrees_with_the_standard_library(pattern: str, tag: str) -> None:
    assert matcher([parse_pattern(pattern)])(Tag(tag)) == fnmatch.fnmatchcase(tag, pattern)


@pytest.mark.parametrize("text", ["", "a b", "v[", "v[]", "[z-a]", "[a--b]", "a{1,2}", "(x)", "a" * 129, "ä", "[*]"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ImagePolicyInvalid):
        parse_pattern(text)


def test_one_of_several_is_enough_and_none_matches_nothing() -> None:
    assert matcher(["a*", "b*"])(Tag("b1"))
    assert not matcher(["a*", "b*"])(Tag("c1"))
    assert not matcher([])(Tag("a"))


def test_no_pattern_takes_exponential_time() -> None:
    hostile = [parse_pattern("*a" * 63 + "b"), parse_pattern("?*" * 60 + "b"), parse_pattern("*" * 127 + "b")]
    matches = matcher(hostile)

    assert not matches(Tag("a" * 128))  # by backtracking it would take until the sun goes out
