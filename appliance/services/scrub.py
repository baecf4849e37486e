"""Scrub: hash again what lies in the store; put aside what is not what was sealed, so that the next push heals it."""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import aclosing

import msgspec

from appliance.db import blobs, facts
from appliance.db.database import Reader, Transaction
from appliance.domain.moment import Timestamp
from appliance.domain.names import algorithm_of, hex_of
from appliance.domain.registry import BlobId, StoredBlob
from appliance.errors import BlobBroken, StoreFailed
from appliance.services.stock import Stock

NO_BLOB = BlobId(0)  # ids begin with 1
_PAGE = 100  # rows read at once


class Scrubbed(msgspec.Struct, frozen=True, rename="camel"):
    """What a scrub found."""

    blobs: int
    bytes: int
    broken: tuple[str, ...]


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


class Progress(msgspec.Struct, frozen=True):
    """How far scrubbing is: when the last whole one ended (0 for never), and the blob that the one begun got to."""

    ended_at: Timestamp
    after: BlobId


def find_progress(reader: Reader) -> Progress:
    """Return how far scrubbing is."""
    ended, after = facts.find(reader, "scrubbed_at"), facts.find(reader, "scrubbed_to")
    return Progress(Timestamp(int(ended or 0)), BlobId(int(after or 0)))


async def scrub(stock: Stock, *, after: BlobId = NO_BLOB, rate: int = 0) -> Scrubbed:
    """Read and hash every blob once; return what was found. Broken ones are quarantined.

    `after` goes on behind that blob; `rate` is the bytes a second it reads at most, 0 for as fast as it can.
    """
    last, count, size = after, 0, 0
    broken: list[str] = []
    while page := await stock.db.read(_page_after(last)):
        for blob in page:
            count += 1
            size += blob.size
            try:
                await look_at(stock, blob, rate)
            except StoreFailed as error:
                await judge(stock, blob, error)
                if isinstance(error, BlobBroken):
                    broken.append(blob.digest)
        last = page[-1].id
        await stock.db.write(_note("scrubbed_to", last))
    await stock.db.write(_note("scrubbed_at", stock.clock()))
    await stock.db.write(_note("scrubbed_to", 0))
    return Scrubbed(count, size, tuple(broken))


def _page_after(last: BlobId) -> Callable[[Reader], list[StoredBlob]]:
    return lambda reader: blobs.list_after(reader, last, _PAGE)


def _note(name: str, value: int) -> Callable[[Transaction], None]:
    return lambda tx: facts.put(tx, name, str(value))


async def look_at(stock: Stock, blob: StoredBlob, rate: int) -> None:
    """Read and hash `blob` as the store has it now. Raises BlobBroken, or StoreFailed where that cannot be told."""
    state = hashlib.new(algorithm_of(blob.digest))
    async with aclosing(stock.store.fresh(blob)) as chunks:
        async for chunk in chunks:
            state.update(chunk)
            if rate:
                await asyncio.sleep(len(chunk) / rate)
    if state.hexdigest() != hex_of(blob.digest):
        raise BlobBroken(f"the hash of {blob.digest} is another")
