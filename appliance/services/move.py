"""Move: bring every blob and every copy of a manifest to where new ones go, in the form that new ones have.

Online, one after the other: the bytes are read and hashed, stored under a new generation, and the row is turned over in
one transaction, which condemns the old generation. A blob is always whole in the one place or the other; who reads it
at that moment reads on. An interrupted move goes on with what still lies elsewhere.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import msgspec

from appliance.blobstore.scratch import scratch
from appliance.blobstore.staging import stage
from appliance.blobstore.store import Lying
from appliance.db import blobs, manifests
from appliance.db.database import Reader, Transaction
from appliance.domain.manifest import digest_of
from appliance.domain.moment import Timestamp
from appliance.domain.names import Digest, algorithm_of, hex_of
from appliance.domain.registry import BlobId, StoredBlob
from appliance.errors import BlobBroken, ScrError, StoreFailed
from appliance.services import scrub
from appliance.services.course import UNFOLLOWED, Course
from appliance.services.stock import Stock, new_generation

T = TypeVar("T")

_PAGE = 100  # rows, or names of copies, looked at in one go
_SUFFIX = ".move"  # of a file in staging


class MoveOrder(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What to move. With `renew_keys` what an older data key encrypts is encrypted anew too."""

    renew_keys: bool = False


class Moved(msgspec.Struct, frozen=True, rename="camel"):
    """What a move did. What is broken or cannot be read stays where it is."""

    blobs: int = 0
    bytes: int = 0
    manifests: int = 0
    left: int = 0


async def move(stock: Stock, order: MoveOrder, course: Course = UNFOLLOWED) -> Moved:
    """Move everything that lies elsewhere; return what went, in interrupted attempts at the same job too.

    Raises StoreFailed where the target fails, StorageFull where it is full: what was moved stays moved.
    """
    run = _Run(stock, order, course)
    await run.move_blobs()
    await run.move_manifests()
    return run.report()


class _Run:
    def __init__(self, stock: Stock, order: MoveOrder, course: Course) -> None:
        self._stock = stock
        self._course = course
        self._driver = stock.store.driver
        self._forms = stock.uploads.forms
        ring = self._forms.keyring
        self._key = ring.ring.active if order.renew_keys and ring is not None else 0
        self.done = course.checkpoint(Moved) or Moved()  # `left`: blobs only, which nobody finds again
        self._copies_left = 0  # which another attempt meets again

    def report(self) -> Moved:
        """Return what went, and all that is left."""
        return msgspec.structs.replace(self.done, left=self.done.left + self._copies_left)

    async def move_blobs(self) -> None:
        """Move every blob whose row says another store or form."""
        place = (self._driver, self._forms.new, self._key)
        total = await self._stock.db.read(partial(blobs.count_elsewhere, place=place))
        last, seen = BlobId(0), 0
        while page := await self._stock.db.read(partial(blobs.list_elsewhere, place=place, last=last, limit=_PAGE)):
            for blob in page:
                self._course.check()
                try:
                    await self._move_blob(blob)
                except BlobBroken as error:
                    self.done = msgspec.structs.replace(self.done, left=self.done.left + 1)
                    self._say_left(blob.digest, error)
                    await scrub.judge(self._stock, blob, error, self._keep_in)
                seen += 1
                self._course.progress(seen, total)
            last = page[-1].id

    def _say_left(self, digest: Digest, error: ScrError) -> None:
        self._course.say(f"{digest} stays where it is: {error.message}")

    def _keep_in(self, tx: Transaction) -> None:
        self._course.keep_in(tx, self.done)

    async def _move_blob(self, blob: StoredBlob) -> None:
        generation = new_generation()
        self._stock.sealing.add(generation)
        try:
            async with scratch(self._stock.uploads, generation + _SUFFIX) as staged:
                sums = await self._copy(blob, staged)
                moved = msgspec.structs.replace(
                    blob, generation=generation, driver=self._driver, form=self._forms.new, sums=sums
                )
                await self._stock.store.seal(staged, moved)
            if not await self._stock.db.write(
                partial(self._turn, old=blob, new=moved, base=self.done, now=self._stock.clock())
            ):
                await self._stock.store.delete(blob.digest, generation)  # it was deleted or replaced meanwhile
        finally:
            self._stock.sealing.discard(generation)

    async def _copy(self, blob: StoredBlob, staged: Path) -> bytes:
        """Write `blob` to the file `staged` in the form of new ones; return what its row needs as sums.

        Raises BlobBroken where it is not what its digest says, StorageFull.
        """
        uploads = self._stock.uploads
        uploads.check_room()
        staging = stage(uploads.files, staged, self._forms)
        state = hashlib.new(algorithm_of(blob.digest))
        descriptor = await self._run(uploads.files.create, staged)
        try:
            async with aclosing(self._stock.store.fresh(blob)) as chunks:
                async for chunk in chunks:
                    await self._run(state.update, chunk)
                    await self._run(staging.write, descriptor, [chunk])
            if state.hexdigest() != hex_of(blob.digest):
                raise BlobBroken(f"the hash of {blob.digest} is another")
            sums = await self._run(staging.finish, descriptor, blob.digest)
            await self._run(uploads.files.sync, descriptor, staged)
        finally:
            os.close(descriptor)
        return sums

    def _turn(self, tx: Transaction, *, old: StoredBlob, new: StoredBlob, base: Moved, now: Timestamp) -> bool:
        """Let the row say where the blob lies now; False: it says something else by now."""
        if not blobs.relocate(tx, old, new, now):
            return False
        done = msgspec.structs.replace(base, blobs=base.blobs + 1, bytes=base.bytes + new.size)
        self._course.keep_in(tx, done)
        self.done = done
        return True

    async def move_manifests(self) -> None:
        """Move every copy of a manifest that lies in another store or form."""
        lying = self._stock.store.walk_manifests()
        while page := await asyncio.to_thread(lambda: list(islice(lying, _PAGE))):
            for one in page:
                self._course.check()
                if (one.driver, one.form) == (self._driver, self._forms.new):
                    continue
                if await self._stock.db.read(partial(_is_copy, one=one)):
                    await self._move_manifest(one)

    async def _move_manifest(self, one: Lying) -> None:
        store, generation = self._stock.store, new_generation()
        try:
            body = await asyncio.to_thread(store.read_manifest, one.digest, one.generation)
        except StoreFailed as error:
            self._leave_copy(one.digest, error)
            return
        if digest_of(body, algorithm_of(one.digest)) != one.digest:
            self._leave_copy(
                one.digest, BlobBroken("the copy of this manifest has other bytes; scr verify --repair mends it")
            )
            return
        self._stock.sealing.add(generation)
        try:
            await store.keep_manifest(one.digest, generation, body)
            if not await self._stock.db.write(
                partial(
                    self._turn_copy,
                    one=one,
                    generation=generation,
                    size=len(body),
                    base=self.done,
                    now=self._stock.clock(),
                )
            ):
                await store.drop_manifest(one.digest, generation)
        finally:
            self._stock.sealing.discard(generation)

    def _leave_copy(self, digest: Digest, error: ScrError) -> None:
        self._copies_left += 1
        self._say_left(digest, error)

    def _turn_copy(
        self, tx: Transaction, *, one: Lying, generation: str, size: int, base: Moved, now: Timestamp
    ) -> bool:
        if not manifests.relocate(tx, one.digest, one.generation, generation):
            return False
        blobs.condemn_generation(tx, "manifest", one.digest, one.generation, one.driver, size, now)
        done = msgspec.structs.replace(base, manifests=base.manifests + 1)
        self._course.keep_in(tx, done)
        self.done = done
        return True

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._stock.uploads.executor, function, *arguments)


def _is_copy(reader: Reader, *, one: Lying) -> bool:
    """Whether a live row owns the copy: what is condemned need not move."""
    return manifests.has_copy(reader, one.digest, one.generation)
