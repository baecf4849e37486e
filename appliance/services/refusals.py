"""Refusals, so that "why?" has an answer: a bounded ring in memory, written every 10 s, never through the commit path.

A refusal that repeats keeps its id and is counted. Nobody who is refused much crowds out the refusals of others: each
source has a share of its own, and the source that was silent for longest goes first.
"""

import secrets
from collections.abc import Callable

import msgspec

from appliance.db import refusals
from appliance.db.database import Transaction
from appliance.db.refusals import Refusal
from appliance.db.side_file import SideFile
from appliance.domain.decision import Step
from appliance.domain.moment import HOUR, Timestamp
from appliance.domain.registry import RegistryId
from appliance.errors import ScrError, kind_of
from appliance.logs import Log

MOST = 100_000  # refusals in the file
_ALL, _EACH = 5000, 200  # refusals in memory, and those of one source
_SAID = 50  # lines of the log between two flushes
_SLICE = 1000  # rows deleted in one transaction
_LONGEST = 2000  # characters of what is kept of a message


class Asked(msgspec.Struct, frozen=True):
    """What was refused: by whom (as far as that was known), from where, and what it was."""

    registry: RegistryId = RegistryId(0)
    principal: str = ""
    address: str = ""
    client: str = ""
    method: str = ""
    path: str = ""


_Key = tuple[Asked, str, str]  # what was asked, the rule, what it said


class Refusals:
    """What was refused lately."""

    def __init__(self, clock: Callable[[], Timestamp], log: Log) -> None:
        """Begin with none; a new one is said to `log`."""
        self._clock = clock
        self._log = log
        self._sources: dict[tuple[str, str], dict[_Key, Refusal]] = {}  # the one that was heard last is the last
        self._ids: dict[str, Refusal] = {}
        self._changed: set[str] = set()  # ids of what is not written yet
        self._said = self._unsaid = 0
        self.counts: dict[str, int] = {}  # by rule, since the start

    def note(self, error: ScrError, asked: Asked, steps: tuple[Step, ...] = (), source: str = "") -> Refusal:
        """Keep that `asked` was refused by `error` after `steps`; return it with the id to be told.

        `source` is what has one share of the ring: the address, or all that one host may have of them.
        """
        now, rule, says = self._clock(), kind_of(error), error.message[:_LONGEST]
        self.counts[rule] = self.counts.get(rule, 0) + 1
        place, key = (asked.principal, source or asked.address), (asked, rule, says)
        own = self._sources.pop(place, {})
        self._sources[place] = own
        known = own.pop(key, None)
        if known is not None and abs(now - known.last_at) < HOUR:
            refusal = msgspec.structs.replace(known, last_at=now, times=known.times + 1)
        else:
            if known is not None:
                self._drop(known)
            self._make_room(own)
            refusal = _begin(asked, rule, says, steps, now)
            self._say(refusal)
        own[key] = self._ids[refusal.id] = refusal
        self._changed.add(refusal.id)
        return refusal

    def _make_room(self, own: dict[_Key, Refusal]) -> None:
        while len(own) >= _EACH:
            self._forget(own)
        while len(self._ids) >= _ALL:
            source, eldest = next(iter(self._sources.items()))
            if eldest:
                self._forget(eldest)
            if not eldest and eldest is not own:
                del self._sources[source]

    def _forget(self, group: dict[_Key, Refusal]) -> None:
        self._drop(group.pop(next(iter(group))))

    def _drop(self, gone: Refusal) -> None:
        self._ids.pop(gone.id, None)
        self._changed.discard(gone.id)

    def _say(self, one: Refusal) -> None:
        if self._said >= _SAID:
            self._unsaid += 1
            return
        self._said += 1
        self._log.info(
            "request.refused",
            id=one.id,
            rule=one.rule,
            principal=one.principal,
            address=one.address,
            client=one.client,
            method=one.method,
            path=one.path,
            says=one.says,
        )

    async def find(self, file: SideFile, refusal: str) -> Refusal | None:
        """Return the refusal of that id, or None."""
        known = self._ids.get(refusal)
        return known if known is not None else await file.read(lambda reader: refusals.find(reader, refusal))

    async def flush(self, file: SideFile) -> None:
        """Write what is not written yet. What cannot be written is kept."""
        if self._unsaid:
            self._log.info("request.refused_more", count=self._unsaid)
        self._said = self._unsaid = 0
        if not self._changed:
            return
        changed, self._changed = self._changed, set()
        found = [self._ids[one] for one in changed if one in self._ids]

        def write(tx: Transaction) -> None:
            refusals.keep(tx, found)
            refusals.forget(tx, None, MOST, _SLICE)

        try:
            await file.write(write)
        except ScrError:
            self._changed |= changed & self._ids.keys()
            raise


async def prune(file: SideFile, before: Timestamp) -> None:
    """Delete what is older than `before`."""
    while await file.write(lambda tx: refusals.forget(tx, before, MOST, _SLICE)):
        pass


def _begin(asked: Asked, rule: str, says: str, steps: tuple[Step, ...], now: Timestamp) -> Refusal:
    return Refusal(
        id=secrets.token_hex(16),
        at=now,
        last_at=now,
        times=1,
        registry=asked.registry,
        principal=asked.principal,
        address=asked.address,
        client=asked.client,
        method=asked.method,
        path=asked.path,
        rule=rule,
        says=says,
        steps=steps,
    )
