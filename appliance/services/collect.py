"""Collection (`scr gc`): purge what was removed, condemn blobs nobody links, delete their bytes, sweep up.

Everything goes by index and in slices: a slice is one small transaction, so no request waits for collection.
Deleting takes exactly the generation it condemned (condemn: commit; delete bytes; delete row), so it can never meet a
re-push, and a crash between any two steps is taken up again by the next run.
"""

import asyncio
import functools
from collections.abc import Callable

import msgspec

from appliance.blobstore.store import Lying
from appliance.db import blobs, deletions, facts, images, manifests, registries, repositories, tag_history, tags
from appliance.db.blobs import Condemned
from appliance.db.database import Reader, Transaction
from appliance.domain.manifest import parse_manifest
from appliance.domain.moment import HOUR, SECOND, Timestamp
from appliance.domain.names import Digest, algorithm_of
from appliance.domain.registry import BlobId, ImageId, ManifestId
from appliance.errors import ManifestInvalid
from appliance.services.stock import Leases, Stock

SLICE = 100  # rows in one transaction: some 5 ms of the writer
_BULK = 250  # condemned generations at once: an object store deletes them, under each name they may have, in one call


class Collected(msgspec.Struct, frozen=True, rename="camel"):
    """What a run did."""

    manifests: int = 0
    links: int = 0
    blobs: int = 0
    bytes: int = 0
    uploads: int = 0
    strays: int = 0  # files in the store that no row owned


async def collect(stock: Stock, *, started: Timestamp, dry_run: bool = False) -> Collected:
    """Run once; return what was freed (with `dry_run`, what the next real run would free, as far as it can be told).

    `started` is when the process started: leases given before a restart are unknown, so links are only looked at once
    that is longer ago than a lease lasts (or than the grace time, if that is shorter).
    """
    now = stock.clock()
    if dry_run:
        return await stock.db.read(functools.partial(_forecast, stock, now))
    freed = await _free(stock, Timestamp(now - stock.rules.recycle), now, started)
    stock.leases.sweep(now)
    sessions = await stock.uploads.reap((now - stock.rules.upload_expiry) / SECOND)

    def close(tx: Transaction) -> None:
        tag_history.forget(tx, Timestamp(now - stock.rules.history_keep), 10 * SLICE)
        for _ in range(10 * SLICE):
            if not deletions.forget(tx, Timestamp(now - stock.rules.recycle), SLICE):
                break
        facts.put(tx, "collected_at", str(now))

    await stock.db.write(close)
    return msgspec.structs.replace(freed, uploads=sessions)


async def make_room(stock: Stock, is_short: Callable[[], bool], *, started: Timestamp) -> Collected:
    """Free what was removed before its recycle time ends, the oldest first, while the disk `is_short` of room.

    Spec: DESIGN 5, "Removal": a disk that runs full takes the oldest first.
    """
    now = stock.clock()
    total = Collected()
    while is_short() and (oldest := await stock.db.read(_oldest_removal)) is not None:
        freed = await _free(stock, Timestamp(oldest + HOUR), now, started)
        total = Collected(
            manifests=total.manifests + freed.manifests,
            links=total.links + freed.links,
            blobs=total.blobs + freed.blobs,
            bytes=total.bytes + freed.bytes,
        )
        if await stock.db.read(_oldest_removal) == oldest:  # held by a lease: the next round may take it
            break
    return total


def _oldest_removal(reader: Reader) -> Timestamp | None:
    """Return when the oldest thing that still waits in recycle was removed, or None."""
    found = [family.oldest_removal(reader) for family in (registries, repositories, images, manifests)]
    return min((one for one in found if one is not None), default=None)


async def _free(stock: Stock, before: Timestamp, now: Timestamp, started: Timestamp) -> Collected:
    """Purge what was removed at or before `before`, and delete the bytes that nobody needs then."""
    purged = links = 0
    is_settled = False
    while not is_settled:  # what one step purges makes work for the next
        manifests_gone = await _purge_removed(stock, before, now)
        links_gone = 0
        if now - started >= min(stock.rules.grace, Leases.LENGTH):
            links_gone = await _settle_links(stock, now)
        rows_gone = await _purge_empty(stock, before, now)
        purged, links = purged + manifests_gone, links + links_gone
        is_settled = not (manifests_gone or links_gone or rows_gone)
    count, size = await _delete_condemned(stock)
    return Collected(manifests=purged, links=links, blobs=count, bytes=size)


async def sweep_strays(stock: Stock) -> Collected:
    """Delete files of the store that no row owns: what a crash left between naming and commit.

    Files younger than the grace time are left, and those being sealed at this moment always.
    """
    now = stock.clock()
    before = (now - stock.rules.grace) / SECOND
    lying = await asyncio.get_running_loop().run_in_executor(None, _walk, stock)
    strays = size = 0
    for kind, one in lying:
        if one.written >= before or one.generation in stock.sealing:
            continue
        is_owned = functools.partial(_is_owned, kind=kind, digest=one.digest, generation=one.generation)
        # asked in the writer too, behind every row on its way: a push whose client has left still gets its row
        if await stock.db.read(is_owned) or await stock.db.write(is_owned):
            continue
        await (stock.store.drop_manifest if kind == "manifest" else stock.store.delete)(one.digest, one.generation)
        strays += 1
        size += one.size
    return Collected(strays=strays, bytes=size)


def _walk(stock: Stock) -> list[tuple[str, Lying]]:
    """Return all that lies in the store, with the kind of its rows."""
    found = [("blob", one) for one in stock.store.walk_blobs()]
    found += [("blob", one) for one in stock.store.walk_quarantine()]
    return found + [("manifest", one) for one in stock.store.walk_manifests()]


def _is_owned(reader: Reader, *, kind: str, digest: Digest, generation: str) -> bool:
    return blobs.is_owned(reader, kind, digest, generation)


async def _purge_removed(stock: Stock, before: Timestamp, now: Timestamp) -> int:
    """Delete what manifests, images and repositories whose recycle time is over hold; return how many rows went."""
    count = 0

    def of_repositories(tx: Transaction) -> int:
        images_gone = 0
        for repository in repositories.list_removed(tx, before, SLICE):
            repositories.begin_purge(tx, repository)
            for image in repositories.live_images(tx, repository, SLICE):
                images.remove(tx, image, before)
                images_gone += 1
        return images_gone

    def of_images(tx: Transaction) -> int:
        found = 0
        for image in images.list_removed(tx, before, SLICE):
            images.begin_purge(tx, image)
            for manifest in manifests.list_of_image(tx, image, SLICE):
                found += _purge_manifest(tx, manifest, now)
            found += tags.drop_of_image(tx, image, now, SLICE)
            found += blobs.check_image(tx, image, now, SLICE)
        return found

    def of_manifests(tx: Transaction) -> int:
        return sum(_purge_manifest(tx, manifest, now) for manifest in manifests.list_removed(tx, before, SLICE))

    of_registries = functools.partial(_let_go, before=before)
    for step in (of_registries, of_repositories, of_images, of_manifests):
        while done := await stock.db.write(step):
            count += done
    return count


def _let_go(tx: Transaction, before: Timestamp) -> int:
    """Remove repositories of registries whose recycle time is over, as if they had been then; return how many."""
    count = 0
    for registry in registries.list_removed(tx, before, SLICE):
        registries.begin_purge(tx, registry)
        for repository in registries.live_repositories(tx, registry, SLICE - count):
            repositories.remove(tx, repository, before)
            count += 1
    return count


def _purge_manifest(tx: Transaction, row: ManifestId, now: Timestamp) -> int:
    """Delete a manifest with its needs and tags; its blobs are looked at next; its copy in the store is condemned."""
    loaded = manifests.load(tx, row)
    if loaded is None:
        return 0
    image, digest, generation, media_type, body = loaded
    try:
        needs = manifests.needs_of(parse_manifest(body, media_type, algorithm_of(digest)))
    except ManifestInvalid:  # an older program took what this one would refuse: look its needs up the long way
        needs = manifests.recorded_needs(tx, image, row)
    for name, _ in tags.of_manifest(tx, row):
        tags.remove(tx, image, name, "collection", now, "image deleted")
    manifests.purge(tx, image, row, needs)
    blobs.check_later(tx, image, [part for part, kind in needs if kind != manifests.SUBJECT], now)
    blobs.condemn_generation(tx, "manifest", digest, generation, "", len(body), now)
    return 1


async def _settle_links(stock: Stock, now: Timestamp) -> int:
    """Look at links whose time has come; return how many were deleted."""
    count = 0

    def settle(tx: Transaction) -> tuple[int, int]:
        suspects = blobs.list_suspects(tx, now, SLICE)
        gone = 0
        for suspect in suspects:
            asked.add((suspect.image, suspect.blob.id))
            if stock.leases.may_go(suspect.image, suspect.blob.id, now):
                gone += blobs.settle(tx, suspect, now)
            else:
                blobs.postpone(tx, suspect, Timestamp(now + Leases.LENGTH))
        return len(suspects), gone

    while True:
        asked: set[tuple[ImageId, BlobId]] = set()
        try:
            seen, gone = await stock.db.write(settle)
        finally:
            stock.leases.settled(asked)
        count += gone
        if not seen:
            return count


async def _purge_empty(stock: Stock, before: Timestamp, now: Timestamp) -> int:
    """Delete rows of images and repositories that are removed, or never got a manifest, and have nothing left.

    Returns how many went.
    """
    hidden_before = Timestamp(now - max(stock.rules.grace, stock.rules.upload_expiry))

    def purge(tx: Transaction) -> int:
        found = (*images.list_removed(tx, before, SLICE), *images.list_hidden(tx, hidden_before, SLICE))
        gone = sum(images.purge(tx, image) for image in found) + sum(
            repositories.purge(tx, repository) for repository in repositories.list_removed(tx, before, SLICE)
        )
        return gone + sum(registries.purge(tx, registry) for registry in registries.list_removed(tx, before, SLICE))

    return await stock.db.write(purge)


async def _delete_condemned(stock: Stock) -> tuple[int, int]:
    """Delete the bytes of condemned generations; return how many blobs and bytes that freed.

    What the store cannot delete is left to the next run: it must not keep the others.
    """
    count = size = last = 0
    while found := await stock.db.read(_condemned_after(last)):
        last = found[-1].id
        done = await _delete(stock, found)
        await stock.db.write(_acquit([one.id for one in done]))
        count += sum(one.kind == "blob" for one in done)
        size += sum(one.size for one in done)
    return count, size


async def _delete(stock: Stock, condemned: list[Condemned]) -> list[Condemned]:
    """Delete the bytes of generations; return those that are gone."""
    gone = []
    for kind in ("blob", "manifest"):
        asked = [one for one in condemned if one.kind == kind]
        failures = await stock.store.delete_all(kind, [(one.digest, one.generation) for one in asked]) if asked else []
        for one, failure in zip(asked, failures, strict=True):
            if failure is None:
                gone.append(one)
            else:
                stock.log.error("store.failed", digest=one.digest, reason=failure.message)
    return gone


def _condemned_after(last: int) -> Callable[[Reader], list[Condemned]]:
    return lambda reader: blobs.list_condemned(reader, last, _BULK)


def _acquit(done: list[int]) -> Callable[[Transaction], None]:
    return lambda tx: blobs.acquit(tx, done)


def _forecast(stock: Stock, now: Timestamp, reader: Reader) -> Collected:
    """Tell what a run now would free, from the rows alone."""
    before = Timestamp(now - stock.rules.recycle)
    gone = manifests.count_removed(reader, before)
    links, count, size = blobs.forecast(reader, now)
    return Collected(manifests=gone, links=links, blobs=count, bytes=size)
