"""Scrub: hash again what lies in the store; put aside what is not what was sealed, so that the next push heals it."""

import asyncio
import hashlib
from contextlib import aclosing
from functools import partial

import msgspec

from appliance.db import blobs, facts
from appliance.db.database import Transaction
from appliance.domain.moment import Timestamp
from appliance.domain.names import algorithm_of, hex_of
from appliance.domain.registry import BlobId, StoredBlob
from appliance.errors import BlobBroken, StoreFailed
from appliance.services.course import UNFOLLOWED, Course
from appliance.services.stock import Stock

NO_BLOB = BlobId(0)  # ids begin with 1
LISTED = 1000  # broken blobs that are named; all are counted by the log
_PAGE = 100  # rows read at once
_KEEP = 256 << 20  # bytes read until it is kept how far a run is


class Scrubbed(msgspec.Struct, frozen=True, rename="camel"):
    """What a scrub found."""

    blobs: int = 0
    bytes: int = 0
    broken: tuple[str, ...] = ()  # digests, the first of them
    unread: int = 0  # blobs that the store could not give: nothing is known of them


class ScrubOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """How to scrub: `full_speed` reads as fast as the disk can, not at `scrub_rate`."""

    full_speed: bool = False


async def quarantine(stock: Stock, blob: StoredBlob, reason: str) -> None:
    """Make a broken blob unreadable (HEAD answers 404, so that the next push heals it) and raise the alarm."""
    now = stock.clock()
    if await stock.db.write(lambda tx: blobs.quarantine(tx, blob, now)):
        stock.log.error("blob.broken", digest=blob.digest, reason=reason, cure="push the image again; check the disk")
        await stock.store.quarantine(blob)


async def judge(stock: Stock, blob: StoredBlob, error: StoreFailed) -> None:
    """Quarantine `blob` where `error` says that its bytes changed; a store that merely failed proves nothing."""
    if isinstance(error, BlobBroken):
        await quarantine(stock, blob, error.message)
    else:
        stock.log.error("store.failed", digest=blob.digest, reason=error.message)


async def scrub(stock: Stock, *, rate: int = 0, course: Course = UNFOLLOWED) -> Scrubbed:
    """Read and hash every blob once; return what was found. Broken ones are quarantined.

    `rate` is the bytes a second it reads at most, 0 for as fast as it can. An interrupted run goes on behind the blob
    that it got to.
    """
    run = _Run(stock, course, rate, await stock.db.read(blobs.readable_bytes))
    while page := await stock.db.read(partial(blobs.list_after, last=run.at.after, limit=_PAGE)):
        for blob in page:
            await run.look(blob)
        await run.keep()
    await stock.db.write(partial(_note_end, now=stock.clock()))
    return run.at.found


class _At(msgspec.Struct, frozen=True):
    """How far a run is: behind which blob, and what it has found so far."""

    after: BlobId = NO_BLOB
    found: Scrubbed = Scrubbed()


class _Run:
    """One run over all blobs, and where it is."""

    def __init__(self, stock: Stock, course: Course, rate: int, total: int) -> None:
        self.at = course.checkpoint(_At) or _At()
        self._stock = stock
        self._course = course
        self._rate = rate
        self._total = total
        self._unkept = 0  # bytes read since it was kept how far it is

    async def look(self, blob: StoredBlob) -> None:
        """Look at one blob; write it down if it is broken."""
        found, broken, unread = self.at.found, False, False
        try:
            await look_at(self._stock, blob, self._rate)
        except StoreFailed as error:
            await judge(self._stock, blob, error)
            broken, unread = isinstance(error, BlobBroken), not isinstance(error, BlobBroken)
            self._course.say(error.message)
        listed = (*found.broken, blob.digest) if broken and len(found.broken) < LISTED else found.broken
        found = Scrubbed(found.blobs + 1, found.bytes + blob.size, listed, found.unread + unread)
        self.at = _At(blob.id, found)
        self._course.progress(found.bytes, max(self._total, found.bytes))
        self._course.check()
        self._unkept += blob.size
        if self._unkept >= _KEEP:
            await self.keep()

    async def keep(self) -> None:
        """Keep how far it is."""
        self._unkept, at = 0, self.at
        await self._stock.db.write(lambda tx: self._course.keep_in(tx, at))


def _note_end(tx: Transaction, *, now: Timestamp) -> None:
    facts.put(tx, "scrubbed_at", str(now))


async def look_at(stock: Stock, blob: StoredBlob, rate: int) -> None:
    """Read and hash `blob` as the store has it now. Raises BlobBroken, or StoreFailed where that cannot be told."""
    state, loop = hashlib.new(algorithm_of(blob.digest)), asyncio.get_running_loop()
    async with aclosing(stock.store.fresh(blob)) as chunks:
        async for chunk in chunks:
            await loop.run_in_executor(None, state.update, chunk)
            if rate:
                await asyncio.sleep(len(chunk) / rate)
    if state.hexdigest() != hex_of(blob.digest):
        raise BlobBroken(f"the hash of {blob.digest} is another")
