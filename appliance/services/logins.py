"""Sign-ins as activity: the first of each principal, address and program at once, its repetitions once an hour.

A build farm signs in for every pull, and whoever guesses passwords does so for every guess: a row for each would push
the changes out of the log, and write to the disk at the will of strangers.
"""

from collections.abc import Callable

import msgspec

from appliance.db import activity
from appliance.db.activity import About
from appliance.db.database import Transaction
from appliance.domain.moment import HOUR, Timestamp, to_text
from appliance.domain.registry import RegistryId
from appliance.services.tally import Taken

ALLOWED, DENIED = "login.allowed", "login.denied"
MANY = "(many)"  # stands for those there was no room for
_KNOWN = 5000  # principals, addresses and programs whose repetitions are counted
_AT_ONCE = 500  # rows of one flush


class Login(msgspec.Struct, frozen=True):
    """Who signed in, or tried to, from where, to which registry, with what."""

    registry: RegistryId
    principal: str
    address: str
    client: str
    is_allowed: bool


class _Repeated:
    __slots__ = ("last", "since", "times")

    def __init__(self, now: Timestamp) -> None:
        self.since = self.last = now
        self.times = 0


class Logins:
    """Sign-ins that are not written yet."""

    def __init__(self, clock: Callable[[], Timestamp]) -> None:
        """Begin with none."""
        self._clock = clock
        self._known: dict[Login, _Repeated] = {}
        self._due: list[tuple[Login, Timestamp, int]] = []  # the first, when, how often from then on
        self._crowd = 0

    def note(self, login: Login) -> None:
        """Keep a sign-in."""
        now = self._clock()
        known = self._known.get(login)
        if known is not None and abs(now - known.since) < HOUR:
            known.times += 1
            known.last = max(known.last, now)
            return
        self._close(login)
        if len(self._known) >= _KNOWN:
            self._close(next(iter(self._known)))
        self._known[login] = _Repeated(now)
        self._owe(login, now, 1)

    def sweep(self, *, is_last: bool = False) -> None:
        """Let what was repeated be written once its hour is over; all of it, where it is the last time."""
        now = self._clock()
        for login, known in list(self._known.items()):
            if is_last or abs(now - known.since) >= HOUR:
                self._close(login)

    def take(self) -> Taken | None:
        """Hand out what is to be written."""
        due, self._due = self._due, []
        crowd, self._crowd = self._crowd, 0
        if crowd:
            due.append((Login(RegistryId(0), MANY, "", "", is_allowed=False), self._clock(), crowd))

        def write(tx: Transaction) -> None:
            for login, at, times in due:
                _record(tx, login, at, times)

        def give_back() -> None:
            self._due = due + self._due

        return Taken(write, give_back) if due else None

    def _close(self, login: Login) -> None:
        known = self._known.pop(login, None)
        if known is not None and known.times:
            self._owe(login, known.last, known.times)

    def _owe(self, login: Login, at: Timestamp, times: int) -> None:
        if len(self._due) >= _AT_ONCE:
            self._crowd += times
        else:
            self._due.append((login, at, times))


def _record(tx: Transaction, login: Login, at: Timestamp, times: int) -> None:
    kind = ALLOWED if login.is_allowed else DENIED
    about = About(registry=login.registry)
    detail = {"times": times, "last": to_text(at)} if times > 1 else {}
    activity.append(tx, kind, (login.principal, login.address, login.client), about, detail, at)
