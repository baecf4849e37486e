"""Times that the program writes down, and those that no calendar has."""

import pytest

from appliance.domain.moment import Timestamp, to_datetime, to_text


@pytest.mark.parametrize(
    ("at", "told"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_790_000_000_123, "2026-09-21T14:13:20.123Z"),
        (-(10**17), "0001-01-01T00:00:00.000Z"),
    ],
)
def test_a_time_is_told(at: int, told: str) -> None:
    assert to_text(Timestamp(at)) == told


def test_one_beyond_the_calendar_is_told_as_its_end() -> None:
    assert to_datetime(Timestamp(10**17)).year == 9999
    assert to_datetime(Timestamp(253_402_300_800_000)).year == 9999
