"""Sweep: delete files of the store that no row owns, what a crash left between naming and commit, or half stored."""

import asyncio
from collections.abc import Iterator
from functools import partial
from itertools import islice

from appliance.blobstore.store import Lying
from appliance.db import blobs
from appliance.db.database import Reader, Transaction
from appliance.domain.moment import SECOND
from appliance.services.collect import Collected
from appliance.services.course import UNFOLLOWED, Course
from appliance.services.stock import Stock

_PAGE = 500  # files looked at in one go: a store may hold millions

Found = tuple[str, Lying]  # with the kind of its row


async def sweep_strays(stock: Stock, course: Course = UNFOLLOWED) -> Collected:
    """Delete what nobody owns; return what went, in interrupted attempts at the same run too.

    Files younger than the grace time are left, and those being sealed at this moment always.
    """
    before = (stock.clock() - stock.rules.grace) / SECOND
    done = course.checkpoint(Collected) or Collected()
    lying = _walk(stock)
    while page := await asyncio.to_thread(lambda: list(islice(lying, _PAGE))):
        course.check()
        old = [one for one in page if one[1].written < before and one[1].generation not in stock.sealing]
        for kind, one in await stock.db.read(partial(_strays, found=old)):
            # asked in the writer too, behind every row on its way: a push whose client has left still gets its row
            if not await stock.db.write(partial(_strays, found=[(kind, one)])):
                continue
            await (stock.store.drop_manifest if kind == "manifest" else stock.store.delete)(one.digest, one.generation)
            done += Collected(strays=1, bytes=one.size)
            await stock.db.write(partial(_keep, course=course, done=done))
    return done + Collected(strays=await stock.store.sweep(before))


def _keep(tx: Transaction, *, course: Course, done: Collected) -> None:
    course.keep_in(tx, done)


def _walk(stock: Stock) -> Iterator[Found]:
    """Yield all that lies in the store."""
    yield from (("blob", one) for one in stock.store.walk_blobs())
    yield from (("blob", one) for one in stock.store.walk_quarantine())
    yield from (("manifest", one) for one in stock.store.walk_manifests())


def _strays(reader: Reader, *, found: list[Found]) -> list[Found]:
    """Return those of `found` that no row owns."""
    return [(kind, one) for kind, one in found if not blobs.is_owned(reader, kind, one.digest, one.generation)]
