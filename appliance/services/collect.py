"""Collection (`scr gc`): purge what was removed, condemn blobs nobody links, delete their bytes.

Everything goes by index and in slices: a slice is one small transaction, so no request waits for collection.
Deleting takes exactly the generation it condemned (condemn: commit; delete bytes; delete row), so it can never meet a
re-push, and a crash between any two steps is taken up again by the next run. What a run has freed is kept in the
transactions that free it, so that a run that dies and is taken up again counts nothing twice.
"""

from collections.abc import Callable
from functools import partial

import msgspec

from appliance.db import blobs, deletions, facts, images, jobs, manifests, registries, repositories, tag_history, tags
from appliance.db.blobs import Condemned
from appliance.db.database import Reader, Transaction
from appliance.domain.manifest import parse_manifest
from appliance.domain.moment import HOUR, SECOND, Timestamp
from appliance.domain.names import algorithm_of
from appliance.domain.registry import BlobId, ImageId, ManifestId
from appliance.errors import ManifestInvalid
from appliance.services.course import UNFOLLOWED, Course
from appliance.services.stock import Leases, Rules, Stock

SLICE = 100  # rows in one transaction: some 5 ms of the writer
_BULK = 250  # condemned generations at once: an object store deletes them, under each name they may have, in one call


class Collected(msgspec.Struct, frozen=True, rename="camel"):
    """What a run did."""

    manifests: int = 0
    links: int = 0
    blobs: int = 0
    bytes: int = 0
    strays: int = 0  # files in the store that no row owned

    def __add__(self, other: "Collected") -> "Collected":
        """Return both together."""
        return Collected(
            self.manifests + other.manifests,
            self.links + other.links,
            self.blobs + other.blobs,
            self.bytes + other.bytes,
            self.strays + other.strays,
        )


async def collect(stock: Stock, *, started: Timestamp, course: Course = UNFOLLOWED) -> Collected:
    """Run once; return what was freed, in interrupted attempts at the same run too.

    `started` is when the process started: leases given before a restart are unknown, so links are only looked at once
    that is longer ago than a lease lasts (or than the grace time, if that is shorter).
    """
    now = stock.clock()
    before = Timestamp(now - stock.rules.recycle)
    freed = await _Run(stock, now, started, course).free(before, Timestamp(now - stock.rules.restore_window))
    stock.leases.sweep(now)
    history_before = Timestamp(now - stock.rules.history_keep)
    while await stock.db.write(lambda tx: tag_history.forget(tx, history_before, SLICE)):
        course.check()
    while await stock.db.write(lambda tx: deletions.forget(tx, before, SLICE)):
        course.check()
    await stock.db.write(lambda tx: facts.put(tx, "collected_at", str(now)))
    return freed


async def let_go(stock: Stock, course: Course) -> int:
    """Begin to purge registries and repositories whose recycle time is over, and order a collection for the rest.

    Returns how many repositories and images were removed with them. What is done already is not done again.
    """
    now = stock.clock()
    before = Timestamp(now - stock.rules.recycle)
    count = 0
    for step in (partial(_drop_repositories, before=before), partial(_drop_images, before=before)):
        while found := await stock.db.write(step):
            count += found
            course.progress(count, 0)
            course.check()
    await stock.db.write(lambda tx: jobs.enqueue(tx, "gc", "", {}, now, by="appliance:scr"))
    return count


def has_work(reader: Reader, rules: Rules, now: Timestamp, *, started: Timestamp) -> bool:
    """Whether a collection now would find anything to do."""
    before = Timestamp(now - rules.recycle)
    return bool(
        (_may_settle(rules, now, started) and blobs.list_suspects(reader, now, 1))
        or blobs.list_condemned(reader, 0, Timestamp(now - rules.restore_window), 1)
        or manifests.list_removed(reader, before, 1)
        or images.list_removed(reader, before, 1)
        or repositories.list_removed(reader, before, 1)
        or registries.list_removed(reader, before, 1)
        or images.list_hidden(reader, _hidden_before(rules, now), 1)
        or deletions.has_older(reader, before)
        or tag_history.has_older(reader, Timestamp(now - rules.history_keep))
    )


def _may_settle(rules: Rules, now: Timestamp, started: Timestamp) -> bool:
    return now - started >= min(rules.grace, Leases.LENGTH)


def _hidden_before(rules: Rules, now: Timestamp) -> Timestamp:
    return Timestamp(now - max(rules.grace, rules.upload_expiry))


async def expire_uploads(stock: Stock) -> int:
    """Drop sessions that nobody went on with for `upload_expiry`; return how many went."""
    return await stock.uploads.reap((stock.clock() - stock.rules.upload_expiry) / SECOND)


async def make_room(stock: Stock, is_short: Callable[[], bool], *, started: Timestamp) -> Collected:
    """Free what was removed before its recycle time ends, the oldest first, while the disk `is_short` of room.

    Spec: DESIGN 5, "Removal": a disk that runs full takes the oldest first.
    """
    now = stock.clock()
    total = Collected()
    if is_short():  # bytes that only wait for a restore go first: no image loses anything by it
        total = await _Run(stock, now, started, UNFOLLOWED, is_urgent=True).delete_condemned(now)
    while is_short() and (oldest := await stock.db.read(_oldest_removal)) is not None:
        total += await _Run(stock, now, started, UNFOLLOWED, is_urgent=True).free(Timestamp(oldest + HOUR), now)
        if await stock.db.read(_oldest_removal) == oldest:  # held by a lease: the next round may take it
            break
    return total


def _oldest_removal(reader: Reader) -> Timestamp | None:
    """Return when the oldest thing that still waits in recycle was removed, or None."""
    found = [family.oldest_removal(reader) for family in (registries, repositories, images, manifests)]
    return min((one for one in found if one is not None), default=None)


class _Run:
    """One run; `done` is what it has freed, in the attempts before this one too.

    One that is urgent does not wait for backups: their disk is full.
    """

    def __init__(
        self, stock: Stock, now: Timestamp, started: Timestamp, course: Course, *, is_urgent: bool = False
    ) -> None:
        self._stock = stock
        self._now = now
        self._may_settle = _may_settle(stock.rules, now, started)
        self._course = course
        self._is_urgent = is_urgent
        self._purged = 0  # manifests, in the step under way
        self.done = course.checkpoint(Collected) or Collected()

    async def free(self, before: Timestamp, condemned_before: Timestamp) -> Collected:
        """Purge what was removed at or before `before`, and delete the bytes that nobody needs then."""
        is_settled = False
        while not is_settled:  # what one step purges makes work for the next
            was = self.done
            await self._purge_removed(before)
            if self._may_settle:
                await self._settle_links()
            is_settled = not await self._purge_empty(before) and was == self.done
        return await self.delete_condemned(condemned_before)

    async def _write(self, step: Callable[[Transaction], Collected]) -> Collected:
        """Do one step, and keep what it has freed in the same transaction; return that."""

        def write(tx: Transaction) -> Collected:
            found = step(tx)
            if found != Collected():
                self._course.keep_in(tx, self.done + found)
            return found

        found = await self._stock.db.write(write)
        self.done += found
        self._course.check()
        return found

    async def _purge_removed(self, before: Timestamp) -> None:
        """Delete what manifests, images and repositories whose recycle time is over hold."""

        def of_images(tx: Transaction) -> int:
            count = 0
            for image in images.list_removed(tx, before, SLICE):
                if count < SLICE:  # one image may have thousands of manifests
                    images.begin_purge(tx, image)
                    found = manifests.list_of_image(tx, image, SLICE - count)
                    self._purge(tx, found)
                    count += len(found) + tags.drop_of_image(tx, image, self._now, SLICE)
                    count += blobs.check_image(tx, image, self._now, SLICE)
            return count

        def of_manifests(tx: Transaction) -> int:
            found = manifests.list_removed(tx, before, SLICE)
            self._purge(tx, found)
            return len(found)

        steps = (partial(_drop_repositories, before=before), partial(_drop_images, before=before))
        for step in (*steps, of_images, of_manifests):
            is_done = False
            while not is_done:
                is_done = not await self._count(step)

    async def _count(self, step: Callable[[Transaction], int]) -> int:
        """Do one step that frees no bytes yet; return how many rows it has touched."""
        seen = 0

        def write(tx: Transaction) -> Collected:
            nonlocal seen
            self._purged = 0
            seen = step(tx)
            return Collected(manifests=self._purged)

        await self._write(write)
        return seen

    def _purge(self, tx: Transaction, found: list[ManifestId]) -> None:
        self._purged += sum(_purge_manifest(tx, manifest, self._now) for manifest in found)

    async def _settle_links(self) -> None:
        """Look at links whose time has come."""
        leases = self._stock.leases
        seen = -1

        def settle(tx: Transaction) -> Collected:
            nonlocal seen
            suspects = blobs.list_suspects(tx, self._now, SLICE)
            seen, gone = len(suspects), 0
            for suspect in suspects:
                asked.add((suspect.image, suspect.blob.id))
                if leases.may_go(suspect.image, suspect.blob.id, self._now):
                    gone += blobs.settle(tx, suspect, self._now)
                else:
                    blobs.postpone(tx, suspect, Timestamp(self._now + Leases.LENGTH))
            return Collected(links=gone)

        while seen:
            asked: set[tuple[ImageId, BlobId]] = set()
            try:
                await self._write(settle)
            finally:
                leases.settled(asked)

    async def _purge_empty(self, before: Timestamp) -> int:
        """Delete rows of images and repositories that are removed, or never got a manifest, and have nothing left.

        Returns how many went.
        """
        hidden_before = _hidden_before(self._stock.rules, self._now)

        def purge(tx: Transaction) -> int:
            found = (*images.list_removed(tx, before, SLICE), *images.list_hidden(tx, hidden_before, SLICE))
            gone = sum(images.purge(tx, image) for image in found) + sum(
                repositories.purge(tx, repository) for repository in repositories.list_removed(tx, before, SLICE)
            )
            return gone + sum(registries.purge(tx, registry) for registry in registries.list_removed(tx, before, SLICE))

        return await self._count(purge)

    async def delete_condemned(self, before: Timestamp) -> Collected:
        """Delete the bytes of generations condemned at or before `before`; return all that this run has freed.

        What the store cannot delete is left to the next run: it must not keep the others.
        """
        last = 0
        while found := await self._stock.db.read(_condemned_after(last, before)):
            last = found[-1].id
            deletable = found if self._is_urgent else self._stock.held.deletable(found)
            done = await _delete(self._stock, deletable)
            freed = Collected(blobs=sum(one.kind == "blob" for one in done), bytes=sum(one.size for one in done))
            await self._write(_acquit([one.id for one in done], freed))
            self._course.progress(self.done.blobs, 0)
            if len(deletable) < len(found):
                break
        return self.done


def _drop_repositories(tx: Transaction, *, before: Timestamp) -> int:
    """Remove repositories of registries whose recycle time is over, as if they had been then; return how many."""
    count = 0
    for registry in registries.list_removed(tx, before, SLICE):
        registries.begin_purge(tx, registry)
        for repository in registries.live_repositories(tx, registry, SLICE - count):
            repositories.remove(tx, repository, before)
            count += 1
    return count


def _drop_images(tx: Transaction, *, before: Timestamp) -> int:
    """Remove images of repositories whose recycle time is over, as if they had been then; return how many."""
    count = 0
    for repository in repositories.list_removed(tx, before, SLICE):
        repositories.begin_purge(tx, repository)
        for image in repositories.live_images(tx, repository, SLICE - count):
            images.remove(tx, image, before)
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


def _condemned_after(last: int, before: Timestamp) -> Callable[[Reader], list[Condemned]]:
    return lambda reader: blobs.list_condemned(reader, last, before, _BULK)


def _acquit(done: list[int], freed: Collected) -> Callable[[Transaction], Collected]:
    def write(tx: Transaction) -> Collected:
        blobs.acquit(tx, done)
        return freed

    return write
