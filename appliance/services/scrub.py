"""Scrub: hash again what lies in the store; put aside what is not what was sealed, so that the next push heals it."""

import hashlib
from collections.abc import Callable

import msgspec

from appliance.db import blobs, facts
from appliance.db.database import Reader
from appliance.domain.names import algorithm_of, hex_of
from appliance.domain.registry import BlobId, StoredBlob
from appliance.errors import BlobBroken, StoreFailed
from appliance.services.stock import Stock

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


async def scrub(stock: Stock) -> Scrubbed:
    """Read and hash every blob once; return what was found. Broken ones are quarantined."""
    last, count, size = BlobId(0), 0, 0
    broken: list[str] = []
    while page := await stock.db.read(_page_after(last)):
        for blob in page:
            count += 1
            size += blob.size
            if reason := await _look_at(stock, blob):
                await quarantine(stock, blob, reason)
                broken.append(blob.digest)
        last = page[-1].id
    now = stock.clock()
    await stock.db.write(lambda tx: facts.put(tx, "scrubbed_at", str(now)))
    return Scrubbed(count, size, tuple(broken))


def _page_after(last: BlobId) -> Callable[[Reader], list[StoredBlob]]:
    return lambda reader: blobs.list_after(reader, last, _PAGE)


async def _look_at(stock: Stock, blob: StoredBlob) -> str:
    """Return what is wrong with the bytes of `blob`, or ""."""
    state = hashlib.new(algorithm_of(blob.digest))
    try:
        async for chunk in stock.store.chunks(blob, 0, blob.size):
            state.update(chunk)
    except StoreFailed as error:
        return error.message
    return "" if state.hexdigest() == hex_of(blob.digest) else "its hash is another"
