"""Scrub: hash again what lies in the store; put aside what is not what was sealed, so that the next push heals it."""

import asyncio
import hashlib
from collections.abc import Callable

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
            if reason := await look_at(stock, blob, rate):
                await quarantine(stock, blob, reason)
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


async def look_at(stock: Stock, blob: StoredBlob, rate: int) -> str:
    """Return what is wrong with the bytes of `blob`, or ""."""
    state = hashlib.new(algorithm_of(blob.digest))
    try:
        async for chunk in stock.store.chunks(blob, 0, blob.size):
            state.update(chunk)
            if rate:
                await asyncio.sleep(len(chunk) / rate)
    except StoreFailed as error:
        return error.message
    return "" if state.hexdigest() == hex_of(blob.digest) else "its hash is another"
