"""Scrub: hash again what lies in the store; put aside what is not what was sealed, so that the next push heals it."""

import asyncio
import hashlib
from collections.abc import Callable
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


def _no_more(tx: Transaction) -> None:
    del tx


async def quarantine(
    stock: Stock, blob: StoredBlob, reason: str, also: Callable[[Transaction], None] = _no_more
) -> None:
    """Make a broken blob unreadable (HEAD answers 404, so that the next push heals it) and raise the alarm.

    `also` is written with it: after a death nobody finds the blob again.
    """
    now = stock.clock()

    def put_aside(tx: Transaction) -> bool:
        also(tx)
        return blobs.quarantine(tx, blob, now)

    if await stock.db.write(put_aside):
        stock.log.error("blob.broken", digest=blob.digest, reason=reason, cure="push the image again; check the disk")
        await stock.store.quarantine(blob)


async def judge(
    stock: Stock, blob: StoredBlob, error: StoreFailed, also: Callable[[Transaction], None] = _no_more
) -> None:
    """Quarantine `blob` where `error` says that its bytes changed; a store that merely failed proves nothing."""
    if isinstance(error, BlobBroken):
        await quarantine(stock, blob, error.message, also)
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
        try:
            await look_at(self._stock, blob, self._rate)
        except StoreFailed as error:
            self._note(blob, is_broken=isinstance(error, BlobBroken), is_unread=not isinstance(error, BlobBroken))
            await judge(self._stock, blob, error, self._keep_in)
            self._course.say(error.message)
        else:
            self._note(blob)
        found = self.at.found
        self._course.progress(found.bytes, max(self._total, found.bytes))
        self._course.check()
        self._unkept += blob.size
        if self._unkept >= _KEEP:
            await self.keep()

    def _note(self, blob: StoredBlob, *, is_broken: bool = False, is_unread: bool = False) -> None:
        found = self.at.found
        listed = (*found.broken, blob.digest) if is_broken and len(found.broken) < LISTED else found.broken
        self.at = _At(blob.id, Scrubbed(found.blobs + 1, found.bytes + blob.size, listed, found.unread + is_unread))

    async def keep(self) -> None:
        """Keep how far it is."""
        self._unkept = 0
        await self._stock.db.write(self._keep_in)

    def _keep_in(self, tx: Transaction) -> None:
        self._course.keep_in(tx, self.at)


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
