"""Time as the program writes it down."""

from datetime import UTC, datetime
from typing import NewType

Timestamp = NewType("Timestamp", int)  # unix milliseconds, UTC

SECOND = 1000  # milliseconds
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def from_datetime(moment: datetime) -> Timestamp:
    """Return `moment` (aware) in milliseconds."""
    return Timestamp(int(moment.timestamp() * SECOND))


def to_text(moment: Timestamp) -> str:
    """Return `moment` as RFC 3339 text in UTC with milliseconds, e.g. `2026-11-20T12:00:00.000Z`."""
    text = datetime.fromtimestamp(moment / SECOND, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"
