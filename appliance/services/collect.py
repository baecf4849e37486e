"""Collection (`scr gc`): purge what was removed, condemn blobs nobody links, delete their bytes.

Everything goes by index and in slices: a slice is one small transaction, as large as nobody notices (pace.py), and what
it takes was read and parsed before it, outside of the writer (purging.py); so no request waits for collection.
Deleting takes exactly the generation it condemned (condemn: commit; delete bytes; delete row), so it can never meet a
re-push, and a crash between any two steps is taken up again by the next run. What a run has freed is kept in the
transactions that free it, so that a run that dies and is taken up again counts nothing twice.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec

from appliance.db import blobs, deletions, facts, images, jobs, manifests, purges, registries, repositories, tag_history
from appliance.db.blobs import Condemned
from appliance.db.database import Reader, Transaction
from appliance.db.purges import Doomed, Link
from appliance.domain.moment import HOUR, SECOND, Timestamp
from appliance.services import purging
from appliance.services.course import UNFOLLOWED, Course
from appliance.services.pace import Pace
from appliance.services.purging import Emptying, Since
from appliance.services.stock import Leases, Rules, Stock

T = TypeVar("T")
_SLICE = 100  # rows that are only marked, or have nothing left, in one transaction
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
    pace = Pace()
    while await pace.write(stock.db, lambda tx: tag_history.forget(tx, history_before, pace.size)):
        course.check()
    while await pace.write(stock.db, lambda tx: deletions.forget(tx, before, pace.size)):
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
        (_may_settle(rules, now, started) and purges.list_suspects(reader, now, 1))
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
        self._pace = Pace(is_urgent=is_urgent)
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

    async def _write(self, step: Callable[[Transaction], tuple[Collected, T]]) -> T:
        """Do one step, and keep what it has freed in the same transaction; return what it says besides."""

        def write(tx: Transaction) -> tuple[Collected, T]:
            found, said = step(tx)
            if found != Collected():
                self._course.keep_in(tx, self.done + found)
            return found, said

        found, said = await self._pace.write(self._stock.db, write)
        self.done += found
        self._course.check()
        return said

    async def _purge_removed(self, before: Timestamp) -> None:
        """Delete what manifests, images and repositories whose recycle time is over hold."""
        read = self._stock.db.read
        for mark in (_drop_repositories, _drop_images):
            while await self._write(partial(_count, step=partial(mark, before=before))):
                pass
        since = purging.BEGIN
        while emptying := await read(partial(purging.find_images, since=since, before=before, limit=self._pace.size)):
            since = await self._write(partial(self._purge_images, since=since, emptying=emptying, before=before))
        while doomed := await read(partial(purging.find_removed, before=before, limit=self._pace.size)):
            await self._write(partial(self._purge_manifests, doomed=doomed, before=before))

    def _purge_images(
        self, tx: Transaction, since: Since, emptying: list[Emptying], before: Timestamp
    ) -> tuple[Collected, Since]:
        purged = purging.purge_images(tx, since, emptying, before, self._now, self._pace.size)
        return Collected(manifests=purged.manifests), purged.since

    def _purge_manifests(self, tx: Transaction, doomed: list[Doomed], before: Timestamp) -> tuple[Collected, None]:
        return Collected(manifests=purging.purge_removed(tx, doomed, before, self._now)), None

    async def _settle_links(self) -> None:
        """Look at links whose time has come."""
        seen = -1
        while seen:
            asked: set[Link] = set()
            try:
                seen = await self._write(partial(self._settle, asked=asked))
            finally:
                self._stock.leases.settled(asked)

    def _settle(self, tx: Transaction, asked: set[Link]) -> tuple[Collected, int]:
        """Decide some links, and say in `asked` which; return how many there were."""
        leases = self._stock.leases
        suspects = purges.list_suspects(tx, self._now, self._pace.size)
        asked.update(suspects)
        going = [link for link in suspects if leases.may_go(*link, self._now)]
        held = set(suspects).difference(going)
        purges.postpone(tx, list(held), Timestamp(self._now + Leases.LENGTH))
        return Collected(links=purges.settle(tx, going, self._now)), len(suspects)

    async def _purge_empty(self, before: Timestamp) -> int:
        """Delete rows of images and repositories that are removed, or never got a manifest, and have nothing left.

        Returns how many went.
        """
        hidden_before = _hidden_before(self._stock.rules, self._now)

        def purge(tx: Transaction) -> int:
            found = (*images.list_removed(tx, before, _SLICE), *images.list_hidden(tx, hidden_before, _SLICE))
            gone = sum(images.purge(tx, image) for image in found) + sum(
                repositories.purge(tx, repository) for repository in repositories.list_removed(tx, before, _SLICE)
            )
            return gone + sum(
                registries.purge(tx, registry) for registry in registries.list_removed(tx, before, _SLICE)
            )

        return await self._write(partial(_count, step=purge))

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


def _count(tx: Transaction, step: Callable[[Transaction], int]) -> tuple[Collected, int]:
    """Do a step that frees no bytes yet; return how many rows it has touched."""
    return Collected(), step(tx)


def _drop_repositories(tx: Transaction, *, before: Timestamp) -> int:
    """Remove repositories of registries whose recycle time is over, as if they had been then; return how many."""
    count = 0
    for registry in registries.list_removed(tx, before, _SLICE):
        registries.begin_purge(tx, registry)
        for repository in registries.live_repositories(tx, registry, _SLICE - count):
            repositories.remove(tx, repository, before)
            count += 1
    return count


def _drop_images(tx: Transaction, *, before: Timestamp) -> int:
    """Remove images of repositories whose recycle time is over, as if they had been then; return how many."""
    count = 0
    for repository in repositories.list_removed(tx, before, _SLICE):
        repositories.begin_purge(tx, repository)
        for image in repositories.live_images(tx, repository, _SLICE - count):
            images.remove(tx, image, before)
            count += 1
    return count


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


def _acquit(done: list[int], freed: Collected) -> Callable[[Transaction], tuple[Collected, None]]:
    def write(tx: Transaction) -> tuple[Collected, None]:
        blobs.acquit(tx, done)
        return freed, None

    return write
