"""Time as the program writes it down."""

from datetime import UTC, datetime
from typing import NewType

Timestamp = NewType("Timestamp", int)  # unix milliseconds, UTC

SECOND = 1000  # milliseconds
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
FIRST, LAST = Timestamp(0), Timestamp(7_258_118_400_000)  # 1970 and 2200: what foreign bytes may call a time
_LEAST, _MOST = -62_135_596_800_000, 253_402_300_799_999  # the years 1 and 9999, which a datetime can tell


def from_datetime(moment: datetime) -> Timestamp:
    """Return `moment` (aware) in milliseconds."""
    return Timestamp(int(moment.timestamp() * SECOND))


def to_datetime(moment: Timestamp) -> datetime:
    """Return `moment` as an aware datetime; what lies beyond the years 1 to 9999 is told as their begin and end."""
    return datetime.fromtimestamp(min(max(moment, _LEAST), _MOST) / SECOND, UTC)


def to_text(moment: Timestamp) -> str:
    """Return `moment` as RFC 3339 text in UTC with milliseconds, e.g. `2026-11-20T12:00:00.000Z`."""
    text = to_datetime(moment).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"
