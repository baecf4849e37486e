"""When something is due: at a pace, by a cron expression, never."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.moment import DAY, HOUR, MINUTE, Timestamp, from_datetime
from appliance.domain.schedule import NEVER, When, next_after, parse_cron


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The time of Berlin, where clocks go forward on 2026-03-29 and back on 2026-10-25."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield "CET"
    time.tzset()


def at(*parts: int) -> Timestamp:
    return from_datetime(datetime(*parts, tzinfo=UTC))  # type: ignore[arg-type,misc]  # year, month, day, hour, minute


def test_a_pace_is_due_that_long_after(zone: str) -> None:
    del zone
    assert next_after(When(every=10 * MINUTE), at(2026, 1, 1)) == at(2026, 1, 1, 0, 10)


def test_never_is_never_due() -> None:
    assert next_after(NEVER, at(2026, 1, 1)) is None


def test_a_cron_expression_counts_in_the_time_of_the_host(zone: str) -> None:
    del zone
    assert next_after(parse_cron("30 3 * * *"), at(2026, 1, 1)) == at(2026, 1, 1, 2, 30)
    assert next_after(parse_cron("30 3 * * *"), at(2026, 7, 1)) == at(2026, 7, 1, 1, 30)


def test_what_is_due_in_an_hour_that_is_skipped_is_due_right_after_it(zone: str) -> None:
    del zone
    assert next_after(parse_cron("30 2 * * *"), at(2026, 3, 28, 12)) == at(2026, 3, 29, 1, 30)


def test_an_hour_that_comes_twice_is_passed_once(zone: str) -> None:
    del zone
    every = parse_cron("30 2 * * *")

    first = next_after(every, at(2026, 10, 24, 12))

    assert first == at(2026, 10, 25, 0, 30)
    assert next_after(every, first) == at(2026, 10, 26, 1, 30)


@given(st.integers(0, 4 * 365 * DAY), st.sampled_from(["*/7 * * * *", "5 4 * * sun", "0 0 29 2 *", "59 23 L * *"]))
def test_the_next_time_is_always_later(passed: int, text: str) -> None:
    now = Timestamp(at(2026, 1, 1) + passed)

    due = next_after(parse_cron(text), now)

    assert due is not None
    assert now < due <= now + 8 * 366 * DAY + HOUR


@pytest.mark.parametrize(
    "text", ["", "10m", "* * * *", "* * * * * *", "60 * * * *", "0 0 30 2 *", "a b c d e", "@daily", "² * * * *", "1\n"]
)
def test_what_is_no_cron_expression_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="five fields"):
        parse_cron(text)
