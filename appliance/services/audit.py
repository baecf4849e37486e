"""Audit: follows the activity once it is committed, says each record in the log, and counts what the manual counts.

It reads by `seq`, so a change that was rolled back is never said, and what a crash left unsaid is said and counted
after the next start.
"""

import asyncio
import functools
from collections.abc import Callable

import msgspec

from appliance.db import activity, facts
from appliance.db.activity import Happening, Wanted
from appliance.db.database import Database, Reader, Transaction
from appliance.domain.moment import Timestamp, to_text
from appliance.logs import Field, Log
from appliance.metrics import Counter
from appliance.services.tally import FOLLOWED, Tally

_PAGE = 100  # records read at once, and said before others have their turn: some 6 ms
_SLICE = 100  # records deleted in one transaction: some 9 ms of the writer, for each stands in five indexes
_SPAN = 50_000  # records weighed at once: a reader must not hold the log of the database for long
_SPARE = 0.02  # of the size that is deleted beyond it
_LATE = 60_000  # milliseconds; a record that is said later than this says when it happened
_EXPENDABLE = ("login.allowed", "login.denied")  # go before any change does


class _Images(msgspec.Struct):
    images: int = 0


class _Tags(msgspec.Struct):
    tags: list[str] = []
    tags_count: int = 0  # where they were too many to be listed


def _one(_: Happening) -> int:
    return 1


def _tags(record: Happening) -> int:
    """Return the tags that went with a digest; an untagged one counts as one (manual 1.1: "Image Tag (digest)")."""
    told = msgspec.json.decode(record.detail, type=_Tags)
    return max(len(told.tags), told.tags_count, 1)


class _Scans(msgspec.Struct):
    scans: int = 0


def _scans(record: Happening) -> int:
    """Return how many scans were accepted to the queue with it."""
    return msgspec.json.decode(record.detail, type=_Scans).scans


def _images(record: Happening) -> int:
    return msgspec.json.decode(record.detail, type=_Images).images


# which records the manual counts, and as how many
_COUNTS: dict[str, tuple[tuple[Counter, Callable[[Happening], int]], ...]] = {
    "repository.created": ((Counter.REPOSITORIES_CREATED, _one),),
    "repository.deleted": ((Counter.REPOSITORIES_DELETED, _one), (Counter.IMAGES_DELETED, _images)),
    "image.created": ((Counter.IMAGES_CREATED, _one), (Counter.SCANS, _scans)),
    "image.pushed": ((Counter.SCANS, _scans),),
    "image.scan_ordered": ((Counter.SCANS, _scans),),
    "image.deleted": ((Counter.IMAGES_DELETED, _one),),
    "manifest.deleted": ((Counter.TAGS_DELETED, _tags),),
    "tag.deleted": ((Counter.TAGS_DELETED, _one),),
}


class Audit:
    """Follows the activity of one database. `changed` is called when the registries may have changed."""

    def __init__(self, db: Database, tally: Tally, log: Log, clock: Callable[[], Timestamp]) -> None:
        """Count into `tally`, say to `log`."""
        self._db = db
        self._tally = tally
        self._log = log
        self._clock = clock
        self._turn = asyncio.Lock()
        self.changed: Callable[[], None] = lambda: None

    async def begin(self) -> None:
        """Go on where the last process ended; a database that never counted begins now."""

        def place(tx: Transaction) -> int:
            known = facts.find(tx, FOLLOWED)
            if known is None:  # written down at once: what comes from now on is counted, whatever happens
                known = str(max(activity.bounds(tx)[1], 0))
                facts.put(tx, FOLLOWED, known)
            return int(known)

        self._tally.begin(await self._db.write(place))

    async def follow(self) -> None:
        """Say and count what was committed since the last time."""
        async with self._turn:
            while True:
                found = await self._db.read(functools.partial(_list, after=self._tally.followed))
                for record in found:
                    self._tally.followed = record.seq  # with the counts, before anybody else runs: both are one fact
                    self._take(record)
                if len(found) < _PAGE:
                    return

    def _take(self, record: Happening) -> None:
        self._say(record)
        if record.registry is not None:
            for counter, how_many in _COUNTS.get(record.kind, ()):
                if count := how_many(record):
                    self._tally.count(record.registry, counter, record.at, count)
        if record.kind.startswith("registry."):
            self.changed()

    def _say(self, record: Happening) -> None:
        fields: dict[str, Field] = {"principal": record.principal, "address": record.address}
        named = {
            "client": record.client,
            "registry": record.registry_name,
            "path": record.image or record.repository,
            "about": record.subject,
            "at": to_text(record.at) if self._clock() - record.at > _LATE else "",
        }
        fields |= {name: text for name, text in named.items() if text}
        for name, value in msgspec.json.decode(record.detail, type=dict[str, object]).items():
            if name != "v":
                fields.setdefault(name, _field(value))
        self._log.info(record.kind, **fields)


def _list(reader: Reader, *, after: int) -> list[Happening]:
    return activity.list_page(reader, Wanted(), after, _PAGE, onward=True)


def _field(value: object) -> Field:
    """Return a value as a line shows it: lists of texts with commas, what is deeper as JSON."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ",".join(value)
    return msgspec.json.encode(value).decode()


async def prune(db: Database, before: Timestamp, size: int) -> int:
    """Delete records older than `before`, and the oldest beyond `size` bytes, sign-ins first; return about how many."""
    gone = 0
    while done := await db.write(lambda tx: activity.forget(tx, before, _SLICE)):
        gone += done
    weight, count = await _weigh(db)
    excess = weight - size
    if excess <= 0:
        return gone
    excess += int(size * _SPARE)
    for kind in (*_EXPENDABLE, None):
        while excess > 0:
            some = min(_SLICE, excess * count // weight + 1)
            freed = await db.write(functools.partial(activity.forget_oldest, kind=kind, limit=some))
            if not freed:
                break
            excess -= freed
            gone += some
    return gone


async def _weigh(db: Database) -> tuple[int, int]:
    """Return about how many bytes the records take, and about how many they are."""
    first, last = await db.read(activity.bounds)
    total = 0
    for after in range(first - 1, last, _SPAN):
        total += await db.read(functools.partial(activity.weigh, after=after, until=after + _SPAN))
    return total, last - first + 1
