"""Moments as people write them."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.moment import Timestamp, from_datetime, to_text
from appliance.domain.when import parse_when, split_as_of
from appliance.errors import QueryInvalid

NOW = from_datetime(datetime(2026, 11, 20, 15, 30, tzinfo=UTC))  # a Friday


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-11-20T12:00", "2026-11-20T12:00:00.000Z"),
        ("2026-11-20 12:00:30", "2026-11-20T12:00:30.000Z"),
        ("2026-11-20T12:00+01:00", "2026-11-20T11:00:00.000Z"),
        ("2026-11-20T12:00Z", "2026-11-20T12:00:00.000Z"),
        ("2026-11-18", "2026-11-18T23:59:59.999Z"),
        ("now", "2026-11-20T15:30:00.000Z"),
        ("today", "2026-11-20T15:30:00.000Z"),
        ("yesterday", "2026-11-19T23:59:59.999Z"),
        ("Tuesday", "2026-11-17T23:59:59.999Z"),
        ("friday", "2026-11-20T15:30:00.000Z"),
        ("saturday", "2026-11-14T23:59:59.999Z"),
        ("2 hours ago", "2026-11-20T13:30:00.000Z"),
        ("1 week ago", "2026-11-13T15:30:00.000Z"),
        ("3.days.ago", "2026-11-17T15:30:00.000Z"),
    ],
)
def test_a_moment_is_what_a_person_means(text: str, meant: str) -> None:
    assert to_text(parse_when(text, NOW)) == meant


@pytest.mark.parametrize("text", ["soon", "2026-13-01", "12:00", "5", "2026-11-20T25:00", "-1 days ago", "{}"])
def test_what_is_no_moment_is_said_to_be_none(text: str) -> None:
    with pytest.raises(QueryInvalid, match="is no moment"):
        parse_when(text, NOW)


@given(st.text(max_size=40))
def test_any_text_is_a_moment_or_refused(text: str) -> None:
    with contextlib.suppress(QueryInvalid):
        assert isinstance(parse_when(text, Timestamp(NOW)), int)


def test_the_end_in_braces_is_split_off() -> None:
    assert split_as_of("pay/api:latest@{tuesday}") == ("pay/api:latest", "tuesday")
    assert split_as_of("pay/api:latest") == ("pay/api:latest", None)
    assert split_as_of("pay/api@sha256:0") == ("pay/api@sha256:0", None)
