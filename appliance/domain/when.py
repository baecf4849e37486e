"""Moments as people write them: `2026-11-20T12:00`, `tuesday`, `2 hours ago`; and `name:tag@{moment}`."""

import re
from datetime import UTC, datetime, time, timedelta

from appliance.domain.moment import DAY, HOUR, MINUTE, SECOND, Timestamp, from_datetime
from appliance.errors import QueryInvalid

_AGO = re.compile(r"(\d{1,6})[ .-]?(second|minute|hour|day|week|month|year)s?[ .-]ago")
_UNITS = {
    "second": SECOND,
    "minute": MINUTE,
    "hour": HOUR,
    "day": DAY,
    "week": 7 * DAY,
    "month": 30 * DAY,
    "year": 365 * DAY,
}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_AS_OF = re.compile(r"(?P<name>[^@{}]*)@\{(?P<moment>[^{}]*)\}")


def split_as_of(text: str) -> tuple[str, str | None]:
    """Return what stands before `@{...}` and what stands in it; None where there is no such end."""
    found = _AS_OF.fullmatch(text)
    return (found["name"], found["moment"]) if found else (text, None)


def parse_when(text: str, now: Timestamp) -> Timestamp:
    """Return the moment that `text` means at `now`; without an offset it is UTC.

    A date alone, and a weekday, mean the end of that day: what a tag named on Tuesday is what it named when Tuesday
    was over, or names now if it is not. Raises QueryInvalid.
    """
    words = text.strip().lower()
    if words in ("now", ""):
        return now
    if found := _AGO.fullmatch(words):
        return Timestamp(max(now - int(found[1]) * _UNITS[found[2]], 0))
    today = datetime.fromtimestamp(now / SECOND, UTC).date()
    if words in ("today", "yesterday") or words in _WEEKDAYS:
        back = (today.weekday() - _WEEKDAYS.index(words)) % 7 if words in _WEEKDAYS else int(words == "yesterday")
        return _end_of(datetime.combine(today - timedelta(days=back), time(), UTC), now)
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return _end_of(moment, now) if len(words) <= 10 else from_datetime(moment)
    except (ValueError, OverflowError) as error:
        raise QueryInvalid(
            f"{text[:60]!r} is no moment; write 2026-11-20T12:00 (UTC), 2026-11-20T12:00+01:00, 2026-11-20, tuesday,"
            " yesterday, or 2 hours ago"
        ) from error


def _end_of(day: datetime, now: Timestamp) -> Timestamp:
    return Timestamp(min(from_datetime(day + timedelta(days=1)) - 1, now))
