"""What is due by a schedule. Each is kept in the database, so that runs missed without the process are run once."""

from collections.abc import Callable, Iterable

import msgspec

from appliance.db import schedules
from appliance.db.database import Reader, Transaction
from appliance.db.schedules import Due
from appliance.domain.moment import HOUR, Timestamp
from appliance.domain.schedule import When, next_after

_JUMP = HOUR  # milliseconds; less is a clock being set right


class Schedule(msgspec.Struct, frozen=True):
    """Enqueues a job of `kind` whenever `when` (a setting, asked anew) says so.

    `has_work` looks first whether there is anything to do: an idle appliance makes no jobs.
    """

    kind: str
    when: Callable[[], When]
    has_work: Callable[[Timestamp, Reader], bool] = lambda _, __: True
    subject: str = ""


class Calendar:
    """The schedules, and when each is due."""

    def __init__(self, entries: Iterable[Schedule]) -> None:
        """Hold `entries`; nothing is due before `reckon`."""
        self.entries = {entry.kind: entry for entry in entries}
        self._due: dict[str, Due] = {}
        self._seen = Timestamp(0)

    def reckon(self, known: dict[str, Due], now: Timestamp) -> dict[str, Due | None]:
        """Reckon when each is due, from what is `known` of them; return what has to be written (None: forgotten).

        A due time in the past stays: that run was missed. One that is later than the next from now on is wrong: the
        clock was ahead when it was reckoned.
        """
        changed: dict[str, Due | None] = {}
        for name, entry in self.entries.items():
            when = entry.when()
            following = next_after(when, now)
            old = self._due.get(name) or known.get(name)
            if following is None:
                self._due.pop(name, None)
                if name in known:
                    changed[name] = None
                continue
            text = str(when)
            if old is not None and old.expression == text and old.due_at <= following:
                self._due[name] = old
                continue
            self._due[name] = changed[name] = Due(text, following, old.ran_at if old else None)
        return changed

    def next_due(self) -> Timestamp | None:
        """Return when the next of them is due, or None."""
        return min((due.due_at for due in self._due.values()), default=None)

    def list_due(self, now: Timestamp) -> list[Schedule]:
        """Return those that are due."""
        return [self.entries[name] for name, due in self._due.items() if due.due_at <= now]

    def due_of(self, name: str) -> Due | None:
        """Return when the schedule is due and last was, or None for never."""
        return self._due.get(name)

    def following(self, entry: Schedule, now: Timestamp) -> Due | None:
        """Return when `entry` is due next after it was due at `now`, or None where its setting says never."""
        when = entry.when()
        due_at = next_after(when, now)
        return None if due_at is None else Due(str(when), due_at, now)

    def accept(self, entry: Schedule, due: Due | None) -> None:
        """Let `entry` be due as `following` said: what it was due for is enqueued."""
        if due is None:
            self._due.pop(entry.kind, None)
        else:
            self._due[entry.kind] = due

    def is_ahead(self, now: Timestamp) -> bool:
        """Whether the clock went back since this was last asked: due times are ahead of it, then."""
        was, self._seen = self._seen, now
        return now < was - _JUMP


def write(tx: Transaction, changed: dict[str, Due | None]) -> None:
    """Write down what `reckon` found."""
    for name, due in changed.items():
        if due is None:
            schedules.drop(tx, name)
        else:
            schedules.put(tx, name, due)
