"""When something is done again and again: at a pace ("10m") or by a cron expression ("30 3 * * *").

Cron expressions count in the time of the host. What is due in an hour that a change of the clocks skips is due right
after it; an hour that comes twice is passed once.
"""

import re
from datetime import datetime

import msgspec
from cronsim import CronSim, CronSimError

from appliance.domain.moment import SECOND, Timestamp

_FIELDS = 5  # minute, hour, day of month, month, day of week; the library's sixth (seconds) is nobody's crontab
_ANY_DAY = datetime(2026, 1, 1)  # noqa: DTZ001 - whether a time comes at all is asked from any day
_PLAIN = re.compile(r"[0-9A-Za-z*,/#\- ]{1,200}")


class When(msgspec.Struct, frozen=True):
    """A pace in milliseconds, or (`every` 0) a cron expression, or (both empty) never."""

    every: int = 0
    cron: str = ""

    @property
    def is_never(self) -> bool:
        """Whether nothing is ever due by it."""
        return not self.every and not self.cron

    def __str__(self) -> str:
        """Return a text that is another one for another schedule."""
        return f"every {self.every} ms" if self.every else self.cron


NEVER = When()


def parse_cron(text: str) -> When:
    """Return the schedule of a cron expression of five fields. Raises ValueError, which says what was expected."""
    normal = " ".join(text.split())
    is_plain = _PLAIN.fullmatch(normal) and len(normal.split(" ")) == _FIELDS
    try:
        due = next(CronSim(normal, _ANY_DAY), None) if is_plain else None
    except CronSimError:
        due = None
    if due is None:
        raise ValueError('a cron expression of five fields like "30 3 * * *", for times that come')
    return When(cron=normal)


def next_after(when: When, now: Timestamp) -> Timestamp | None:
    """Return when `when` is due for the first time after `now`, or None for never."""
    if when.every:
        return Timestamp(now + when.every)
    if not when.cron:
        return None
    # naive on purpose: the wall of the host; `timestamp` moves a time that does not exist behind the gap
    for moment in CronSim(when.cron, datetime.fromtimestamp(now / SECOND)):  # noqa: DTZ006
        due = Timestamp(int(moment.timestamp() * SECOND))
        if due > now:  # else the first of two hours of the same name is over
            return due
    return None
